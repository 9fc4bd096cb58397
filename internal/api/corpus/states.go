package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

// record brings the cluster from state to state.
func (l *lab) record(ctx context.Context) error {
	steps := []func(context.Context) error{l.rise, l.plain, l.pending, l.scheduled, l.protected, l.failsafe, l.synchronous, l.quorum, l.paused, l.standby}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rise starts the members, n1 first so that it leads.
func (l *lab) rise(ctx context.Context) error {
	if err := l.Start("n1"); err != nil {
		return err
	}
	if err := l.until(ctx, "n1", `"role": "primary"`, `"xlog"`); err != nil {
		return err
	}
	if err := l.Start("n2", "n3"); err != nil {
		return err
	}
	for _, name := range []string{"n2", "n3"} {
		if err := l.until(ctx, name, `"replication_state": "streaming"`); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) plain(ctx context.Context) error {
	asked := slices.Concat(reads(), unreadable(), refused(), changes(), []request{post("/reinitialize", "{}"), {Method: http.MethodPost, Path: "/reinitialize"}})
	if err := l.keep(ctx, "leader", "n1", "", asked); err != nil {
		return err
	}
	if err := l.keep(ctx, "replica", "n2", "", slices.Concat(reads(), refused())); err != nil {
		return err
	}
	return l.keep(ctx, "tagged", "n3", "", reads())
}

// pending has a setting wait for a restart, which it never gets.
func (l *lab) pending(ctx context.Context) error {
	if err := l.Configure(ctx, "n1", `{"postgresql": {"parameters": {"max_connections": 101}}}`); err != nil {
		return err
	}
	for _, name := range []string{"n1", "n2"} {
		if err := l.until(ctx, name, `"pending_restart": true`); err != nil {
			return err
		}
		if err := l.told(ctx, "members/"+name, "pending_restart"); err != nil {
			return err
		}
	}
	for name, member := range map[string]string{"pending-leader": "n1", "pending-replica": "n2"} {
		if err := l.keep(ctx, name, member, "", few()); err != nil {
			return err
		}
	}
	if err := l.Configure(ctx, "n1", `{"postgresql": null}`); err != nil {
		return err
	}
	return l.turn(ctx)
}

func (l *lab) scheduled(ctx context.Context) error {
	if err := l.keep(ctx, "times", "n2", "", times()); err != nil {
		return err
	}
	if err := l.keep(ctx, "to-be-scheduled", "n1", "", schedules()); err != nil {
		return err
	}
	if err := l.told(ctx, "members/n1", "scheduled_restart"); err != nil {
		return err
	}
	return l.keep(ctx, "scheduled", "n1", "", slices.Concat(few(), deletions()))
}

// protected gives the API of n3 a login, and then a list.
func (l *lab) protected(ctx context.Context) error {
	reload := func(option string, value any) error {
		err := l.Edit("n3", func(file map[string]any) {
			section, _ := file["restapi"].(map[string]any)
			delete(section, "authentication")
			chaos.Set(file, value, "restapi", option)
		})
		if err != nil {
			return err
		}
		return l.Signal("n3", syscall.SIGHUP)
	}
	if err := reload("authentication", map[string]any{"username": "me", "password": "secret"}); err != nil {
		return err
	}
	if err := l.answers(ctx, "n3", http.StatusUnauthorized); err != nil {
		return err
	}
	if err := l.keep(ctx, "login", "n3", "login", access()); err != nil {
		return err
	}
	if err := reload("allowlist", []any{"192.0.2.0/24"}); err != nil {
		return err
	}
	if err := l.answers(ctx, "n3", http.StatusForbidden); err != nil {
		return err
	}
	return l.keep(ctx, "list", "n3", "list", access())
}

func (l *lab) failsafe(ctx context.Context) error {
	if err := l.keep(ctx, "no-failsafe", "n2", "", failsafe()); err != nil {
		return err
	}
	if err := l.Configure(ctx, "n1", `{"failsafe_mode": true}`); err != nil {
		return err
	}
	if err := l.told(ctx, "failsafe", "n1"); err != nil {
		return err
	}
	if err := l.turn(ctx); err != nil {
		return err
	}
	for name, member := range map[string]string{"failsafe-leader": "n1", "failsafe-replica": "n2"} {
		if err := l.keep(ctx, name, member, "", slices.Concat(few(), failsafe())); err != nil {
			return err
		}
	}
	return l.Configure(ctx, "n1", `{"failsafe_mode": null}`)
}

func (l *lab) synchronous(ctx context.Context) error {
	if err := l.Configure(ctx, "n1", `{"synchronous_mode": true}`); err != nil {
		return err
	}
	if err := l.until(ctx, "n2", `"sync_standby": true`); err != nil {
		return err
	}
	moves := []request{post("/switchover", `{"leader": "n1", "candidate": "n3"}`), post("/failover", `{"leader": "n1", "candidate": "n3"}`)}
	if err := l.keep(ctx, "sync-leader", "n1", "", append(reads(), moves...)); err != nil {
		return err
	}
	if err := l.keep(ctx, "sync-standby", "n2", "", reads()); err != nil {
		return err
	}
	return l.keep(ctx, "async-standby", "n3", "", reads())
}

func (l *lab) quorum(ctx context.Context) error {
	if err := l.Configure(ctx, "n1", `{"synchronous_mode": "quorum"}`); err != nil {
		return err
	}
	if err := l.until(ctx, "n2", `"quorum_standby": true`); err != nil {
		return err
	}
	for name, member := range map[string]string{"quorum-leader": "n1", "quorum-standby": "n2"} {
		if err := l.keep(ctx, name, member, "", reads()); err != nil {
			return err
		}
	}
	return l.Configure(ctx, "n1", `{"synchronous_mode": null}`)
}

// paused stops the server of n3 while nobody starts it, and lets the leader's agent die.
func (l *lab) paused(ctx context.Context) error {
	if err := l.Configure(ctx, "n1", `{"pause": true}`); err != nil {
		return err
	}
	for _, name := range l.Names() {
		if err := l.until(ctx, name, `"pause": true`); err != nil {
			return err
		}
	}
	asked := []request{
		post("/switchover", `{"leader": "n1"}`), post("/switchover", `{"leader": "n1", "scheduled_at": "`+later+`"}`),
		post("/switchover", `{"leader": "n1", "scheduled_at": "soon"}`), post("/restart", `{"schedule": "`+later+`"}`), post("/restart", `{"schedule": "soon"}`),
	}
	if err := l.keep(ctx, "paused-leader", "n1", "", append(reads(), asked...)); err != nil {
		return err
	}
	if err := l.keep(ctx, "paused-replica", "n2", "", reads()); err != nil {
		return err
	}
	if err := l.SignalServer("n3", syscall.SIGINT); err != nil {
		return err
	}
	if err := l.until(ctx, "n3", `"state": "stopped"`); err != nil {
		return err
	}
	if err := l.told(ctx, "members/n3", "stopped"); err != nil {
		return err
	}
	if err := l.keep(ctx, "stopped", "n3", "", reads()); err != nil {
		return err
	}
	if err := l.Signal("n1", syscall.SIGKILL); err != nil {
		return err
	}
	if err := l.until(ctx, "n2", `"cluster_unlocked": true`); err != nil {
		return err
	}
	if err := l.keep(ctx, "unlocked", "n2", "", slices.Concat(reads(), []request{post("/reinitialize", "{}"), post("/switchover", `{"leader": "n1"}`)})); err != nil {
		return err
	}
	if err := l.Start("n1"); err != nil {
		return err
	}
	if err := l.until(ctx, "n1", `"role": "primary"`, `"xlog"`); err != nil {
		return err
	}
	return l.Configure(ctx, "n1", `{"pause": null}`)
}

// standby makes a standby cluster of it, of which nobody is the source.
func (l *lab) standby(ctx context.Context) error {
	if err := l.told(ctx, "leader", "n1"); err != nil {
		return err
	}
	if err := l.Configure(ctx, "n1", `{"standby_cluster": {"host": "`+l.network()+`99", "port": 5432}}`); err != nil {
		return err
	}
	if err := l.until(ctx, "n1", `"role": "standby_leader"`, `"xlog"`); err != nil {
		return err
	}
	if err := l.told(ctx, "members/n1", "standby_leader"); err != nil {
		return err
	}
	for name, member := range map[string]string{"standby-leader": "n1", "standby-replica": "n2"} {
		if err := l.keep(ctx, name, member, "", reads()); err != nil {
			return err
		}
	}
	return nil
}

const lookEvery = 100 * time.Millisecond

// await looks until something is so. The error says what was waited for.
func await(ctx context.Context, what string, is func() bool) error {
	const within = time.Minute
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// until waits until the status of a member has all of that.
func (l *lab) until(ctx context.Context, member string, has ...string) error {
	err := await(ctx, member+" to have "+strings.Join(has, ", "), func() bool {
		e, err := l.ask(ctx, member, request{Method: http.MethodGet, Path: "/patroni"})
		return err == nil && !slices.ContainsFunc(has, func(part string) bool { return !strings.Contains(e.Answer, part) })
	})
	if err != nil {
		return err
	}
	return l.turn(ctx)
}

// told waits until a document of the DCS has something.
func (l *lab) told(ctx context.Context, key, has string) error {
	return await(ctx, key+" to have "+has, func() bool {
		text, err := l.Document(ctx, key)
		return err == nil && strings.Contains(text, has)
	})
}

// answers waits until a request without a login is answered like that.
func (l *lab) answers(ctx context.Context, member string, code int) error {
	return await(ctx, fmt.Sprintf("%s to answer %d", member, code), func() bool {
		e, err := l.ask(ctx, member, request{Method: http.MethodDelete, Path: "/restart"})
		return err == nil && e.Code == code
	})
}

// turn waits until the loops of all members have turned.
func (l *lab) turn(ctx context.Context) error {
	wait := time.NewTimer(3 * time.Second)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
