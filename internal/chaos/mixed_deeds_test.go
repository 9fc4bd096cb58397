package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// mixedDeed is something that happens to a cluster of both kinds. What it breaks it mends.
type mixedDeed struct {
	kind string
	do   func(ctx context.Context, f *mixedField, pic Picture) (string, error)
}

// mixedMoves are the deeds that move the lead at once, mixedLate those that cost a lease.
func mixedMoves() []mixedDeed {
	return []mixedDeed{
		{"switchover to the other kind", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			return f.handOver(ctx, pic, "switchover", func(name string) bool { return f.kind(name) != f.kind(pic.Leader) })
		}},
		{"switchover to anybody", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			k, tool := f.tool()
			_, err := f.operate(ctx, k, "switchover", "--force", "--leader", pic.Leader)
			return "from " + f.named(pic.Leader) + " by " + tool, errors.Join(err, f.other(ctx, pic.Leader))
		}},
		{"failover to a candidate", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			return f.handOver(ctx, pic, "failover", func(string) bool { return true })
		}},
		{"server killed, another leads", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			return f.named(pic.Leader), errors.Join(f.SignalServer(pic.Leader, syscall.SIGKILL), f.other(ctx, pic.Leader))
		}},
		{"leader's agent leaves", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			err := f.Signal(pic.Leader, syscall.SIGTERM)
			_, ended := f.Ended(ctx, pic.Leader)
			return f.named(pic.Leader), errors.Join(err, ended, f.heirs(ctx, pic.Leader), f.Start(pic.Leader))
		}},
	}
}

func mixedLate() []mixedDeed {
	return []mixedDeed{
		{"leader's host lost", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			return f.named(pic.Leader), errors.Join(f.Cut(ctx, pic.Leader), f.heirs(ctx, pic.Leader), f.Start(pic.Leader))
		}},
		{"leader's agent killed", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			if f.KindOf(pic.Leader) != nil {
				// Nobody stops the server of a Patroni that is gone: it is started again while its lease lasts.
				name := f.spared(pic, pic.Leader)
				return f.named(name) + " comes back", errors.Join(f.Signal(name, syscall.SIGKILL), f.Start(name))
			}
			return f.named(pic.Leader), errors.Join(f.Signal(pic.Leader, syscall.SIGKILL), f.heirs(ctx, pic.Leader), f.Start(pic.Leader))
		}},
	}
}

// heirs waits until another member than this one leads. Where the promise names nobody else it is not waited for: a
// Patroni that leads has for a moment no synchronous standby after each of their streams broke.
func (f *mixedField) heirs(ctx context.Context, than string) error {
	p, err := f.promise(ctx)
	if err != nil {
		return err
	}
	if p.Leader == than && len(p.Voters) == 0 && f.want.mode != "off" {
		return nil
	}
	return f.other(ctx, than)
}

// named is a member with its kind.
func (f *mixedField) named(name string) string { return name + " (" + f.kind(name) + ")" }

// handOver has a tool move the lead to a member that may have it, of those wanted where one of them may.
func (f *mixedField) handOver(ctx context.Context, pic Picture, how string, wanted func(string) bool) (string, error) {
	note, err := f.handOverOnce(ctx, pic, how, wanted)
	// A Patroni that leads looks once in a loop, and may then choose another standby than the one that it promised a moment ago.
	if err != nil && strings.Contains(err.Error(), "candidate name does not match with sync_standby") {
		if pic, err = f.whole(ctx); err == nil {
			note, err = f.handOverOnce(ctx, pic, how, wanted)
		}
	}
	return note, err
}

func (f *mixedField) handOverOnce(ctx context.Context, pic Picture, how string, wanted func(string) bool) (string, error) {
	to, err := f.heir(ctx, pic, wanted)
	if err != nil {
		return "", err
	}
	k, tool := f.tool()
	args := []string{how, "--force", "--candidate", to}
	if how == "switchover" {
		args = append(args, "--leader", pic.Leader)
	}
	note := "from " + f.named(pic.Leader) + " to " + f.named(to) + " by " + tool
	if _, err := f.operate(ctx, k, args...); err != nil {
		return note, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	_, err = f.Await(limited, f.holds(to))
	return note, err
}

// heir draws a member that may be handed the lead, one of those wanted where one of them may.
func (f *mixedField) heir(ctx context.Context, pic Picture, wanted func(string) bool) (string, error) {
	able := f.followers(pic)
	if f.want.mode != "off" {
		p, err := f.promise(ctx)
		if err != nil {
			return "", err
		}
		able = f.shuffled(p.Voters)
	}
	if len(able) == 0 {
		return "", fmt.Errorf("nobody can be the candidate: %s", f.documents(ctx))
	}
	return able[max(0, slices.IndexFunc(able, wanted))], nil
}

// holds is the condition that a member has the leader key.
func (f *mixedField) holds(name string) func(Picture) error {
	return func(pic Picture) error {
		if pic.Leader != name {
			return fmt.Errorf("%q leads and not %s", pic.Leader, name)
		}
		return nil
	}
}

// mixedDisturbances leave the lead where it is.
func mixedDisturbances() []mixedDeed {
	return []mixedDeed{
		{"an agent killed, started at once", func(_ context.Context, f *mixedField, pic Picture) (string, error) {
			name := f.spared(pic, anyOf(f.syncField, f.Names()))
			return f.named(name), errors.Join(f.Signal(name, syscall.SIGKILL), f.Start(name))
		}},
		{"server killed, restarted in place", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			note, err := restartedInPlace(ctx, f.syncField, pic)
			return f.named(note), err
		}},
		{"replica's server killed", func(_ context.Context, f *mixedField, pic Picture) (string, error) {
			name := f.followers(pic)[0]
			return f.named(name), f.SignalServer(name, syscall.SIGKILL)
		}},
		{"replica's host lost", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			name := f.followers(pic)[0]
			return f.named(name), errors.Join(f.Cut(ctx, name), f.written(ctx, 20), f.Start(name))
		}},
		{"leader restarted", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			return f.restarted(ctx, pic.Leader)
		}},
		{"replica restarted", func(ctx context.Context, f *mixedField, pic Picture) (string, error) {
			return f.restarted(ctx, f.followers(pic)[0])
		}},
		{"replica reinitialized", reinitialized},
		{"pause and resume", paused},
		{"a setting reloaded", reloaded},
		{"synchronous mode off and on", func(ctx context.Context, f *mixedField, _ Picture) (string, error) {
			before := f.want
			k, tool := f.tool()
			if err := f.ask(ctx, k, promised{mode: "off", nodes: before.nodes}); err != nil {
				return before.String(), err
			}
			_, err := f.whole(ctx)
			k, other := f.tool()
			return tool + ", " + other, errors.Join(err, f.written(ctx, 20), f.ask(ctx, k, before))
		}},
	}
}

