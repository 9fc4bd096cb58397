package agent_test

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// The leader key vanishes under a healthy leader: it takes the key back, and nobody else does.
func TestTheLeaderKeyVanishes(t *testing.T) {
	for name, vanish := range map[string]func(b *lab, leader *host){
		"deleted by an operator": func(b *lab, _ *host) { b.remove("leader") },
		"and the answer of taking it back is lost": func(b *lab, leader *host) {
			leader.life.dcs.LoseNextAnswer(base + "leader")
			b.remove("leader")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				time.Sleep(5 * time.Second)
				began := time.Now()
				vanish(b, leader)
				took := b.await(time.Second, "somebody leads", b.led)
				t.Logf("the key is back after %v", took)
				time.Sleep(time.Minute)
				if b.leader() != leader || len(b.outages(began)) != 0 || !b.healthy() {
					t.Errorf("the leader changed: %v", b.outages(began))
				}
			})
		})
	}
}

// The lease itself is revoked. With it goes the leader's document, so that others may be faster; the former leader then
// ends its server before another one accepts writes.
func TestTheLeadersLeaseIsRevoked(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		b.write(20 * time.Millisecond)
		for range 5 {
			if err := b.store.Revoke(t.Context(), kv.LeaseID(b.picture().Leader.Lease)); err != nil {
				t.Error(err)
			}
			b.await(20*time.Second, "one leader, all others streaming", b.healthy)
		}
	})
}

// An agent that could not run for longer than its lease: the guard stopped its server, another member leads, and it
// becomes that one's standby.
func TestAFrozenAgentIsBackAfterItsDeadline(t *testing.T) {
	for _, frozen := range []time.Duration{29900 * time.Millisecond, 30 * time.Second, 30500 * time.Millisecond, time.Minute} {
		t.Run(frozen.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.write(20 * time.Millisecond)
				b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
				leader.freeze(frozen)
				b.await(3*time.Second, "somebody leads", b.led)
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
	}
}

// Nobody who has no right to is made a primary while the DCS keeps a member waiting: each call of the loop may take as
// long as it is allowed to.
func TestASlowDCS(t *testing.T) {
	for _, slow := range []time.Duration{100 * time.Millisecond, time.Second, 2500 * time.Millisecond} {
		t.Run(slow.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				for _, h := range b.all() {
					h.life.dcs.slow(slow)
				}
				time.Sleep(2 * time.Minute)
				if b.leader() != leader || b.count().promotions != 0 {
					t.Error("the leader changed because the DCS is slow")
				}
				leader.lose()
				b.await(ttl+10*time.Second, "another member leads", b.ledByAnother(leader))
				leader.start()
				b.await(time.Minute, "all stream", b.healthy)
			})
		})
	}
}
