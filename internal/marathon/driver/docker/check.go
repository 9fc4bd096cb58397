package docker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// check is a health check that runs beside its task, with where to knock where it knocks.
type check struct {
	Definition    app.HealthCheck `json:"definition"`
	HostPort      int             `json:"host_port,omitempty"`
	ContainerPort int             `json:"container_port,omitempty"`
}

// checksOf are the checks of a task that are the driver's.
func checksOf(s driver.Spec) []check {
	var all []check
	ports := s.App.Ports()
	for _, h := range s.App.EffectiveHealthChecks() {
		c := check{Definition: h}
		switch h.Protocol {
		case app.ProtocolHTTP, app.ProtocolHTTPS, app.ProtocolTCP:
			continue // the scheduler's own
		case app.ProtocolCommand, app.ProtocolMesosHTTP, app.ProtocolMesosHTTPS, app.ProtocolMesosTCP:
		}
		switch i := h.PortIndex; {
		case h.Port != nil:
			c.ContainerPort = *h.Port
		case i != nil && *i >= 0 && *i < len(ports):
			c.ContainerPort = ports[*i].ContainerPort
			if *i < len(s.Ports) {
				c.HostPort = s.Ports[*i]
			}
		}
		all = append(all, c)
	}
	return all
}

// tally is what one check has found so far.
type tally struct {
	passed   bool // at least once
	failures int  // in a row
	verdict  *bool
}

// check begins the health checks of a task that runs.
func (d *Driver) check(t *task) {
	if len(t.rec.Checks) == 0 {
		return
	}
	ctx, end := context.WithCancel(d.life)
	t.endChecks = end
	tallies := make([]tally, len(t.rec.Checks))
	for i, c := range t.rec.Checks {
		p := &prober{daemon: t.daemon, container: t.container, check: c, address: d.target(t, c)}
		d.work.Go(func() { p.repeat(ctx, func(err error) { d.felt(t, c, tallies, i, err) }) })
	}
}

// repeat runs one check until the task ends.
func (p *prober) repeat(ctx context.Context, result func(error)) {
	check := p.check.Definition
	timer := time.NewTimer(time.Duration(check.DelaySeconds) * time.Second)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(check.Interval())
		one, cancel := context.WithTimeout(ctx, check.Timeout())
		err := p.probe(one)
		cancel()
		if errors.Is(err, errLate) && p.daemon.ping(ctx, check.Timeout(), client.PingOptions{}) != nil {
			err = fmt.Errorf("%w: %w", errSilent, err)
		}
		if ctx.Err() == nil {
			result(err)
		}
	}
}

// target is where a check knocks: at the port that the host publishes, else at the task itself.
func (d *Driver) target(t *task, c check) string {
	h, _, _ := d.host(t.rec.Host)
	switch {
	case c.HostPort != 0:
		return net.JoinHostPort(h.Address, strconv.Itoa(c.HostPort))
	case len(t.addresses) > 0:
		return net.JoinHostPort(t.addresses[0].IPAddress, strconv.Itoa(c.ContainerPort))
	}
	return net.JoinHostPort(h.Address, strconv.Itoa(c.ContainerPort))
}

// felt counts a result and tells the health of the task when it is another now.
func (d *Driver) felt(t *task, c check, tallies []tally, i int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.state.Terminal() || !t.daemon.up || errors.Is(err, errSilent) {
		d.log.Debug("a health check told nothing", slog.String("task", string(t.rec.Task)), slog.Any("err", err))
		return // that the daemon is out of reach says nothing about the task
	}
	one := &tallies[i]
	one.count(err == nil, time.Since(t.at) < c.Definition.Grace(), max(c.Definition.MaxConsecutiveFailures, 1))
	if err != nil {
		d.log.Debug("a health check failed", slog.String("task", string(t.rec.Task)), slog.Any("err", err))
	}
	healthy := together(tallies)
	if healthy == nil || t.healthy != nil && *t.healthy == *healthy {
		return
	}
	t.healthy = healthy
	d.emit(t)
}

// count adds a result. Failures of the grace period before the first success count for nothing.
func (y *tally) count(ok, grace bool, allowed int) {
	if ok {
		y.passed, y.failures, y.verdict = true, 0, &ok
		return
	}
	if grace && !y.passed {
		return
	}
	if y.failures++; y.failures >= allowed {
		y.verdict = &ok
	}
}

// together is the health that several checks make: nil until each has spoken or one has failed for good.
func together(all []tally) *bool {
	healthy := true
	for _, y := range all {
		switch {
		case y.verdict == nil:
			return nil
		case !*y.verdict:
			healthy = false
		}
	}
	return &healthy
}

// prober runs one check of one task.
type prober struct {
	daemon    *daemon
	container string
	check     check
	address   string
	hanging   string // a command that did not end in time, which nothing can end but the task
}

func (p *prober) probe(ctx context.Context) error {
	switch p.check.Definition.Protocol {
	case app.ProtocolCommand:
		return p.command(ctx)
	case app.ProtocolMesosHTTP:
		return p.get(ctx, "http")
	case app.ProtocolMesosHTTPS:
		return p.get(ctx, "https")
	case app.ProtocolMesosTCP, app.ProtocolTCP, app.ProtocolHTTP, app.ProtocolHTTPS:
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (p *prober) get(ctx context.Context, scheme string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+p.address+p.check.Definition.Path, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // as Mesos' checker: it asks whether the task lives, not who it is
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // not read
	if answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the task answers %s", answer.Status)
	}
	return nil
}

var (
	errLate   = errors.New("the command did not end in time")
	errSilent = errors.New("the docker daemon does not answer")
)

// silence tells what a daemon said from its silence, which says nothing about the task. What took too long may be either's fault.
func silence(ctx context.Context, err error) error {
	switch {
	case answered(err):
		return err
	case ctx.Err() != nil:
		return errLate
	}
	return fmt.Errorf("%w: %w", errSilent, err)
}

// command runs a command inside the container. While one that did not end in time still runs there is no other: they
// would pile up.
func (p *prober) command(ctx context.Context) error {
	if p.hanging != "" {
		seen, err := p.daemon.api.ExecInspect(ctx, p.hanging, client.ExecInspectOptions{})
		switch {
		case err == nil && seen.Running:
			return errors.New("the command of an earlier check has not ended")
		case err != nil && !errdefs.IsNotFound(err): // a daemon that was started again does not know it any more
			return silence(ctx, err)
		}
		p.hanging = ""
	}
	made, err := p.daemon.api.ExecCreate(ctx, p.container, client.ExecCreateOptions{
		Cmd: []string{"/bin/sh", "-c", p.check.Definition.Command.Value}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return silence(ctx, err)
	}
	stream, err := p.daemon.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return silence(ctx, err)
	}
	defer stream.Close()
	ended := context.AfterFunc(ctx, stream.Close)
	defer ended()
	_, err = io.Copy(io.Discard, stream.Reader)
	if ctx.Err() != nil {
		p.hanging = made.ID
	}
	if err != nil || ctx.Err() != nil {
		return silence(ctx, cmp.Or(err, errLate))
	}
	seen, err := p.daemon.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err != nil {
		return silence(ctx, err)
	}
	if seen.ExitCode != 0 {
		return fmt.Errorf("exit status %d", seen.ExitCode)
	}
	return nil
}
