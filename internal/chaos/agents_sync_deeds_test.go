package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// deed is something that happens to a cluster in synchronous mode. What it breaks it mends.
type deed struct {
	kind string
	do   func(ctx context.Context, f *syncField, pic Picture) (string, error)
}

// movesBriefly are the deeds that move the lead at once, movesLate those that cost a lease.
func movesBriefly() []deed {
	return []deed{
		{"switchover to a candidate", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			to, err := f.candidate(ctx)
			if err != nil {
				return "", err
			}
			if err := f.switchover(ctx, pic.Leader, to); err != nil {
				return to, err
			}
			_, err = f.Await(ctx, func(pic Picture) error {
				if pic.Leader != to {
					return fmt.Errorf("%q leads and not %s", pic.Leader, to)
				}
				return nil
			})
			return "from " + pic.Leader + " to " + to, err
		}},
		{"switchover to anyone", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			if _, err := f.candidate(ctx); err != nil {
				return "", err
			}
			return "from " + pic.Leader, errors.Join(f.switchover(ctx, pic.Leader, ""), f.other(ctx, pic.Leader))
		}},
		{"server killed, another leads", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			if _, err := f.candidate(ctx); err != nil {
				return "", err
			}
			return pic.Leader, errors.Join(f.SignalServer(pic.Leader, syscall.SIGKILL), f.other(ctx, pic.Leader))
		}},
		{"leader's agent leaves", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			if _, err := f.candidate(ctx); err != nil {
				return "", err
			}
			err := errors.Join(f.Signal(pic.Leader, syscall.SIGTERM), f.other(ctx, pic.Leader))
			// The server that leaves waits for all standbys, the one that lags as well.
			err = errors.Join(err, f.caughtUp())
			_, ended := f.Ended(ctx, pic.Leader)
			return pic.Leader, errors.Join(err, ended, f.Start(pic.Leader))
		}},
		{"something killed during a switchover", brokenSwitchover},
	}
}

// brokenSwitchover asks for a switchover, and breaks something a moment later: it may come about or not.
func brokenSwitchover(ctx context.Context, f *syncField, pic Picture) (string, error) {
	to, err := f.candidate(ctx)
	if err != nil {
		return "", err
	}
	after := time.Duration(f.rng.IntN(400)) * time.Millisecond
	victim := anyOf(f, []string{pic.Leader, to})
	what := anyOf(f, []string{"server", "agent", "etcd"})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		// Whoever was killed does not answer.
		_, _, _ = f.Send(ctx, pic.Leader, "POST", "/switchover", fmt.Sprintf(`{"leader": %q, "candidate": %q}`, pic.Leader, to))
	}()
	err = pass(ctx, after)
	switch what {
	case "server":
		// It may be down just now.
		if f.Postmaster(victim) != 0 {
			_, _ = f.SignalProcesses(victim, "", syscall.SIGKILL)
		}
	case "agent":
		err = errors.Join(err, f.Signal(victim, syscall.SIGKILL), f.Start(victim))
	case "etcd":
		victim = "all"
		err = errors.Join(err, etcdFrozen(ctx, f, f.EtcdNames(), time.Second))
	}
	<-answered
	_, led := f.led(ctx)
	return fmt.Sprintf("from %s to %s, %s of %s after %s", pic.Leader, to, what, victim, after), errors.Join(err, led)
}

// etcdFrozen freezes members of etcd for a while.
func etcdFrozen(ctx context.Context, f *syncField, names []string, d time.Duration) (err error) {
	for _, name := range names {
		err = errors.Join(err, f.SignalEtcd(name, syscall.SIGSTOP))
	}
	err = errors.Join(err, pass(ctx, d))
	for _, name := range names {
		err = errors.Join(err, f.SignalEtcd(name, syscall.SIGCONT))
	}
	return err
}

func movesLate() []deed {
	return []deed{
		{"leader's host lost", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			return pic.Leader, errors.Join(f.Cut(ctx, pic.Leader), f.other(ctx, pic.Leader), f.Start(pic.Leader))
		}},
		{"leader's agent killed", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			return pic.Leader, errors.Join(f.Signal(pic.Leader, syscall.SIGKILL), f.other(ctx, pic.Leader), f.Start(pic.Leader))
		}},
		{"leader's agent frozen", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			return pic.Leader, errors.Join(f.Signal(pic.Leader, syscall.SIGSTOP), f.other(ctx, pic.Leader), f.Signal(pic.Leader, syscall.SIGCONT))
		}},
		{"two hosts lost", twoHosts},
		{"all hosts lost", allHosts},
	}
}

