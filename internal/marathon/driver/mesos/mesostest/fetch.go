package mesostest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	box "github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox"
)

// fetchWithin is how long the files of a task may take. The master does nothing else meanwhile: tests serve files of this machine.
const fetchWithin = time.Minute

// fetch brings the files of a task into its sandbox before anything of it runs, for whom the sandbox belongs to. One that does
// not arrive is the end of the launch.
func (m *Master) fetch(t *task, sandbox string) error {
	if t.info.Command == nil || len(t.info.Command.URIs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchWithin)
	defer cancel()
	if err := m.bring(ctx, t, sandbox); err != nil {
		return fmt.Errorf("Failed to launch container: Failed to fetch all URIs for container: %w", err) //nolint:staticcheck // as agents say it
	}
	return nil
}

// bring fetches the files. What is executable is not unpacked.
func (m *Master) bring(ctx context.Context, t *task, sandbox string) error {
	var files []app.Fetch
	for _, u := range t.info.Command.URIs {
		file := app.Fetch{URI: u.Value, Executable: u.Executable, Extract: u.Extract && !u.Executable, DestPath: u.OutputFile}
		if u.Cache {
			var err error
			if file.URI, err = m.cached(ctx, t.a.cfg.Hostname, u); err != nil {
				return err
			}
		}
		files = append(files, file)
	}
	owner, err := ownerOf(sandbox)
	if err != nil {
		return err
	}
	return box.Fetcher{Owner: owner}.Bring(ctx, sandbox, files)
}

// cached is where an agent keeps a file that a task lets it keep. Unlike the drivers that fetch themselves an agent does not ask
// again whether it is still the same.
func (m *Master) cached(ctx context.Context, host string, u wire.URI) (uri string, err error) {
	uri = u.Value
	parsed, err := url.Parse(uri)
	if err != nil {
		return "", err
	}
	kept := filepath.Join(m.cfg.Run.Root(), host, "fetch", url.PathEscape(uri))
	file := filepath.Join(kept, filepath.Base(parsed.Path))
	if _, err = os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(kept, 0o755), box.Fetcher{}.Bring(ctx, kept, []app.Fetch{{URI: uri}})) //nolint:gosec // tasks read it
		if err != nil {
			err = errors.Join(err, os.RemoveAll(kept)) // half of a file is none
		}
	}
	return (&url.URL{Scheme: "file", Path: file}).String(), err
}

// ownerOf is whom a folder belongs to; nil where that can only be who this process is.
func ownerOf(folder string) (*syscall.Credential, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	return &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}, nil
}
