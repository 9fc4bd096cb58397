package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Driver runs tasks as containers. Open makes one.
type Driver struct {
	cfg     Config
	log     *slog.Logger
	daemons []*daemon
	events  *driver.Queue
	life    context.Context //nolint:containedctx // of what is done in the background; ends with Close
	end     context.CancelCauseFunc
	work    sync.WaitGroup

	mu        sync.Mutex // guards what follows and the daemons' changing parts; never held during a request
	framework string     // empty before Subscribe
	tasks     map[app.TaskID]*task
	volumes   map[string]volume
	clearing  map[string]bool              // volumes that are being removed
	taken     map[string]map[int]time.Time // ports of a host that a launch found in use by strangers, and when
}

var _ driver.Driver = (*Driver)(nil)

var errClosed = errors.New("the driver is closed")

// Open begins to follow the daemons. One that does not answer is tried again and again, its hosts offer nothing until
// then. Close lets go of them.
func Open(cfg Config, log *slog.Logger) (*Driver, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	d := &Driver{
		cfg: cfg, log: log, events: driver.NewQueue(), tasks: map[app.TaskID]*task{}, volumes: map[string]volume{},
		clearing: map[string]bool{}, taken: map[string]map[int]time.Time{},
	}
	for _, c := range cfg.Daemons {
		m, err := newDaemon(c, cfg.patience())
		if err != nil {
			return nil, err
		}
		d.daemons = append(d.daemons, m)
	}
	d.life, d.end = context.WithCancelCause(context.Background())
	d.work.Go(d.events.Run)
	for _, m := range d.daemons {
		d.work.Go(func() { d.follow(m) })
	}
	return d, nil
}

// Close implements driver.Driver. A launch under way is left to the daemon: the next driver sees what became of it.
func (d *Driver) Close() error {
	d.end(errClosed)
	d.events.Close()
	d.work.Wait()
	var err error
	for _, m := range d.daemons {
		err = errors.Join(err, m.api.Close())
	}
	return err
}

// Events implements driver.Driver.
func (d *Driver) Events() <-chan driver.Event { return d.events.Out() }

// Subscribe implements driver.Driver. Whose containers and volumes the daemons hold stands on their labels.
func (d *Driver) Subscribe(ctx context.Context, framework string) (string, error) {
	for _, m := range d.daemons {
		select {
		case <-m.looked:
		case <-ctx.Done():
			return "", fmt.Errorf("%w: daemon %s: %w", driver.ErrUnavailable, m.cfg.Endpoint, context.Cause(ctx))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.foreign(framework); err != nil {
		return "", err
	}
	if framework == "" {
		framework = strings.ToLower(rand.Text())
	}
	if d.framework != framework {
		d.framework = framework
		for _, t := range d.tasks {
			d.emit(t)
		}
	}
	return framework, nil
}

// foreign says whose things the daemons hold if not this framework's.
func (d *Driver) foreign(framework string) error {
	var other string
	tasks, volumes := 0, 0
	for _, t := range d.tasks {
		if t.framework != framework {
			other, tasks = t.framework, tasks+1
		}
	}
	for _, v := range d.volumes {
		if v.framework != framework {
			other, volumes = v.framework, volumes+1
		}
	}
	if tasks+volumes == 0 {
		return nil
	}
	return fmt.Errorf("%w: the daemons hold %d tasks and %d volumes of framework %s, the store says %q; bring that store back or choose other daemons",
		driver.ErrForeign, tasks, volumes, other, framework)
}

// host finds a host and its daemon.
func (d *Driver) host(name string) (Host, *daemon, bool) {
	for _, m := range d.daemons {
		for _, h := range m.cfg.Hosts {
			if h.Name == name {
				return h, m, true
			}
		}
	}
	return Host{}, nil, false
}

// report logs what went wrong where nobody waits for an answer.
func (d *Driver) report(doing string, err error, about ...any) {
	if err != nil && d.life.Err() == nil {
		d.log.Error("work in the background went wrong", append([]any{slog.String("doing", doing), slog.Any("err", err)}, about...)...)
	}
}