// allHosts cuts the power of all members, and gives it back to the replicas first: those who hold everything may lead.
func allHosts(ctx context.Context, f *syncField, pic Picture) (string, error) {
	for _, name := range f.shuffled(f.Names()) {
		if err := f.Cut(ctx, name); err != nil {
			return pic.Leader, err
		}
	}
	p, err := f.promise(ctx)
	for _, name := range f.followers(pic) {
		err = errors.Join(err, f.Start(name))
	}
	if err != nil {
		return pic.Leader, err
	}
	note := pic.Leader + " comes last"
	if p.Leader == pic.Leader && len(p.Voters) > p.Quorum {
		err = f.other(ctx, pic.Leader)
	} else {
		note += ", nobody may lead"
		err = f.nobody(ctx, p.JSON())
	}
	return note, errors.Join(err, f.Start(pic.Leader))
}

// twoHosts cuts the power of the leader and of another member, in any order.
func twoHosts(ctx context.Context, f *syncField, pic Picture) (string, error) {
	return pairLost(ctx, f, pic, f.shuffled([]string{pic.Leader, f.followers(pic)[0]}))
}

// pairLost cuts the power of one member and then of another, and gives it back in any order. Where the promise needs one of
// them nobody may lead meanwhile; where the leader is none of them it goes on.
func pairLost(ctx context.Context, f *syncField, pic Picture, pair []string) (string, error) {
	note := strings.Join(pair, " and ") + " of " + pic.Leader
	for i, name := range pair {
		if err := f.Cut(ctx, name); err != nil {
			return note, err
		}
		// In half of the runs the leader has time to do without the one that is gone.
		if i == 0 && name != pic.Leader && f.rng.IntN(2) == 0 {
			note += " after a while"
			if _, err := f.whole(ctx); err != nil {
				return note, err
			}
		}
	}
	p, err := f.promise(ctx)
	if err != nil {
		return note, err
	}
	alive := slices.DeleteFunc(append([]string{p.Leader}, p.Voters...), func(name string) bool { return slices.Contains(pair, name) })
	switch {
	case !slices.Contains(pair, pic.Leader):
		err = f.written(ctx, 10)
	case p.Leader == pic.Leader && len(alive) > p.Quorum:
		err = f.other(ctx, pic.Leader)
	default:
		note += ", nobody may lead"
		err = f.nobody(ctx, p.JSON())
	}
	for _, name := range f.shuffled(pair) {
		err = errors.Join(err, f.Start(name))
	}
	return note, err
}

// nobody makes sure that the lease ends and nobody takes it.
func (f *syncField) nobody(ctx context.Context, promise string) error {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	if _, err := f.Await(limited, func(pic Picture) error {
		if pic.Leader != "" {
			return fmt.Errorf("%s leads", pic.Leader)
		}
		return nil
	}); err != nil {
		return err
	}
	watched, cancel := context.WithTimeout(ctx, takesOver)
	defer cancel()
	if pic, err := f.Await(watched, func(pic Picture) error {
		if pic.Leader == "" {
			return errors.New("nobody leads")
		}
		return nil
	}); err == nil {
		return fmt.Errorf("%s leads, although %s was promised\n%s", pic.Leader, promise, f.explain(ctx))
	}
	return ctx.Err()
}

