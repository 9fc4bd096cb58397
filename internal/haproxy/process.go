package haproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrDriven says that somebody else drives the HAProxy of this directory.
var ErrDriven = errors.New("another pgbaton drives this HAProxy; stop it first, or choose another state directory")

// Process is the one HAProxy of a directory.
type Process struct {
	cfg         Config
	config      string
	fingerprint string
	log         *slog.Logger
	socket      runtime
	wake        chan struct{}

	lock   *os.File
	events *net.UnixConn

	mu sync.Mutex
	// running is nil only while a dead HAProxy is not started again yet.
	running *running
	since   time.Time
}

// Open takes hold of the HAProxy that runs in the directory when it has this very configuration, and
// else starts one, ending the one that has another. It returns when HAProxy answers. Errors are
// ErrMissing, ErrDriven, a *BindError, and sentences about the configuration or the directory.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Process, error) {
	if cfg.Binary == "" {
		binary, err := Find()
		if err != nil {
			return nil, err
		}
		cfg.Binary = binary
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	limit, err := openFiles()
	if err != nil {
		return nil, err
	}
	config, err := render(cfg, limit)
	if err != nil {
		return nil, err
	}
	p := &Process{
		cfg: cfg, config: config, fingerprint: fingerprint(config), log: log,
		socket: runtime{cfg.path(socketFile)}, wake: make(chan struct{}, 1),
	}
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Process) open(ctx context.Context) error {
	if err := checkVersion(ctx, p.cfg.Binary); err != nil {
		return err
	}
	if err := p.enterDir(); err != nil {
		return err
	}
	if err := p.listen(); err != nil {
		return err
	}
	found, config := p.find(ctx)
	if found != nil && config == p.fingerprint {
		p.log.InfoContext(ctx, "haproxy runs already", slog.Int("pid", found.PID()))
		p.keep(found)
		return nil
	}
	if found != nil {
		p.log.InfoContext(ctx, "haproxy is replaced", slog.Int("pid", found.PID()))
		err := found.stop(ctx)
		found.release()
		if err != nil {
			return fmt.Errorf("end the former HAProxy: %w", err)
		}
	}
	if err := p.configure(ctx); err != nil {
		return err
	}
	r, err := p.start(ctx)
	if err != nil {
		return err
	}
	p.log.InfoContext(ctx, "haproxy started", slog.Int("pid", r.PID()))
	p.keep(r)
	return nil
}

// keep makes r the process.
func (p *Process) keep(r *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.since = r, time.Now()
}

func (p *Process) held() (*running, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running, p.since
}

// enterDir makes the directory ours: nobody else may reach the socket, nobody else drives.
func (p *Process) enterDir() error {
	if err := os.MkdirAll(p.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("create HAProxy's directory: %w", err)
	}
	if err := p.give(p.cfg.Dir); err != nil {
		return err
	}
	lock, err := os.OpenFile(p.cfg.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock HAProxy's directory: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // descriptors are small
	if err != nil {
		_ = lock.Close() // Nothing was written.
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return ErrDriven
		}
		return fmt.Errorf("lock HAProxy's directory: %w", err)
	}
	p.lock = lock
	return nil
}

// give hands a file over to whoever HAProxy runs as.
func (p *Process) give(path string) error {
	c := p.cfg.Credential
	if c == nil {
		return nil
	}
	if err := os.Chown(path, int(c.Uid), int(c.Gid)); err != nil {
		return fmt.Errorf("give %s to HAProxy's user: %w", path, err)
	}
	return nil
}

// listen opens the socket that HAProxy tells its state changes to.
func (p *Process) listen() error {
	path := p.cfg.path(eventsFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen to HAProxy: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("listen to HAProxy: %w", err)
	}
	p.events = conn
	return p.give(path)
}

// Wake delivers a value when the routing may not be as it was left: HAProxy was started again, or one of
// its checks found a server in another state. One value may stand for several of these.
func (p *Process) Wake() <-chan struct{} { return p.wake }

func (p *Process) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Stop ends HAProxy with all its sessions. It is called after Run has returned and before Close.
func (p *Process) Stop(ctx context.Context) error {
	r, _ := p.held()
	if r == nil {
		return nil
	}
	if err := r.stop(ctx); err != nil {
		return fmt.Errorf("end HAProxy: %w", err)
	}
	for _, file := range []string{recordFile, socketFile} {
		if err := os.Remove(p.cfg.path(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("end HAProxy: %w", err)
		}
	}
	return nil
}

// Close lets go of HAProxy, which goes on, following its checks, until somebody opens it again. It is
// called after Run has returned.
func (p *Process) Close() error {
	var errs []error
	if r, _ := p.held(); r != nil {
		r.release()
	}
	if p.events != nil {
		errs = append(errs, p.events.Close(), ignoreAbsent(os.Remove(p.cfg.path(eventsFile))))
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(errs...)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
