package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// ledBy moves the lead until a member of the kind has it.
func (f *mixedField) ledBy(ctx context.Context, kind string) (string, error) {
	for {
		pic, err := f.settled(ctx, false)
		if err != nil || f.kind(pic.Leader) == kind {
			return pic.Leader, err
		}
		note, err := f.handOver(ctx, pic, "switchover", func(name string) bool { return f.kind(name) == kind })
		if err != nil {
			return "", fmt.Errorf("%s: %w", note, err)
		}
	}
}

// TestMixedFailsafe freezes etcd for longer than a lease: with failsafe_mode a leader of either kind goes on with the
// consent of the members of the other.
func TestMixedFailsafe(t *testing.T) {
	_, four := kinds(t.Context(), t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	f := newMixedField(ctx, t, seeded(t), four, []bool{true, false, false}, promised{mode: "quorum", nodes: 1}, func(c *AgentsConfig) {
		c.Dynamic["failsafe_mode"] = true
	})
	defer f.report(ctx)
	for _, kind := range []string{"pgbaton", "patroni"} {
		leader, err := f.ledBy(ctx, kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.inTime(ctx, func(ctx context.Context) error { return f.knowsAll(ctx, leader) }); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := etcdFrozen(ctx, f.syncField, f.EtcdNames(), frozenTTL+5*time.Second); err != nil {
			t.Fatal(err)
		}
		pic, err := f.settled(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		outage := f.clients.books.outage(began)
		t.Logf("%s leads, etcd does not answer: no write for %d ms", f.named(leader), outage.Milliseconds())
		if pic.Leader != leader || outage > calm {
			t.Errorf("%s led, %s leads after etcd was frozen, no write for %s", f.named(leader), f.named(pic.Leader), outage)
		}
	}
}

// knowsAll says which member is missing in what the leader wrote of those whose consent it will need.
func (f *mixedField) knowsAll(ctx context.Context, leader string) error {
	text, err := f.Document(ctx, "failsafe")
	if err != nil {
		return err
	}
	for _, p := range f.Places() {
		if !strings.Contains(text, fmt.Sprintf("%q:%q", p.Name, f.api(p.Address)+"/patroni")) {
			return fmt.Errorf("%s leads and /failsafe is %s: %s is missing", f.named(leader), text, p.Name)
		}
	}
	return nil
}

// TestMixedSlots moves the lead between the kinds: a permanent logical slot has on each new leader what its consumer has
// not confirmed yet, and nothing that it has, and the physical ones are there as well.
func TestMixedSlots(t *testing.T) {
	_, four := kinds(t.Context(), t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	f := newMixedField(ctx, t, seeded(t), four, []bool{true, false, false}, promised{mode: "on", nodes: 1}, func(c *AgentsConfig) {
		Set(c.Dynamic, "logical", "postgresql", "parameters", "wal_level")
	})
	defer f.report(ctx)
	// Only the marks below are decoded: the clients' rows would be many.
	f.clients.Stop()
	order := []string{"pgbaton", "patroni", "pgbaton", "patroni"}
	first, err := f.ledByQuietly(ctx, order[0])
	if err != nil {
		t.Fatal(err)
	}
	// The slots are made when all members are there: a clone has no WAL from before itself, whatever a slot says.
	const slots = `{"slots": {"consumer": {"type": "logical", "database": "postgres", "plugin": "test_decoding"}, "archive": {"type": "physical"}}}`
	if err := f.Configure(ctx, first, slots); err != nil {
		t.Fatal(err)
	}
	for i, kind := range order {
		leader, err := f.ledByQuietly(ctx, kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.consumes(ctx, leader, i); err != nil {
			t.Fatalf("%s leads: %v", f.named(leader), err)
		}
	}
}

// ledByQuietly does so without clients.
func (f *mixedField) ledByQuietly(ctx context.Context, kind string) (string, error) {
	for {
		pic, err := f.whole(ctx)
		if err != nil || f.kind(pic.Leader) == kind {
			return pic.Leader, err
		}
		if _, err := f.handOver(ctx, pic, "switchover", func(name string) bool { return f.kind(name) == kind }); err != nil {
			return "", err
		}
	}
}

// consumes reads the mark that was left on the former leader, confirms it, leaves the next one, and waits until all members
// have the slots that far.
func (f *mixedField) consumes(ctx context.Context, leader string, round int) error {
	const slots = "select string_agg(slot_name, ',' order by slot_name) from pg_replication_slots where slot_name in ('archive', 'consumer') and wal_status <> 'lost'"
	err := f.inTime(ctx, func(ctx context.Context) error { return answers(ctx, f.Agents, leader, slots, "archive,consumer") })
	if err != nil {
		return err
	}
	changes := "select string_agg(substring(data from 'mark [0-9]+'), ',') from pg_logical_slot_get_changes('consumer', null, null) where data like '%mark %'"
	wanted := ""
	if round > 0 {
		wanted = fmt.Sprintf("mark %d", round-1)
	}
	if got, err := f.SQL(ctx, leader, changes); err != nil || got != wanted {
		return errors.Join(err, fmt.Errorf("the slot has %q and not %q", got, wanted))
	}
	confirmed, err := f.SQL(ctx, leader, "select confirmed_flush_lsn from pg_replication_slots where slot_name = 'consumer'")
	if err != nil {
		return err
	}
	for _, name := range slices.DeleteFunc(f.Names(), func(name string) bool { return name == leader }) {
		// A standby's slot moves on when WAL comes.
		_, err := f.SQL(ctx, leader, "select pg_switch_wal()")
		if err != nil {
			return err
		}
		there := "select coalesce(bool_or(slot_name = 'consumer' and confirmed_flush_lsn >= '" + confirmed + "'), false) and count(*) = 2 " +
			"from pg_replication_slots where slot_name in ('archive', 'consumer')"
		if err := f.inTime(ctx, func(ctx context.Context) error { return answers(ctx, f.Agents, name, there, "t") }); err != nil {
			return fmt.Errorf("the slots of %s are not at %s: %w", f.named(name), confirmed, err)
		}
	}
	_, err = f.SQL(ctx, leader, fmt.Sprintf("create table if not exists marks (what text); insert into marks values ('mark %d')", round))
	return err
}