// disturbances are deeds that leave the lead where it is. Another deed may come before the cluster is whole again.
func disturbances() []deed {
	return []deed{
		{"leader's agent killed, started at once", func(_ context.Context, f *syncField, pic Picture) (string, error) {
			return pic.Leader, errors.Join(f.Signal(pic.Leader, syscall.SIGKILL), f.Start(pic.Leader))
		}},
		{"server killed, restarted in place", restartedInPlace},
		{"server frozen for 3 s", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			_, err := f.SignalProcesses(pic.Leader, "", syscall.SIGSTOP)
			err = errors.Join(err, pass(ctx, 3*time.Second))
			_, thawed := f.SignalProcesses(pic.Leader, "", syscall.SIGCONT)
			return pic.Leader, errors.Join(err, thawed)
		}},
		{"etcd frozen for 2 s", func(ctx context.Context, f *syncField, _ Picture) (string, error) {
			names := f.shuffled(f.EtcdNames())[:2]
			return strings.Join(names, " and "), etcdFrozen(ctx, f, names, 2*time.Second)
		}},
		{"synchronous standby restarted", func(ctx context.Context, f *syncField, _ Picture) (string, error) {
			p, err := f.promise(ctx)
			if err != nil || len(p.Voters) == 0 {
				return p.JSON(), err
			}
			name := anyOf(f, p.Voters)
			code, text, err := f.Send(ctx, name, "POST", "/restart", "{}")
			if err == nil && code != 200 {
				err = fmt.Errorf("restart %s: %d %s\n%s", name, code, text, f.explain(ctx))
			}
			return name, err
		}},
		{"replica's host lost", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			name := f.followers(pic)[0]
			return name, errors.Join(f.Cut(ctx, name), f.written(ctx, 100), f.Start(name))
		}},
		{"two replicas' hosts lost", func(ctx context.Context, f *syncField, pic Picture) (string, error) {
			pair := f.followers(pic)[:2]
			err := errors.Join(f.Cut(ctx, pair[0]), f.Cut(ctx, pair[1]), f.written(ctx, 100))
			return strings.Join(pair, " and "), errors.Join(err, f.Start(f.shuffled(pair)...))
		}},
		{"nosync and sync_priority changed", func(_ context.Context, f *syncField, pic Picture) (string, error) {
			name, noSync, priority := f.followers(pic)[0], true, f.rng.IntN(3)
			for other, is := range f.noSync {
				if is {
					name, noSync = other, false // one at a time: enough of them must be left
				}
			}
			return fmt.Sprintf("%s: nosync %t, sync_priority %d", name, noSync, priority), f.tag(name, noSync, priority)
		}},
		{"maximum_lag_on_syncnode changed", func(ctx context.Context, f *syncField, _ Picture) (string, error) {
			lag := anyOf(f, []string{"-1", "16777216", "1048576"})
			return lag, f.configure(ctx, `{"maximum_lag_on_syncnode": `+lag+`}`)
		}},
		{"synchronous mode off and on", func(ctx context.Context, f *syncField, _ Picture) (string, error) {
			before := f.want
			f.clients.books.weaken()
			err := f.set(ctx, promised{mode: "off", nodes: before.nodes})
			if err == nil {
				_, err = f.whole(ctx)
			}
			return before.String(), errors.Join(err, f.written(ctx, 50), f.set(ctx, before))
		}},
	}
}

// kindsOfPromise are the ways in which a run may want to be synchronous. Not among them is strict with as many nodes as
// there are replicas that may be lost at once: commits would wait for good.
func kindsOfPromise() []promised {
	return []promised{
		{"quorum", false, 1},
		{"quorum", false, 2},
		{"quorum", true, 1},
		{"quorum", true, 2},
		{"on", false, 1},
		{"on", false, 2},
		{"on", true, 1},
		{"on", true, 2},
	}
}

// restartedInPlace kills the leader's server, which its agent starts again.
func restartedInPlace(ctx context.Context, f *syncField, pic Picture) (string, error) {
	if err := f.configure(ctx, `{"primary_start_timeout": 300}`); err != nil {
		return pic.Leader, err
	}
	// The agent must have heard of it; nothing outside tells.
	err := pass(ctx, time.Second)
	was := f.Postmaster(pic.Leader)
	err = errors.Join(err, f.SignalServer(pic.Leader, syscall.SIGKILL))
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	if _, started := f.Await(limited, func(pic Picture) error {
		if now := f.Postmaster(pic.Leader); now == 0 || now == was {
			return fmt.Errorf("the server of %q is process %d", pic.Leader, now)
		}
		return nil
	}); started != nil {
		return pic.Leader, errors.Join(err, started)
	}
	return pic.Leader, errors.Join(err, f.configure(ctx, `{"primary_start_timeout": 0}`))
}

// lagging stops the process that receives WAL on a replica that no commit waits for alone, until caughtUp.
func (f *syncField) lagging(ctx context.Context, pic Picture) (string, error) {
	p, err := f.promise(ctx)
	if err != nil {
		return "", err
	}
	names := slices.DeleteFunc(f.followers(pic), func(name string) bool { return p.Quorum == 0 && p.Names(name) })
	if len(names) == 0 {
		return "nobody", nil
	}
	n, err := f.SignalProcesses(names[0], "walreceiver", syscall.SIGSTOP)
	if err != nil || n != 1 {
		return names[0], errors.Join(err, fmt.Errorf("%s has %d receivers of WAL", names[0], n))
	}
	f.lags = names[0]
	return f.lags, f.written(ctx, 20)
}

// caughtUp has the standby that lags go on.
func (f *syncField) caughtUp() error {
	if f.lags == "" {
		return nil
	}
	_, err := f.SignalProcesses(f.lags, "walreceiver", syscall.SIGCONT)
	f.lags = ""
	return err
}
