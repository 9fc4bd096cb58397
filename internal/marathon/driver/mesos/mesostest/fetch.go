package mesostest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// fetchWithin is how long a file may take. The master does nothing else meanwhile: tests serve files of this machine.
const fetchWithin = time.Minute

// fetch brings the files of a task into its sandbox before anything of it runs, and gives them to whom the sandbox belongs. One
// that does not arrive is the end of the launch.
func (m *Master) fetch(t *task, sandbox string) error {
	if t.info.Command == nil || len(t.info.Command.URIs) == 0 {
		return nil
	}
	for _, u := range t.info.Command.URIs {
		if err := m.bring(t.a.cfg.Hostname, sandbox, u); err != nil {
			return fmt.Errorf("Failed to launch container: Failed to fetch all URIs for container: %w", err) //nolint:staticcheck // as agents say it
		}
	}
	return inherit(sandbox)
}

// bring fetches one file. What is executable is not unpacked; what was unpacked stays beside what came of it.
func (m *Master) bring(host, sandbox string, u wire.URI) error {
	target, err := destination(sandbox, u)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { //nolint:gosec // a test's
		return err
	}
	if err := m.cached(host, u, target); err != nil {
		return err
	}
	if u.Executable {
		return os.Chmod(target, 0o755) //nolint:gosec // it is a program
	}
	if !u.Extract || !archive(target) {
		return nil
	}
	if text, err := exec.Command("tar", "-C", sandbox, "-xf", target).CombinedOutput(); err != nil { //nolint:noctx // a small archive of a test
		return fmt.Errorf("extract %s: %w: %s", path.Base(target), err, text)
	}
	return nil
}

// destination is where a file goes: output_file, else its own name.
func destination(sandbox string, u wire.URI) (string, error) {
	name := u.OutputFile
	if name == "" {
		parsed, err := url.Parse(u.Value)
		if err != nil {
			return "", err
		}
		name = path.Base(parsed.Path)
	}
	if !filepath.IsLocal(name) || name == "." {
		return "", fmt.Errorf("%q is no name of a file in a sandbox", name)
	}
	return filepath.Join(sandbox, name), nil
}

func archive(name string) bool {
	for _, end := range []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// cached copies what an agent has downloaded before, where the task allows it.
func (m *Master) cached(host string, u wire.URI, target string) error {
	if !u.Cache {
		return download(u.Value, target)
	}
	kept := filepath.Join(m.cfg.Run.Root(), host, "fetch", url.PathEscape(u.Value))
	_, err := os.Stat(kept)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(filepath.Dir(kept), 0o700), download(u.Value, kept+".new"))
		if err == nil {
			err = os.Rename(kept+".new", kept)
		}
	}
	if err != nil {
		return err
	}
	source, err := os.Open(filepath.Clean(kept))
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	return save(target, source)
}

func download(uri, target string) error {
	ctx, cancel := context.WithTimeout(context.Background(), fetchWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: unexpected HTTP response %q", uri, resp.Status)
	}
	return save(target, resp.Body)
}

func save(target string, from io.Reader) error {
	to, err := os.OpenFile(filepath.Clean(target), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644) //nolint:gosec // a test's
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// inherit gives all that lies in a folder to its owner.
func inherit(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return filepath.WalkDir(folder, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, int(owner.Uid), int(owner.Gid))
	})
}
