package chaos

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// leaseTime is the ttl of the agents under test, and a while more: whatever depends on a lease has happened by then.
const leaseTime = 20*time.Second + 4*time.Second

// TestAgentsFailsafe stops etcd for longer than the lease while a client writes. With failsafe_mode the primary goes on,
// because both others agree, and nobody else leads when etcd is back.
func TestAgentsFailsafe(t *testing.T) {
	t.Parallel()
	a := agents(t, AgentsConfig{Dynamic: map[string]any{"failsafe_mode": true}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	until(ctx, t, a, func() error {
		text, err := a.Document(ctx, "failsafe")
		if err == nil && len(text) < len(`{"n1":"","n2":"","n3":""}`) {
			err = fmt.Errorf("the failsafe key is %q", text)
		}
		return err
	})
	writer, err := StartWriter(ctx, a.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Stop()
	freezeEtcd(t, a, syscall.SIGSTOP)
	longest := writtenFor(ctx, t, writer, leaseTime)
	freezeEtcd(t, a, syscall.SIGCONT)
	await(ctx, t, a, a.Leads(leader))
	t.Logf("etcd was gone for %s, the longest pause between two rows was %s", leaseTime, longest)
	if longest > time.Second {
		t.Errorf("no row for %s", longest)
	}
	if _, err := writer.Audit(ctx, nil); err != nil {
		t.Error(err)
	}
}

// TestAgentsFailsafeNeedsAll stops etcd and freezes the agent of one replica: not all members agree, so the primary stops
// before its lease ends.
func TestAgentsFailsafeNeedsAll(t *testing.T) {
	t.Parallel()
	a := agents(t, AgentsConfig{Members: 2, Dynamic: map[string]any{"failsafe_mode": true}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	replica := other(a, leader)
	if err := a.Signal(replica, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	freezeEtcd(t, a, syscall.SIGSTOP)
	gone := time.Now()
	until(ctx, t, a, func() error { return readOnly(ctx, a, leader) })
	if took := time.Since(gone); took > leaseTime {
		t.Errorf("it accepted writes for %s without the DCS", took)
	}
	freezeEtcd(t, a, syscall.SIGCONT)
	if err := a.Signal(replica, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Whole)
}

// TestAgentsWithoutMajority takes two of three etcd members away. Without failsafe_mode the primary serves as long as its
// lease lasts, and a bit less (rule S2), and it leads again when they are back.
func TestAgentsWithoutMajority(t *testing.T) {
	t.Parallel()
	a := agents(t, AgentsConfig{Members: 2, EtcdMembers: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	names := a.EtcdNames()
	for _, name := range names[:2] {
		if err := a.SignalEtcd(name, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	gone := time.Now()
	until(ctx, t, a, func() error { return readOnly(ctx, a, leader) })
	took := time.Since(gone)
	t.Logf("without a majority it accepted writes for %s", took.Round(time.Millisecond))
	if took < 10*time.Second || took > 20*time.Second {
		t.Errorf("it accepted writes for %s of a lease of 20s", took)
	}
	for _, name := range names[:2] {
		if err := a.StartEtcd(name); err != nil {
			t.Fatal(err)
		}
	}
	await(ctx, t, a, a.Whole)
}

func freezeEtcd(t *testing.T, a *Agents, s syscall.Signal) {
	t.Helper()
	for _, name := range a.EtcdNames() {
		if err := a.SignalEtcd(name, s); err != nil {
			t.Fatal(err)
		}
	}
}

// writtenFor returns the longest pause between two acknowledged rows within the time from now on.
func writtenFor(ctx context.Context, t *testing.T, w *Writer, span time.Duration) time.Duration {
	t.Helper()
	var longest time.Duration
	end := time.Now().Add(span)
	for time.Now().Before(end) {
		before := time.Now()
		if err := w.Written(ctx); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(before))
	}
	return longest
}

// readOnly is nil once the server of a member accepts no writes.
func readOnly(ctx context.Context, a *Agents, member string) error {
	text, err := a.SQL(ctx, member, "select pg_is_in_recovery()")
	if err == nil && text != "t" {
		return fmt.Errorf("%s accepts writes", member)
	}
	return nil
}

// other is a member that is not the named one.
func other(a *Agents, than string) string {
	for _, name := range a.Names() {
		if name != than {
			return name
		}
	}
	return ""
}
