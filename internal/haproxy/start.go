package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pgbaton/pgbaton/internal/process"
)

// startWithin bounds a start, which takes some 30 ms.
const startWithin = 10 * time.Second

// BindError says that an address could not be listened on.
type BindError struct {
	// Service is the service, or "statistics".
	Service string
	// Address is the address and port.
	Address string
	// Reason is the system's: "Address already in use".
	Reason string
}

// Error says what to do about it.
func (e *BindError) Error() string {
	if e.Reason == "Address already in use" {
		return fmt.Sprintf("%s is in use by another program, and %s is to listen there; stop that program or choose another port",
			e.Address, e.Service)
	}
	return fmt.Sprintf("HAProxy cannot listen on %s for %s (%s); choose another address", e.Address, e.Service, e.Reason)
}

// start starts HAProxy and returns when it answers.
func (p *Process) start(ctx context.Context) (*running, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("HAProxy did not answer within %v", startWithin))
	defer cancel()
	output, err := os.OpenFile(p.cfg.path(outputFile), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	defer output.Close() //nolint:errcheck // HAProxy has its own descriptor
	// HAProxy outlives us: it has its own session and does not end with ctx.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.cfg.Binary, "-db", "-f", p.cfg.path(configFile)) //nolint:gosec // our own arguments
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.cfg.Dir, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: p.cfg.Credential}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	r, err := hold(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	if err := cmd.Process.Release(); err != nil {
		p.log.DebugContext(ctx, "the handle of the start was not released", slog.Any("err", err))
	}
	if err := p.settle(ctx, r); err != nil {
		stopped := r.stop(context.WithoutCancel(ctx))
		r.release()
		return nil, errors.Join(err, stopped)
	}
	return r, nil
}

// settle records the new process and waits until it answers.
func (p *Process) settle(ctx context.Context, r *running) error {
	started, err := process.Ticks(r.PID())
	if err == nil {
		err = writeRecord(p.cfg.path(recordFile), record{PID: r.PID(), Started: started, Config: p.fingerprint})
	}
	if err == nil {
		err = p.await(ctx, r)
	}
	if err == nil {
		return nil
	}
	if said := p.said(); said != nil {
		return said
	}
	return fmt.Errorf("start HAProxy: %w", err)
}

// await waits until the process answers on its socket, or has ended.
func (p *Process) await(ctx context.Context, r *running) error {
	alive, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if r.ended(alive) == nil {
			cancel(errors.New("it ended at once"))
		}
	}()
	err := p.answering(alive, r.PID())
	cancel(nil)
	<-watched
	return err
}

// answering asks until the process answers. HAProxy tells nobody when its socket is there.
func (p *Process) answering(ctx context.Context, pid int) error {
	const first, last = time.Millisecond, 50 * time.Millisecond
	for pause := first; ; pause = min(2*pause, last) {
		if p.isOurs(ctx, pid) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// said is what HAProxy gave as the reason not to start; nil when it gave none.
func (p *Process) said() error {
	text, err := os.ReadFile(p.cfg.path(outputFile))
	if err != nil {
		return nil //nolint:nilerr // then the caller's error is all there is
	}
	return complaint(string(text))
}

// The forms of HAProxy's complaints.
var (
	cannotBind = regexp.MustCompile(`Binding \[[^\]]*\] for \S+ (\S+): cannot [^(]*\((.+?)\) for \[(.+)\]`)
	alert      = regexp.MustCompile(`(?m)^\[ALERT\]\s+\(\d+\) : (?:config : )?(.+?)\.?$`)
)

// complaint picks the first complaint out of HAProxy's output.
func complaint(output string) error {
	if m := cannotBind.FindStringSubmatch(output); m != nil {
		return &BindError{Service: m[1], Reason: m[2], Address: m[3]}
	}
	if m := alert.FindStringSubmatch(output); m != nil {
		return fmt.Errorf("HAProxy says: %s", strings.TrimSpace(m[1]))
	}
	return nil
}

// maxOutput is what HAProxy may write about its servers before we throw it away; it was logged already.
const maxOutput = 1 << 20

// trimOutput keeps the file of what HAProxy writes from growing without end. HAProxy appends, so it goes
// on at the beginning.
func (p *Process) trimOutput() {
	path := p.cfg.path(outputFile)
	if info, err := os.Stat(path); err == nil && info.Size() > maxOutput {
		_ = os.Truncate(path, 0) // It is tried again the next time.
	}
}

// configure writes the configuration and has HAProxy check it.
func (p *Process) configure(ctx context.Context) error {
	path := p.cfg.path(configFile)
	if err := renameio.WriteFile(path, []byte(p.config), 0o644); err != nil {
		return fmt.Errorf("write HAProxy's configuration: %w", err)
	}
	if err := p.give(path); err != nil {
		return err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, p.cfg.Binary, "-c", "-f", path) //nolint:gosec // our own arguments
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.cfg.Dir, &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.cfg.Credential}
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if said := complaint(output.String()); said != nil {
		err = said
	}
	return fmt.Errorf("check %s: %w", path, err)
}
