package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

const (
	// reachAgain is the pause before a daemon that did not answer is tried again: that it is back is nobody's event.
	reachAgain    = time.Second
	usualPatience = 20 * time.Second
	mebibyte      = 1 << 20
)

// daemon is one Docker daemon. What may change is guarded by Driver.mu.
type daemon struct {
	cfg    Daemon
	api    *client.Client
	looked chan struct{} // closed when it was looked at for the first time, or did not answer
	// order is held while one container is looked at or removed: what was seen before a removal must not count after it.
	order turn

	up        bool
	told      string // why it could not be reached, as it was logged last
	total     machine
	strangers map[int]bool // host ports that containers of others have
}

// turn is a lock that nobody waits for longer than he can: who has it may wait for a daemon that hangs.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) pass() { <-t }

// machine is what a daemon has to share.
type machine struct{ cpus, mem, disk float64 }

func newDaemon(c Daemon, patience time.Duration) (*daemon, error) {
	// A daemon whose machine has lost its power says nothing: the connection has to find out.
	dial := &net.Dialer{Timeout: patience, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}}
	options := []client.Opt{client.WithHost(c.Endpoint)}
	if network, address, _ := strings.Cut(c.Endpoint, "://"); network == "tcp" {
		options = append(options, client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial.DialContext(ctx, network, address)
		}))
	}
	if c.TLS != (TLS{}) {
		options = append(options, client.WithTLSClientConfig(c.TLS.CA, c.TLS.Cert, c.TLS.Key))
	}
	api, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("daemon %s: %w", c.Endpoint, err)
	}
	return &daemon{cfg: c, api: api, looked: make(chan struct{}), strangers: map[int]bool{}, order: make(turn, 1)}, nil
}

// follow looks at a daemon, then keeps up with its events; again and again until the driver is closed.
func (d *Driver) follow(m *daemon) {
	seen := false
	for d.life.Err() == nil {
		err := d.session(m, func() {
			if !seen {
				close(m.looked)
			}
			seen = true
		})
		d.lose(m, err)
		if !seen {
			seen = true
			close(m.looked)
		}
		pause := time.NewTimer(reachAgain)
		select {
		case <-pause.C:
		case <-d.life.Done():
			pause.Stop()
		}
	}
}

// session follows a daemon until its stream of events breaks. The stream is opened before the daemon is looked at: what
// changes in between is seen twice, never missed.
func (d *Driver) session(m *daemon, looked func()) error {
	ctx, cancel := context.WithCancelCause(d.life)
	defer cancel(errClosed)
	if err := m.ping(ctx, d.cfg.patience(), client.PingOptions{NegotiateAPIVersion: true, ForceNegotiate: true}); err != nil {
		return err
	}
	wanted := client.Filters{}.Add("type", "container", "volume").Add("event", "start", "die", "destroy")
	stream := m.api.Events(ctx, client.EventsListOptions{Filters: wanted})
	if err := d.look(ctx, m); err != nil {
		return err
	}
	looked()
	d.work.Go(func() {
		if err := m.beat(ctx, d.cfg.patience()); err != nil {
			d.lose(m, err) // at once: the session may be waiting for an answer itself
			cancel(err)
		}
	})
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-stream.Messages:
			if err := d.happened(ctx, m, e); err != nil {
				return err
			}
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) {
				return errors.New("the daemon ended its stream of events")
			}
			return err
		}
	}
}

// ping asks whether a daemon answers.
func (m *daemon) ping(ctx context.Context, patience time.Duration, options client.PingOptions) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not answer within %v", patience))
	defer cancel()
	_, err := m.api.Ping(ctx, options)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// beat returns an error when a daemon does not answer any more, nil when nobody asks any more. One that hangs says so with no
// event: its stream stays open.
func (m *daemon) beat(ctx context.Context, patience time.Duration) error {
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := m.ping(ctx, patience, client.PingOptions{}); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// happened follows up one event. An error means that the daemon has to be looked at anew.
func (d *Driver) happened(ctx context.Context, m *daemon, e events.Message) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.patience())
	defer cancel()
	_, ours := e.Actor.Attributes[labelRecord]
	switch {
	case e.Type == events.VolumeEventType:
		d.volumeGone(m, e.Actor.ID)
		return nil
	case !ours:
		return d.lookAtStrangers(ctx, m)
	}
	return d.refresh(ctx, m, e.Actor.ID)
}

// lose notes that a daemon cannot be reached. Its tasks may be well.
func (d *Driver) lose(m *daemon, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.life.Err() != nil {
		return
	}
	was := m.up
	m.up = false
	if err = m.trouble(err); !was {
		d.tellTrouble(m, err)
		return
	}
	m.told = err.Error()
	d.log.Warn("a docker daemon is out of reach", slog.String("endpoint", m.cfg.Endpoint), slog.Any("err", err))
	for _, t := range d.tasks {
		if t.daemon == m && !t.state.Terminal() {
			d.emit(t)
		}
	}
	d.events.Add(driver.OffersChanged{})
}

// measure learns what the daemon's machine has.
func measure(ctx context.Context, m *daemon) (machine, error) {
	all, err := m.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return machine{}, err
	}
	const kept = 1024 // MiB that Mesos' agents leave to the system, too
	total := machine{cpus: float64(all.Info.NCPU), mem: max(float64(all.Info.MemTotal/mebibyte)-kept, 0)}
	var disk syscall.Statfs_t
	if strings.HasPrefix(m.cfg.Endpoint, "unix:") && syscall.Statfs(all.Info.DockerRootDir, &disk) == nil {
		total.disk = float64(disk.Bavail) * float64(disk.Bsize) / mebibyte
	}
	return total, nil
}
