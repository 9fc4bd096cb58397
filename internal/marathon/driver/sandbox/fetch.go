package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Bounds of what a task may have fetched.
const (
	fetchWithin = 10 * time.Minute // for one file
	fetchMost   = 8 << 30          // bytes of all files of a task, unpacked ones included
	filesMost   = 200_000          // in one archive
)

var (
	errFetchLate = fmt.Errorf("it did not arrive within %v", fetchWithin)
	errFetchMost = fmt.Errorf("it is more than %d GiB, as much as a task may have fetched", fetchMost>>30)
)

// Fetcher brings the files that a definition names.
type Fetcher struct {
	// Cache is the folder of files that are kept for the next time, where a definition says so.
	Cache string
	// Owner is whom they belong to, and who has to be allowed to read those of this machine; nil: who this process is.
	Owner *syscall.Credential
	// NoFiles says why files of this machine cannot be had; empty: they can.
	NoFiles string
}

// fetch is the bringing of the files of one task into its folder.
type fetch struct {
	Fetcher

	room Room
	left int64 // bytes that may still come
}

// Bring brings all files into a folder, which is there. Its error is a sentence for whoever wrote the definition.
func (f Fetcher) Bring(ctx context.Context, dir string, files []app.Fetch) error {
	room, err := Open(dir, f.Owner)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer room.Close() //nolint:errcheck // a folder
	one := &fetch{Fetcher: f, room: room, left: fetchMost}
	for _, file := range files {
		if err := one.file(ctx, file); err != nil {
			return fmt.Errorf("fetch %s: %w", redacted(file.URI), err)
		}
	}
	return nil
}

// redacted is a URI as it may be shown: without its password.
func redacted(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "a URI that cannot be read"
	}
	return u.Redacted()
}

func (f *fetch) file(ctx context.Context, file app.Fetch) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchWithin, errFetchLate)
	defer cancel()
	name, err := destination(file)
	if err != nil {
		return err
	}
	err = f.bring(ctx, file, name)
	if err == nil && file.Extract {
		err = f.unpack(ctx, name)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// destination is where a file goes: destPath, else its own name.
func destination(file app.Fetch) (string, error) {
	if file.DestPath != "" {
		if path.IsAbs(file.DestPath) || !localPath(file.DestPath) {
			return "", fmt.Errorf("destPath %q leads out of the folder of the task", file.DestPath)
		}
		return path.Clean(file.DestPath), nil
	}
	u, err := url.Parse(file.URI)
	if err != nil {
		return "", errors.New("the URI cannot be read")
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" || name == ".." {
		return "", errors.New("the URI ends without the name of a file: give destPath")
	}
	return name, nil
}

// localPath reports whether a relative path stays below where it begins.
func localPath(p string) bool {
	clean := path.Clean(p)
	return clean != "." && clean != ".." && !strings.HasPrefix(clean, "../")
}

// bring copies one file.
func (f *fetch) bring(ctx context.Context, file app.Fetch, name string) error {
	source, err := f.open(ctx, file)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if file.Executable {
		mode = 0o755
	}
	target, err := f.room.Fresh(name, mode)
	if err != nil {
		return errors.Join(err, source.Close())
	}
	err = f.copy(target, source)
	return errors.Join(err, target.Close(), source.Close())
}

// copy copies as much as may still come.
func (f *fetch) copy(to io.Writer, from io.Reader) error {
	n, err := io.Copy(to, io.LimitReader(from, f.left+1))
	f.left -= n
	if f.left < 0 {
		return errFetchMost
	}
	return err
}

func (f *fetch) open(ctx context.Context, file app.Fetch) (io.ReadCloser, error) {
	u, err := url.Parse(file.URI)
	if err != nil {
		return nil, errors.New("the URI cannot be read")
	}
	switch u.Scheme {
	case "http", "https":
		if file.Cache {
			return cache(f.Cache).open(ctx, file.URI, f.left)
		}
		resp, err := download(ctx, file.URI, nil)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	case "file", "":
		if f.NoFiles != "" {
			return nil, errors.New(f.NoFiles)
		}
		if u.Host != "" && u.Host != "localhost" || !path.IsAbs(u.Path) {
			return nil, errors.New("a file of this machine is named by its absolute path")
		}
		return f.read(ctx, u.Path)
	}
	return nil, fmt.Errorf("this machine cannot fetch from %s: http, https and file are known", u.Scheme)
}

// download begins a GET; 200 is the only answer that brings a file, 304 the one that says it is the same.
func download(ctx context.Context, uri string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, http.NoBody)
	if err != nil {
		return nil, errors.New("the URI cannot be read")
	}
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return nil, inner.Err // without the URI, which may have a password
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNotModified && header != nil {
		return resp, nil
	}
	return nil, errors.Join(fmt.Errorf("the server answers %s", resp.Status), resp.Body.Close())
}

// file reads a file of the machine with the rights of the task: this process may see more.
func (f *fetch) read(ctx context.Context, name string) (io.ReadCloser, error) {
	cmd := exec.CommandContext(ctx, "/bin/cat", "--", name)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: f.Owner}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &reading{Reader: out, cmd: cmd, said: &said}, nil
}

// reading is a file that another process reads.
type reading struct {
	io.Reader

	cmd  *exec.Cmd
	said *bytes.Buffer
}

// Close says whether the file was read to its end.
func (r *reading) Close() error {
	err := r.cmd.Wait()
	if why := strings.TrimPrefix(strings.TrimSpace(r.said.String()), "/bin/cat: "); err != nil && why != "" {
		return errors.New(why)
	}
	return err
}
