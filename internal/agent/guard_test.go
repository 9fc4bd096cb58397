package agent_test

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// justRenewed waits until the leader's lease is as long as it ever is.
func justRenewed(b *lab, leader *host) {
	b.t.Helper()
	b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
}

// The agent of the leader is killed and not started again: its server stops before anybody else can win (rule S3), no
// sooner than half of the margin before that, and another member leads.
func TestNobodyStartsTheLeadersAgentAgain(t *testing.T) {
	for _, phase := range []time.Duration{0, time.Second, 5 * time.Second, 9 * time.Second} {
		t.Run(phase.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.write(20 * time.Millisecond)
				justRenewed(b, leader)
				time.Sleep(phase)
				deadline := leader.life.lease()
				leader.kill()
				b.await(ttl, "it accepts no more writes", func() bool { return !leader.see().writes() })
				if early := time.Until(deadline); early > margin/2 || early <= 0 {
					t.Errorf("stopped %v before the deadline, want %v", early, margin/2)
				}
				b.await(ttl+2*time.Second, "another member leads", b.ledByAnother(leader))
				leader.start()
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
	}
}

// An agent that is started again before the deadline takes the running server over, and nobody notices.
func TestAnAgentTakesTheServerOver(t *testing.T) {
	for _, away := range []time.Duration{10 * time.Millisecond, time.Second, 10 * time.Second, ttl - margin/2 - time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.write(20 * time.Millisecond)
				justRenewed(b, leader)
				began := time.Now()
				leader.kill()
				time.Sleep(away)
				leader.start()
				time.Sleep(time.Minute)
				if b.leader() != leader || len(b.outages(began)) != 0 || !b.healthy() {
					t.Errorf("it was noticed: %v", b.outages(began))
				}
			})
		})
	}
}

// The same again and again: the guard of every life goes by the last one's order until the new agent has a lease.
func TestAnAgentThatIsKilledAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		began := time.Now()
		for range 20 {
			leader.kill()
			time.Sleep(3 * time.Second)
			leader.start()
			time.Sleep(4 * time.Second)
		}
		if b.leader() != leader || len(b.outages(began)) != 0 {
			t.Errorf("it was noticed: %v", b.outages(began))
		}
	})
}

// Without a guard nobody is promoted, and the member says so and lets another one lead.
func TestNoPromotionWithoutAGuard(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		chosen, other := b.followers()[0], b.followers()[1]
		chosen.fault("has no guard", func() { chosen.withoutGuard = true })
		b.put("failover", `{"leader":"`+leader.name+`","member":"`+chosen.name+`"}`)
		time.Sleep(10 * time.Second)
		if chosen.see().writes() {
			t.Error("it was promoted without a guard")
		}
		leader.lose()
		b.await(2*ttl, "the other member leads", func() bool { return b.leader() == other })
	})
}

// A guard that is gone for a while is no reason to give up a primary: it is armed again as soon as it is back.
func TestALeaderWhoseGuardIsGoneForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		began := time.Now()
		leader.fault("has no guard", func() { leader.withoutGuard = true })
		time.Sleep(15 * time.Second)
		leader.fault("has a guard", func() { leader.withoutGuard = false })
		time.Sleep(15 * time.Second)
		if b.leader() != leader || len(b.outages(began)) != 0 {
			t.Errorf("it was noticed: %v", b.outages(began))
		}
		justRenewed(b, leader)
		leader.freeze(ttl)
		b.await(ttl, "somebody leads", b.led)
		b.await(30*time.Second, "all stream", b.healthy)
	})
}

// Standbys have nothing to guard: their agents may be frozen or dead for as long as they like.
func TestAStandbyIsNotGuarded(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		frozen, dead := b.followers()[0], b.followers()[1]
		dead.kill()
		frozen.freeze(3 * ttl)
		for _, h := range []*host{frozen, dead} {
			if !h.see().streaming {
				t.Errorf("%s does not stream any more", h.name)
			}
		}
		dead.start()
		b.await(30*time.Second, "all stream", b.healthy)
	})
}

// A former leader is not guarded either.
func TestAFormerLeaderIsNotGuarded(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.put("failover", `{"leader":"`+leader.name+`"}`)
		b.await(10*time.Second, "another member leads, all stream", func() bool { return b.leader() != leader && b.healthy() })
		leader.freeze(2 * ttl)
		if !leader.see().streaming {
			t.Error("the guard of its time as the leader stopped it")
		}
	})
}

// A restart has no gap: an agent that is frozen at any time of it leaves no primary behind.
func TestAnAgentIsFrozenDuringARestart(t *testing.T) {
	for at := time.Duration(0); at < 100*time.Millisecond; at += 3 * time.Millisecond {
		t.Run(at.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				time.Sleep(time.Second)
				leader.life.agent.Queue(ha.Request{Kind: ha.RequestRestart})
				time.Sleep(at)
				leader.freeze(2 * ttl)
				b.await(5*time.Second, "somebody leads", b.led)
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
	}
}

// The same while its server is promoted, or comes back after a crash.
func TestAnAgentIsFrozenWhileItMakesAPrimary(t *testing.T) {
	for at := time.Duration(0); at < 300*time.Millisecond; at += 7 * time.Millisecond {
		t.Run("promoting "+at.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				b.start("n1", "n2", "n3")
				leader, next := b.leader(), b.followers()[0]
				b.put("failover", `{"leader":"`+leader.name+`","member":"`+next.name+`"}`)
				b.await(10*time.Second, "it has the key", func() bool { return b.holder() == next.name })
				time.Sleep(at)
				next.freeze(2 * ttl)
				b.await(5*time.Second, "somebody leads", b.led)
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
		t.Run("recovering "+at.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				leader.crash()
				time.Sleep(at)
				leader.freeze(2 * ttl)
				b.await(5*time.Second, "somebody leads", b.led)
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
	}
}

// An agent that is back between its guard's instant and its deadline finds its server stopped, and leads again if nobody
// else was quicker.
func TestAFrozenAgentIsBackRightBeforeItsDeadline(t *testing.T) {
	for _, frozen := range []time.Duration{27510 * time.Millisecond, 28 * time.Second, 29 * time.Second, 29900 * time.Millisecond} {
		t.Run(frozen.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.write(20 * time.Millisecond)
				justRenewed(b, leader)
				leader.freeze(frozen)
				b.await(5*time.Second, "somebody leads", b.led)
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
	}
}

// In pause the guard keeps its hands off as the agent does.
func TestNothingIsGuardedInPause(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.put("config", `{"ttl":30,"loop_wait":10,"retry_timeout":10,"pause":true}`)
		time.Sleep(15 * time.Second)
		for _, h := range b.all() {
			if len(h.guards) > 0 && h.guards[0].order != nil {
				t.Errorf("%s has an armed guard", h.name)
			}
		}
		b.put("config", `{"ttl":30,"loop_wait":10,"retry_timeout":10}`)
		time.Sleep(15 * time.Second)
		if b.leader() != leader || len(leader.guards) == 0 || leader.guards[0].order == nil {
			t.Error("the leader is not guarded after the pause")
		}
	})
}
