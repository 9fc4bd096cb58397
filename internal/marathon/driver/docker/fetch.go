package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox"
)

// A container is filled before it starts, over the API of its daemon, so files are fetched to this machine and sent on from
// here. Nothing of a fetch outlives it: should this driver die, the next one is asked to launch anew.

// forgotten is the age at which what a fetch left behind is removed: no fetch takes that long.
const forgotten = 24 * time.Hour

// fetched are the files of a task on their way into its container; empty where it wants none.
type fetched string

// fetch brings the files of a task to this machine.
func (d *Driver) fetch(ctx context.Context, l launch) (fetched, error) {
	if len(l.spec.App.Fetch) == 0 {
		return "", nil
	}
	dir, err := d.staging()
	if err != nil {
		return "", failed(app.TaskFailed, "fetch: %w", err)
	}
	f := sandbox.Fetcher{Cache: filepath.Join(d.cfg.Dir, "cache")}
	if !strings.HasPrefix(l.daemon.cfg.Endpoint, "unix:") {
		f.NoFiles = "files of host " + l.host.Name + " cannot be had from here: offer it by http or https, or show it with hostPath"
	}
	if err := f.Bring(ctx, string(dir), l.spec.App.Fetch); err != nil {
		return "", errors.Join(failed(app.TaskFailed, "%w", err), dir.remove())
	}
	return dir, nil
}

// staging makes a folder for the files of one task, and removes those that nobody did.
func (d *Driver) staging() (fetched, error) {
	if d.cfg.Dir == "" {
		return "", errors.New("the scheduler has no folder for files")
	}
	all := filepath.Join(d.cfg.Dir, "fetching")
	if err := os.MkdirAll(all, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(all)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > forgotten {
			d.report("remove fetched files", os.RemoveAll(filepath.Join(all, e.Name())))
		}
	}
	dir, err := os.MkdirTemp(all, "")
	return fetched(dir), err
}

func (f fetched) remove() error {
	if f == "" {
		return nil
	}
	return os.RemoveAll(string(f))
}

// send puts the files into the sandbox of a container, as the user's that its task runs as.
func (f fetched) send(ctx context.Context, l launch, id string) error {
	if f == "" {
		return nil
	}
	uid, gid, err := userOf(ctx, l, id)
	if err != nil {
		return err
	}
	content, out := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := f.pack(out, uid, gid)
		packed <- errors.Join(err, out.CloseWithError(err))
	}()
	_, err = l.daemon.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: workFolder, Content: content})
	_ = content.Close()
	if trouble := <-packed; trouble != nil && !errors.Is(trouble, io.ErrClosedPipe) {
		return failed(app.TaskFailed, "read fetched files: %w", trouble)
	}
	if err != nil {
		return failure4xx(app.TaskFailed, "put fetched files into the sandbox", err)
	}
	return nil
}

// pack writes the folder as an archive whose entries belong to a user. Programs of images change users, so whoever reads a
// file of a folder gets there.
func (f fetched) pack(to io.Writer, uid, gid int) error {
	out := tar.NewWriter(to)
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only read
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return packOne(out, root, name, e, uid, gid)
	})
	return errors.Join(err, out.Close())
}

func packOne(out *tar.Writer, root *os.Root, name string, e fs.DirEntry, uid, gid int) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	var target string
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = root.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, uid, gid, "", ""
	if info.IsDir() {
		h.Name, h.Mode = name+"/", folderMode
	}
	if err := out.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := root.Open(name)
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // only read
	_, err = io.Copy(out, content)
	return err
}

// userOf is the number of who a task runs as. A name means what the image's /etc/passwd says; one that is not in there is
// refused by the daemon when the container starts.
func userOf(ctx context.Context, l launch, id string) (uid, gid int, err error) {
	user, group, _ := strings.Cut(l.user, ":")
	if user == "" {
		return 0, 0, nil
	}
	uid, err = strconv.Atoi(user)
	if err != nil {
		if uid, gid, err = inPasswd(ctx, l, id, user); err != nil {
			return 0, 0, err
		}
	}
	if n, err := strconv.Atoi(group); err == nil {
		gid = n
	}
	return uid, gid, nil
}

// inPasswd looks for a user in a container's /etc/passwd.
func inPasswd(ctx context.Context, l launch, id, user string) (uid, gid int, err error) {
	copied, err := l.daemon.api.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: "/etc/passwd"})
	if err != nil {
		return 0, 0, failure4xx(app.TaskFailed, "look for user "+user+" in the image", err)
	}
	defer copied.Content.Close() //nolint:errcheck // only read
	entries := tar.NewReader(copied.Content)
	if _, err := entries.Next(); err != nil {
		return 0, 0, fmt.Errorf("look for user %s in the image: %w", user, err)
	}
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(entries, most))
	if err != nil {
		return 0, 0, fmt.Errorf("look for user %s in the image: %w", user, err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 3 && f[0] == user {
			uid, err := strconv.Atoi(f[2])
			gid, err2 := strconv.Atoi(f[3])
			return uid, gid, errors.Join(err, err2)
		}
	}
	return 0, 0, failed(app.TaskFailed, "the image has no user %s", user)
}
