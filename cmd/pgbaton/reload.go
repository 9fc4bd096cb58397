package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/callback"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/watchdog"
)

// attendants are the adapters that an agent is not bound to have, and that a reload of its configuration reaches.
type attendants struct {
	watchdog  *watchdog.Watchdog
	callbacks *callback.Runner
	log       *slog.Logger
}

func newAttendants(cfg config.Config, log *slog.Logger) attendants {
	return attendants{
		watchdog: watchdog.New(watchdogConfig(cfg.Watchdog), log), callbacks: callback.New(cfg.Scope, callbacks(cfg), log), log: log,
	}
}

// farewellTo is how long the scripts get that tell of the end of the agent.
const farewellTo = 5 * time.Second

// close waits for scripts that run. A watchdog that is still active stays so: the agent could not end its server.
func (a attendants) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTo)
	defer cancel()
	a.callbacks.Close(ctx)
}

func watchdogConfig(c config.Watchdog) watchdog.Config {
	modes := map[config.WatchdogMode]watchdog.Mode{
		config.WatchdogOff: watchdog.Off, config.WatchdogAutomatic: watchdog.Automatic, config.WatchdogRequired: watchdog.Required,
	}
	return watchdog.Config{Mode: modes[c.Mode], Device: c.Device, Testing: c.Driver == "testing", Margin: c.SafetyMargin}
}

func callbacks(cfg config.Config) map[callback.Event][]string {
	all := map[callback.Event][]string{}
	for event, command := range cfg.Postgres.Callbacks {
		all[callback.Event(event)] = command
	}
	return all
}

// reader reads the configuration of a running agent again.
type reader struct {
	source  config.Source
	inForce config.Config
	journal journal
	rest    *rest
	peers   *client.Client
	attendants
}

// read returns the configuration that the agent is to go by. What is fixed while it runs stays as it is.
func (r *reader) read(ctx context.Context) (agent.Config, error) {
	again, err := config.Load(r.source)
	if err != nil {
		return agent.Config{}, err
	}
	changed := config.Diff(r.inForce, again)
	for _, w := range append(changed.Warnings(), again.Warnings...) {
		r.log.WarnContext(ctx, "configuration", slog.String("option", w))
	}
	r.log.InfoContext(ctx, "the configuration file was read again", slog.Any("changed", changed.Live))
	before := r.inForce
	r.inForce = keepFixed(before, again)
	if err := r.journal.configure(r.inForce.Log); err != nil {
		r.log.ErrorContext(ctx, "the log stays as it was configured before", slog.Any("err", err))
		r.inForce.Log = before.Log
	}
	if err := r.watchdog.Configure(watchdogConfig(r.inForce.Watchdog)); err != nil {
		r.log.ErrorContext(ctx, "the watchdog keeps its old configuration", slog.Any("err", err))
	}
	if err := r.rest.configure(ctx, r.inForce.RestAPI); err != nil {
		r.log.ErrorContext(ctx, "the REST API keeps its old certificates", slog.Any("err", err))
		r.inForce.RestAPI.TLS = before.RestAPI.TLS
	}
	if called, err := agentPeerOptions(r.inForce.Ctl); err != nil {
		r.log.ErrorContext(ctx, "other members are called as before", slog.Any("err", err))
		r.inForce.Ctl = before.Ctl
	} else {
		r.peers.Configure(called)
	}
	return agentConfig(ctx, r.inForce, r.attendants), nil
}

// keepFixed is the new configuration with what only a new start of the agent brings into force: see config.Diff.
func keepFixed(inForce, again config.Config) config.Config {
	kept, pg := again, inForce.Postgres
	kept.Scope, kept.Namespace, kept.Name = inForce.Scope, inForce.Namespace, inForce.Name
	kept.RestAPI.Endpoint, kept.Etcd, kept.Aliases, kept.Guard = inForce.RestAPI.Endpoint, inForce.Etcd, inForce.Aliases, inForce.Guard
	kept.Postgres.Endpoint, kept.Postgres.DataDir, kept.Postgres.BinDir = pg.Endpoint, pg.DataDir, pg.BinDir
	kept.Postgres.Programs, kept.Postgres.ConfigDir, kept.Postgres.ConfigBase = pg.Programs, pg.ConfigDir, pg.ConfigBase
	kept.Postgres.PgPass, kept.Postgres.SocketDir, kept.Postgres.SocketForSuperuser = pg.PgPass, pg.SocketDir, pg.SocketForSuperuser
	kept.Postgres.Database, kept.Postgres.Proxy, kept.Postgres.Kerberos = pg.Database, pg.Proxy, pg.Kerberos
	return kept
}

// reloadOnHangup passes SIGHUP on until the context ends.
func reloadOnHangup(ctx context.Context, hangups <-chan os.Signal, reload func()) error {
	for {
		select {
		case <-hangups:
			reload()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// catchHangups keeps SIGHUP from ending the program; the returned function ends that.
func catchHangups() (<-chan os.Signal, func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	return hangups, func() { signal.Stop(hangups) }
}

// ownEnv is the environment of the process, taken out of it where it configures the agent: no program that is started
// later, a server's archive_command or an operator's script, may find passwords there.
func ownEnv() map[string]string {
	env := processEnv()
	for name := range env {
		if strings.HasPrefix(name, "PATRONI_") {
			os.Unsetenv(name) //nolint:errcheck // it fails for names that no environment has
		}
	}
	return env
}
