package agent

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/pgbaton/pgbaton/internal/callback"
	"github.com/pgbaton/pgbaton/internal/cluster"
)

// reloading is a reload of the configuration file on its way into force. It is read beside the loop, which must not wait
// for a disk, and taken over by the loop between two ticks.
type reloading struct {
	// asked has a token when somebody wants it read.
	asked chan struct{}
	next  atomic.Pointer[Config]
}

// Reload has the configuration file read again. What may change while the agent runs comes into force soon; a file that
// cannot be used changes nothing, and the log says why.
func (a *Agent) Reload() {
	select {
	case a.reloading.asked <- struct{}{}:
	default:
	}
}

// reread reads the file whenever that was asked for.
func (a *Agent) reread(ctx context.Context) error {
	for {
		select {
		case <-a.reloading.asked:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		a.cfg.Manager.Reloading(ctx)
		next, err := a.cfg.Reread(ctx)
		if err != nil {
			a.log.ErrorContext(ctx, "the configuration cannot be used; the one in force stays", slog.Any("err", err))
			a.cfg.Manager.Ready(ctx)
			continue
		}
		a.reloading.next.Store(&next)
		a.Wake()
	}
}

// takeOver brings a configuration that was read again into force. What the agent is known by stays: the rest of the
// process, and of the cluster, goes by it.
func (a *Agent) takeOver(ctx context.Context) {
	next := a.reloading.next.Swap(nil)
	if next == nil {
		return
	}
	a.cfg.Tags, a.cfg.Postgres, a.cfg.Options, a.cfg.APIURL = next.Tags, next.Postgres, next.Options, next.APIURL
	a.applied = ""
	if !a.reconfigure(ctx) {
		a.rereadServer(ctx)
	}
	if !a.leaving {
		a.cfg.Manager.Ready(ctx)
	}
}

// rereadServer has the server read its files again, as whoever asks for a reload expects though the agent's settings are
// the same.
func (a *Agent) rereadServer(ctx context.Context) {
	told, err := a.pg.Reread()
	if err != nil {
		a.log.WarnContext(ctx, "the server was not told to reload", slog.Any("err", err))
		return
	}
	if told {
		a.reloaded()
	}
}

// reloaded tells the scripts that the server was told to read its configuration again.
func (a *Agent) reloaded() {
	if s := a.Snapshot(); s.Server.Running && !a.mem.Bootstrap {
		a.cfg.Callbacks.Call(callback.OnReload, s.Role)
	}
}

// nobody is told, and asked, where nobody is there.
type nobody struct{}

func (nobody) Ready(context.Context)             {}
func (nobody) Reloading(context.Context)         {}
func (nobody) Stopping(context.Context)          {}
func (nobody) Call(callback.Event, cluster.Role) {}

// fill puts nobody where the configuration names no one.
func (c *Config) fill() {
	if c.Manager == nil {
		c.Manager = nobody{}
	}
	if c.Callbacks == nil {
		c.Callbacks = nobody{}
	}
	if c.Reread == nil {
		same := *c
		c.Reread = func(context.Context) (Config, error) { return same, nil }
	}
}