// spared is this member, or another one where its agent must not begin anew beside a server that runs: Patroni 3 writes
// its settings anew then and forgets the names of the synchronous standbys, while its promise stays.
func (f *mixedField) spared(pic Picture, name string) string {
	if k := f.KindOf(name); k != nil && !k.Quorum() && name == pic.Leader && f.want.mode != "off" {
		return f.followers(pic)[0]
	}
	return name
}

func (f *mixedField) restarted(ctx context.Context, name string) (string, error) {
	k, tool := f.tool()
	was := f.Postmaster(name)
	_, err := f.operate(ctx, k, "restart", "postgresql-cluster", name, "--force")
	if now := f.Postmaster(name); err == nil && now == was {
		err = fmt.Errorf("the server of %s was not restarted", name)
	}
	return f.named(name) + " by " + tool, err
}

// reinitialized has a replica cloned anew.
func reinitialized(ctx context.Context, f *mixedField, pic Picture) (string, error) {
	k, tool := f.tool()
	name := f.followers(pic)[0]
	was := f.Postmaster(name)
	if _, err := f.operate(ctx, k, "reinit", "postgresql-cluster", name, "--force"); err != nil {
		return f.named(name), err
	}
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	_, err := f.Await(limited, func(Picture) error {
		if now := f.Postmaster(name); now == 0 || now == was {
			return fmt.Errorf("the server of %s is process %d", name, now)
		}
		return nil
	})
	return f.named(name) + " by " + tool, err
}

// paused has one tool take the agents' hands off, breaks what they would mend, and has the other tool resume.
func paused(ctx context.Context, f *mixedField, pic Picture) (string, error) {
	k, tool := f.tool()
	if _, err := f.operate(ctx, k, "pause", "--wait"); err != nil {
		return tool, err
	}
	for _, name := range f.shuffled(f.Names()) {
		if f.spared(pic, name) != name {
			continue
		}
		was := f.Postmaster(name)
		err := f.Signal(name, syscall.SIGTERM)
		_, ended := f.Ended(ctx, name)
		if now := f.Postmaster(name); now != was {
			err = errors.Join(err, fmt.Errorf("in pause the server of %s is process %d and was %d after its agent left", f.named(name), now, was))
		}
		if err := errors.Join(err, ended, f.Start(name)); err != nil {
			return tool, err
		}
		if err := f.reached(ctx, name, "/liveness", 200); err != nil {
			return tool, err
		}
		if now := f.Postmaster(name); now != was {
			return tool, fmt.Errorf("in pause the server of %s is process %d and was %d after its agent came back", f.named(name), now, was)
		}
	}
	k, other := f.tool()
	_, err := f.operate(ctx, k, "resume", "--wait")
	now, seen := f.led(ctx)
	if err == nil && seen == nil && now.Leader != pic.Leader {
		err = fmt.Errorf("in pause the lead moved from %s to %s", pic.Leader, now.Leader)
	}
	return tool + ", " + other, errors.Join(err, seen)
}

// reloaded changes a setting for all by a tool, and waits until every server has it.
func reloaded(ctx context.Context, f *mixedField, _ Picture) (string, error) {
	k, tool := f.tool()
	value := fmt.Sprint(1000 + f.rng.IntN(9000))
	if err := f.edit(ctx, k, "postgresql.parameters.log_min_duration_statement="+value); err != nil {
		return tool, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	_, err := f.Await(limited, func(Picture) error {
		for _, name := range f.Names() {
			got, err := f.SQL(limited, name, "select setting from pg_settings where name = 'log_min_duration_statement'")
			if err != nil || got != value {
				return errors.Join(err, fmt.Errorf("log_min_duration_statement of %s is %s and not %s", f.named(name), got, value))
			}
		}
		return nil
	})
	_, told := f.operate(ctx, k, append([]string{"reload", "postgresql-cluster", "--force"}, f.Names()...)...)
	return tool, errors.Join(err, told)
}

// transitions are how often the lead went from which kind to which.
func (f *mixedField) transitions() map[string]int {
	f.leads.mu.Lock()
	defer f.leads.mu.Unlock()
	counts, last := map[string]int{}, ""
	for _, s := range f.leads.seen {
		if s.Name == "" {
			continue
		}
		if last != "" && last != s.Name {
			counts[f.kind(last)+" to "+f.kind(s.Name)]++
		}
		last = s.Name
	}
	return counts
}

// crossed is how often the lead went from one kind to the other.
func (f *mixedField) crossed() int {
	counts := f.transitions()
	return counts["patroni to pgbaton"] + counts["pgbaton to patroni"]
}
