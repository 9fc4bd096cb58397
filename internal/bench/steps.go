package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

// figures are what one run measured, by the keys of the metrics.
type figures map[string]float64

// step is a part of a run.
type step struct {
	name string
	// do does it and fills in what it measured, with the key of each metric.
	do func(ctx context.Context, l *lab, f figures) error
}

// steps are one run in its order: first what needs a cluster that is new and idle, then what happens to it. No server is
// killed twice in a row, because a subject may rightly take a server that keeps dying for a broken one.
func steps() []step {
	return []step{
		{"rise", rise},
		{"idle", idle},
		{"rest", rest},
		{"version", version},
		{"restart", restart},
		{"switchover", switchover},
		{"switchover-sync", switchoverSync},
		{"switchover-quorum", switchoverQuorum},
		{"failover", failover},
		{"host", host},
		{"frozen", frozen},
	}
}

// rise starts three empty members.
func rise(ctx context.Context, l *lab, f figures) error {
	began := time.Now()
	if err := l.Start(); err != nil {
		return err
	}
	if err := l.whole(ctx); err != nil {
		return err
	}
	f["rise"] = time.Since(began).Seconds()
	return nil
}

// restart kills the postmaster of the leader, whose agent starts it again in place.
func restart(ctx context.Context, l *lab, f figures) error {
	before := ""
	gap, err := l.outage(ctx, func() error {
		before = l.leader
		return l.killServer(l.leader)
	})
	if err == nil && l.leader != before {
		err = fmt.Errorf("%s was not started in place, %s leads", before, l.leader)
	}
	return l.conclude(ctx, err, f, "restart", gap)
}

// failover does the same, where the subject is told to prefer a failover.
func failover(ctx context.Context, l *lab, f figures) error {
	if err := l.whole(ctx); err != nil {
		return err
	}
	if err := l.send(ctx, http.MethodPatch, "/config", `{"primary_start_timeout": 0}`); err != nil {
		return err
	}
	before := ""
	gap, err := l.outage(ctx, func() error {
		before = l.leader
		return l.killServer(l.leader)
	})
	if err == nil && l.leader == before {
		err = fmt.Errorf("%s leads again", before)
	}
	if err := l.conclude(ctx, err, f, "failover", gap); err != nil {
		return err
	}
	return l.send(ctx, http.MethodPatch, "/config", `{"primary_start_timeout": null}`)
}

// switchover hands the lead to a named standby.
func switchover(ctx context.Context, l *lab, f figures) error {
	gap, err := l.outage(ctx, func() error {
		body := fmt.Sprintf(`{"leader": %q, "candidate": %q}`, l.leader, l.others()[0])
		return l.send(ctx, http.MethodPost, "/switchover", body)
	})
	return l.conclude(ctx, err, f, "switchover", gap)
}

// host cuts the power of the leader's host: its agent, its server and whatever else it has. It comes back once another
// leads and a client writes.
func host(ctx context.Context, l *lab, f figures) error {
	gap, err := l.outage(ctx, func() error {
		lost := l.leader
		if err := cut(l.folder(lost)); err != nil {
			return err
		}
		if _, err := l.Ended(ctx, lost); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, wholeWithin)
		defer cancel()
		if err := l.writer.Written(ctx); err != nil {
			return err
		}
		return l.Start(lost)
	})
	return l.conclude(ctx, err, f, "host", gap)
}

// conclude notes an outage, unless something went wrong. A loss of acknowledged rows goes without saying only where they
// were written right before the outage, as replication is asynchronous.
func (l *lab) conclude(ctx context.Context, err error, f figures, key string, gap chaos.Gap) error {
	if err != nil {
		return err
	}
	f[key] = gap.Length().Seconds()
	_, err = l.writer.Audit(ctx, &gap)
	return err
}

// frozenFor is longer than a lease lasts.
const frozenFor = ttl + 10*time.Second

// frozen stops the leader's agent, and nothing else, for longer than its lease lasts, while clients write to all servers
// directly.
func frozen(ctx context.Context, l *lab, f figures) error {
	if err := l.whole(ctx); err != nil {
		return err
	}
	d, err := startDirect(ctx, l.Agents, l.leader)
	if err != nil {
		return err
	}
	gap, err := l.outage(ctx, func() error { return l.freeze(ctx) })
	d.end()
	if err != nil {
		return err
	}
	f["frozen_outage"], f["frozen_both"] = gap.Length().Seconds(), d.both().Seconds()
	lost, of, err := d.lost(ctx, l.leader)
	f["frozen_lost"], f["frozen_of"] = float64(lost), float64(of)
	return err
}

// freeze stops the agent of the leader for a while. What it does when it goes on is awaited by its end: its server must
// follow the new leader.
func (l *lab) freeze(ctx context.Context) error {
	member := l.leader
	if err := l.Signal(member, syscall.SIGSTOP); err != nil {
		return err
	}
	wait := time.NewTimer(frozenFor)
	defer wait.Stop()
	select {
	case <-wait.C:
		return l.Signal(member, syscall.SIGCONT)
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), l.Signal(member, syscall.SIGCONT))
	}
}

const (
	restConnections = 64
	restFor         = 5 * time.Second
	// restRate is how often it is asked in a second when the times of answers are what counts: at the most that it can do
	// client and server wait for each other's processors.
	restRate = 25000
)

// rest asks the leader's REST API, first as often as it answers.
func rest(ctx context.Context, l *lab, f figures) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	at := l.address(l.leader) + ":8008"
	served, err := ask(ctx, at, restConnections, 0, restFor)
	if err != nil {
		return err
	}
	paced, err := ask(ctx, at, restConnections, restRate, restFor)
	if err != nil {
		return err
	}
	f["rest_paced"], f["rest_paced_p99"] = paced.rate, float64(paced.p99.Microseconds())/1000
	f["rest_rate"], f["rest_p50"], f["rest_p99"] = served.rate, float64(served.p50.Microseconds())/1000, float64(served.p99.Microseconds())/1000
	return nil
}

// version runs the program for nothing but its version, as often as it takes for a median.
func version(ctx context.Context, l *lab, f figures) error {
	const times = 5
	var took []float64
	for range times {
		began := time.Now()
		if err := exec.CommandContext(ctx, l.subject.path, "--version").Run(); err != nil { //nolint:gosec // the program to measure
			return fmt.Errorf("run --version: %w", err)
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(took)
	f["version"] = median(took)
	return nil
}
