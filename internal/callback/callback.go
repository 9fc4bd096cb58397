package callback

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Event is what happened to a server, as scripts are told.
type Event string

// The events (Patroni documentation, "callbacks").
const (
	OnStart      Event = "on_start"
	OnStop       Event = "on_stop"
	OnRestart    Event = "on_restart"
	OnReload     Event = "on_reload"
	OnRoleChange Event = "on_role_change"
)

// Runner runs the scripts of one member. Its methods do not wait for them.
type Runner struct {
	scope string
	log   *slog.Logger

	mu       sync.Mutex
	commands map[Event][]string

	changes, reloads lane
}

// New makes a runner. The commands are program and arguments each; events without one are passed over.
func New(scope string, commands map[Event][]string, log *slog.Logger) *Runner {
	return &Runner{scope: scope, commands: commands, log: log}
}

// Configure replaces the commands. A script that runs goes on.
func (r *Runner) Configure(commands map[Event][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = maps.Clone(commands)
}

// Call starts the script of an event, after the one that still runs was killed.
func (r *Runner) Call(e Event, role cluster.Role) {
	r.mu.Lock()
	command := r.commands[e]
	r.mu.Unlock()
	if len(command) == 0 {
		return
	}
	if role == cluster.RolePromoted {
		role = cluster.RolePrimary
	}
	l := &r.changes
	if e == OnReload {
		l = &r.reloads
	}
	l.next(func(ctx context.Context) { r.run(ctx, e, role, command) })
}

// Close waits for the scripts that run, until the context ends; then it leaves them to themselves.
func (r *Runner) Close(ctx context.Context) {
	for _, l := range []*lane{&r.changes, &r.reloads} {
		select {
		case <-l.last():
		case <-ctx.Done():
			r.log.WarnContext(ctx, "a callback still runs while the agent ends; it is left to itself")
			return
		}
	}
}

func (r *Runner) run(ctx context.Context, e Event, role cluster.Role, command []string) {
	if ctx.Err() != nil {
		return
	}
	log := r.log.With(slog.String("event", string(e)), slog.String("role", string(role)))
	args := slices.Concat(command[1:], []string{string(e), string(role), r.scope})
	cmd := exec.CommandContext(ctx, command[0], args...) //nolint:gosec // it is the operator's own
	cmd.Env = environment(os.Environ())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	began := time.Now()
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		log.InfoContext(ctx, "callback killed because the next one came", slog.Duration("duration", time.Since(began)))
	case err != nil:
		log.WarnContext(ctx, "callback ended badly", slog.Any("err", err), slog.Duration("duration", time.Since(began)))
	default:
		log.InfoContext(ctx, "callback done", slog.Duration("duration", time.Since(began)))
	}
}

// environment leaves out what scripts have no business with.
func environment(env []string) []string {
	var kept []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		private := name == "NOTIFY_SOCKET" || strings.HasPrefix(name, "PATRONI_") || strings.HasPrefix(name, "PGBATON_")
		if !private {
			kept = append(kept, entry)
		}
	}
	return kept
}

// lane runs one thing after the other; the next one ends the one before.
type lane struct {
	mu   sync.Mutex
	stop context.CancelCauseFunc
	done chan struct{}
}

var errNext = errors.New("the next callback came")

// next ends what runs, waits for its end and then begins, on a goroutine of its own.
func (l *lane) next(do func(context.Context)) {
	ctx, stop := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	l.mu.Lock()
	stopBefore, before := l.stop, l.done
	l.stop, l.done = stop, done
	l.mu.Unlock()
	go func() {
		defer close(done)
		defer stop(nil)
		if before != nil {
			stopBefore(errNext)
			<-before
		}
		do(ctx)
	}()
}

// last is closed when the last one has ended.
func (l *lane) last() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done != nil {
		return l.done
	}
	none := make(chan struct{})
	close(none)
	return none
}
