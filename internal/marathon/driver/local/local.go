package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Driver runs tasks as processes of this machine. Open makes one.
type Driver struct {
	cfg    Config
	log    *slog.Logger
	dir    folder
	boot   string
	lock   *os.File // held for life, so that no second driver works in the same folder
	events *driver.Queue
	work   sync.WaitGroup
	closed chan struct{}
	life   context.Context         //nolint:containedctx // of what is done in the background; ends with Close
	end    context.CancelCauseFunc // of life

	mu       sync.Mutex // guards what follows, and every write to the folder
	tasks    map[app.TaskID]*handle
	volumes  map[string]volumeRecord
	stopped  map[string]bool         // hosts without power
	clearing map[string]int          // working folders in which processes are being ended right now
	taken    map[string]map[int]bool // ports of a host that a launch found in use by strangers
}

// handle is a record and the process behind it.
type handle struct {
	rec  record
	proc *held         // nil once the main process has ended
	done chan struct{} // closed when the main process has ended
	// environ is what the task was started with.
	environ []string
	// abandon ends the fetching of files before the task; nil when none are fetched.
	abandon context.CancelCauseFunc
}

var (
	_ driver.Driver     = (*Driver)(nil)
	_ driver.Switchable = (*Driver)(nil)
)

// Open takes the folder and finds the tasks that still run. Close gives the folder back and leaves them running.
func Open(cfg Config, log *slog.Logger) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := folder(cfg.Dir).create(); err != nil {
		return nil, fmt.Errorf("prepare state directory: %w", err)
	}
	// The working folders of processes are read as the kernel names them, without symbolic links.
	dir, err := filepath.EvalSymlinks(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("prepare state directory: %w", err)
	}
	d := &Driver{
		cfg: cfg, log: log, dir: folder(dir), events: driver.NewQueue(), closed: make(chan struct{}),
		tasks: map[app.TaskID]*handle{}, stopped: map[string]bool{}, clearing: map[string]int{}, taken: map[string]map[int]bool{},
	}
	d.life, d.end = context.WithCancelCause(context.Background())
	if d.lock, err = lockFile(d.dir.lock()); err != nil {
		return nil, err
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	d.work.Go(d.events.Run)
	if err := d.resume(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// lockFile takes a lock that the kernel releases when this process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		closeAll(f)
		return nil, fmt.Errorf("state directory %s is in use by another scheduler", filepath.Dir(path))
	}
	return f, nil
}

// Subscribe implements driver.Driver. The folder remembers whose tasks and volumes it holds.
func (d *Driver) Subscribe(_ context.Context, framework string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := os.ReadFile(d.dir.framework())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read framework id: %w", err)
	}
	mine := strings.TrimSpace(string(b))
	inUse := len(d.tasks)+len(d.volumes) > 0
	switch {
	case mine == framework && mine != "":
		return mine, nil
	case mine != "" && inUse:
		return "", fmt.Errorf("%w: %s holds %d tasks and %d volumes of framework %s, the store says %q; bring that store back or choose another state directory",
			driver.ErrForeign, d.dir, len(d.tasks), len(d.volumes), mine, framework)
	case framework == "":
		framework = strings.ToLower(rand.Text())
	}
	if err := renameio.WriteFile(d.dir.framework(), []byte(framework+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write framework id: %w", err)
	}
	return framework, syncDir(string(d.dir))
}

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events.Out() }

// Close implements driver.Driver. A kill under way stays recorded and is finished by the next driver.
func (d *Driver) Close() error {
	close(d.closed)
	d.end(errClosed)
	d.mu.Lock()
	for _, t := range d.tasks {
		if t.proc != nil {
			t.proc.close()
		}
	}
	d.mu.Unlock()
	d.events.Close()
	d.work.Wait()
	return d.lock.Close()
}

// isClosed reports whether Close was called.
func (d *Driver) isClosed() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}

func (d *Driver) host(name string) (Host, bool) {
	i := slices.IndexFunc(d.cfg.Hosts, func(h Host) bool { return h.Name == name })
	if i < 0 {
		return Host{}, false
	}
	return d.cfg.Hosts[i], true
}
