package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// Before the first tick a snapshot says that nothing is known.
func TestTheSnapshotBeforeTheFirstTick(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		h := b.host("n1")
		h.cutDCS()
		h.start()
		s := h.snapshot()
		if s.State != cluster.StateUnknown || s.Role != cluster.RoleUninitialized || s.Leading || !s.Seen.IsZero() {
			t.Errorf("the snapshot says %s, %s, leading %v, seen %v", s.State, s.Role, s.Leading, s.Seen)
		}
	})
}

// A snapshot says what the agent knows, and until when the agent leads.
func TestSnapshots(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		time.Sleep(time.Second)
		s := leader.snapshot()
		if s.State != cluster.StateRunning || s.Role != cluster.RolePrimary || !s.Leading || s.LeaseEnds != leader.life.lease() || s.Reason != "leading" {
			t.Errorf("the leader's snapshot says %s, %s, leading %v until %v: %s", s.State, s.Role, s.Leading, s.LeaseEnds, s.Reason)
		}
		if s.Next.Before(time.Now()) || s.Next.After(time.Now().Add(10*time.Second)) {
			t.Errorf("the next tick is due at %v, it is %v", s.Next, time.Now())
		}
		if s := b.followers()[0].snapshot(); s.Role != cluster.RoleReplica || s.Leading || s.Server.ReplicationState != cluster.ReplicationStreaming {
			t.Errorf("the replica's snapshot says %s, leading %v, %s", s.Role, s.Leading, s.Server.ReplicationState)
		}
	})
}

// Fresh is of a tick that began after the call, and gives up with its context.
func TestFresh(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		time.Sleep(5 * time.Second)
		old, asked := leader.snapshot(), time.Now()
		b.change(func() { leader.server.end += recordSize })
		s := leader.life.agent.Fresh(t.Context())
		if s.Began.Before(asked) || s.Server.Written != leader.see().end {
			t.Errorf("it began at %v, asked at %v, and shows %v, want %v", s.Began, asked, s.Server.Written, leader.see().end)
		}
		if took := time.Since(asked); took > 10*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if old == s {
			t.Error("it is the old snapshot")
		}

		leader.fault("answers no question", func() { leader.server.silent = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		asked = time.Now()
		if s := leader.life.agent.Fresh(ctx); !s.Began.Before(asked) || time.Since(asked) != time.Second {
			t.Errorf("the loop is stuck: got a snapshot of %v after %v", s.Began, time.Since(asked))
		}
	})
}

// After waits for the next snapshot.
func TestAfter(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		for range 5 {
			s, asked := leader.snapshot(), time.Now()
			next, err := leader.life.agent.After(t.Context(), s)
			if err != nil || next == s || time.Since(asked) > 11*time.Second {
				t.Errorf("got %v, %v after %v", next == s, err, time.Since(asked))
			}
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		if _, err := leader.life.agent.After(ctx, leader.snapshot()); !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}

// Observed looks at the server anew and does not wait for the loop.
func TestObserved(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		time.Sleep(5 * time.Second)
		old, err := leader.life.agent.After(t.Context(), leader.snapshot())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		b.change(func() { leader.server.end += recordSize })
		asked := time.Now()
		s := leader.life.agent.Observed(t.Context())
		if s.Server.Written != leader.see().end || s.Role != cluster.RolePrimary || time.Since(asked) > moment {
			t.Errorf("it shows %v, %s after %v, want %v", s.Server.Written, s.Role, time.Since(asked), leader.see().end)
		}
		if old.Server.Written == s.Server.Written || old != leader.snapshot() {
			t.Error("a published snapshot was changed")
		}
	})
}

// The member document is written at once when anything changes, and positions at most once per loop_wait.
func TestTheMemberDocument(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		replica := b.followers()[0]
		b.write(20 * time.Millisecond)
		time.Sleep(15 * time.Second)

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		writes := make(chan string, 1000)
		revision := kv.Version(b.picture().Revision)
		events := b.store.Watch(ctx, base+"members/"+replica.name, revision)
		go func() {
			defer close(writes)
			for e := range events {
				writes <- e.Value
			}
		}()
		began := time.Now()
		for time.Since(began) < time.Minute {
			replica.life.agent.Wake()
			time.Sleep(500 * time.Millisecond)
		}
		if n := len(writes); n < 5 || n > 7 {
			t.Errorf("positions were written %d times in a minute with a loop_wait of 10 s", n)
		}
		for len(writes) > 0 {
			<-writes
		}
		replica.crash()
		b.await(5*time.Second, "it streams again", b.healthy)
		cancel()
		var states []string
		for w := range writes {
			m := cluster.ParseMember("", w)
			states = append(states, string(m.State)+" "+m.ReplicationState)
		}
		t.Logf("the documents of a crash say %q", states)
		if len(states) < 3 || states[len(states)-1] != "running streaming" || b.leader() != leader {
			t.Errorf("the documents say %q", states)
		}
	})
}

// A member document that an operator deleted comes back.
func TestADeletedMemberDocumentComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2")
		for _, h := range b.all() {
			time.Sleep(3 * time.Second)
			b.remove("members/" + h.name)
			took := b.await(10*time.Second, "it is back", func() bool {
				_, there := b.value("members/" + h.name)
				return there
			})
			t.Logf("it is back after %v", took)
		}
	})
}
