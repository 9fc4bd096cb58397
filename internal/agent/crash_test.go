package agent_test

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/postgres"
)

const ttl = 30 * time.Second

// The leader's postmaster is killed: it is started again in place, nobody else gets the lead.
func TestACrashedServerIsStartedInPlace(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		time.Sleep(15 * time.Second)
		began, key := time.Now(), b.picture().Leader.Version
		leader.crash()
		b.await(5*time.Second, "the leader leads again", b.healthy)
		outage := b.outage(began)
		t.Logf("writes were impossible for %v, of which %v are crash recovery", outage, recoveryTime)
		if outage > recoveryTime+10*time.Millisecond {
			t.Errorf("writes were impossible for %v", outage)
		}
		if b.leader() != leader || b.count().promotions != 0 || b.picture().Leader.Version != key {
			t.Error("the lead changed")
		}
	})
}

func TestACrashedReplicaStreamsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		b.write(50 * time.Millisecond)
		time.Sleep(15 * time.Second)
		b.followers()[0].crash()
		time.Sleep(moment)
		took := b.await(5*time.Second, "it streams again", b.healthy)
		t.Logf("it streams again after %v", took)
		if b.count().rewinds != 0 {
			t.Errorf("%d rewinds", b.count().rewinds)
		}
	})
}

// The server does not come up again: another member leads.
func TestAServerThatCannotBeStarted(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		time.Sleep(15 * time.Second)
		began := time.Now()
		leader.fault("does not start any more", func() { leader.server.unstarting = true })
		leader.crash()
		took := b.await(5*time.Second, "another member leads", b.ledByAnother(leader))
		t.Logf("another member leads after %v", took)
		time.Sleep(5 * time.Second)
		if m, _ := b.picture().Member(leader.name); m.State != "crashed" && m.State != "start failed" {
			t.Errorf("the server that does not start is %q", m.State)
		}
		leader.fault("starts again", func() { leader.server.unstarting = false })
		b.await(20*time.Second, "all stream", b.healthy)
		if outage := b.outage(began); outage > time.Second {
			t.Errorf("writes were impossible for %v", outage)
		}
	})
}

// primary_start_timeout: 0 prefers another member to crash recovery.
func TestACrashIsAFailoverWhereThatIsChosen(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.dynamic["primary_start_timeout"] = 0
		leader := b.start("n1", "n2", "n3")
		b.write(50 * time.Millisecond)
		time.Sleep(15 * time.Second)
		began := time.Now()
		leader.crash()
		b.await(5*time.Second, "another member leads", b.ledByAnother(leader))
		outage := b.outage(began)
		t.Logf("writes were impossible for %v, of which %v are the promotion", outage, promoteTime)
		if outage > promoteTime+50*time.Millisecond {
			t.Errorf("writes were impossible for %v", outage)
		}
		b.await(20*time.Second, "all stream", b.healthy)
	})
}

// The machine of the leader is gone. Nobody takes over before its lease can have ended, and somebody does soon
// after. When it comes back with writes that nobody received, it is rewound.
func TestTheLeadersMachineIsLost(t *testing.T) {
	for name, diverges := range map[string]bool{"with all its writes received": false, "with writes that nobody received": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				time.Sleep(15 * time.Second)
				if diverges {
					leader.isolate()
					b.change(func() { leader.server.end += 5 * recordSize })
				}
				lease, began := leader.life.lease(), time.Now()
				leader.lose()
				b.await(ttl+2*time.Second, "another member leads", b.ledByAnother(leader))
				if time.Now().Before(lease) {
					t.Errorf("another member leads %v before the lease ended", time.Until(lease))
				}
				t.Logf("another member leads %v after the lease ended, writes were impossible for %v", time.Since(lease), b.outage(began))
				if late := time.Since(lease); late > promoteTime+100*time.Millisecond {
					t.Errorf("another member leads only %v after the lease ended", late)
				}
				time.Sleep(5 * time.Second)
				leader.heal()
				leader.start()
				b.await(10*time.Second, "the lost member streams", b.healthy)
				// Whoever crashed as a primary may hold WAL that nobody received; pg_rewind finds out.
				if b.count().rewinds != 1 {
					t.Errorf("%d rewinds, want one", b.count().rewinds)
				}
			})
		})
	}
}

// The agent is restarted beside its running primary, which is adopted as it is.
func TestAnAgentAdoptsARunningPrimary(t *testing.T) {
	for name, away := range map[string]time.Duration{"at once": 0, "just in time": 25 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.write(50 * time.Millisecond)
				b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
				began, incarnation := time.Now(), leader.see().incarnation
				leader.kill()
				time.Sleep(away)
				leader.start()
				b.await(time.Second, "the leader key is bound to the new lease", func() bool { return leader.snapshot().Leading })
				time.Sleep(time.Minute)
				if b.leader() != leader || leader.see().incarnation != incarnation || len(b.outages(began)) != 0 || b.count().promotions != 0 {
					t.Errorf("the running primary was not left alone: %v", b.outages(began))
				}
			})
		})
	}
}

// The agent is restarted beside its running standby, which is adopted as it is.
func TestAnAgentAdoptsARunningStandby(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		replica := b.followers()[0]
		incarnation := replica.see().incarnation
		replica.kill()
		time.Sleep(time.Minute)
		replica.start()
		b.await(3*time.Second, "all stream", b.healthy)
		if replica.see().incarnation != incarnation {
			t.Error("the running standby was restarted")
		}
	})
}

// Agent and server of the leader died together, and the agent is back before its lease ends: a healthy standby takes
// over at once, rather than after the crash recovery or at the end of the lease.
func TestAnAgentIsBackWithoutItsServer(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.write(50 * time.Millisecond)
		time.Sleep(15 * time.Second)
		leader.kill()
		leader.crash()
		time.Sleep(5 * time.Second)
		leader.start()
		took := b.await(2*time.Second, "another member leads", b.ledByAnother(leader))
		t.Logf("another member leads %v after the agent is back", took)
		b.await(20*time.Second, "all stream", b.healthy)
	})
}

// The same with nobody who could take over: the member itself goes on leading.
func TestALoneAgentIsBackWithoutItsServer(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.start("n1")
		n1.kill()
		n1.crash()
		time.Sleep(5 * time.Second)
		n1.start()
		took := b.await(2*time.Second, "it leads again", b.healthy)
		t.Logf("it leads again %v after the agent is back", took)
	})
}

// Everything was down, for longer than any lease lasts.
func TestEverythingWasDown(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.write(50 * time.Millisecond)
		time.Sleep(15 * time.Second)
		end := leader.see().end
		for _, h := range b.all() {
			h.lose()
		}
		time.Sleep(2 * ttl)
		for _, h := range b.all() {
			h.start()
		}
		b.await(10*time.Second, "one leader, all others streaming", b.healthy)
		if b.leader().see().end < end {
			t.Errorf("writes up to %v are lost, the cluster is at %v", end, b.leader().see().end)
		}
	})
}

// A server that lives and does not answer is not dead (rule S7).
func TestASilentServerKeepsItsRole(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		began := time.Now()
		leader.fault("answers no question", func() { leader.server.silent = true })
		time.Sleep(2 * time.Minute)
		leader.fault("answers again", func() { leader.server.silent = false })
		time.Sleep(time.Minute)
		if b.leader() != leader || len(b.outages(began)) != 0 || !b.healthy() {
			t.Errorf("the silent leader lost its role:\n%s", b.describe())
		}
	})
}

// The leader's data directory vanishes, or cannot be looked at, under its running server: that one ends before another
// member leads.
func TestTheLeadersDataAreGone(t *testing.T) {
	for name, gone := range map[string]func(s *server){
		"unreadable": func(s *server) { s.unreadable = true },
		"empty":      func(s *server) { s.data = postgres.DataEmpty },
		"incomplete": func(s *server) { s.data = postgres.DataIncomplete },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				leader.fault(name, func() { gone(leader.server) })
				took := b.await(12*time.Second, "another member leads", b.ledByAnother(leader))
				t.Logf("another member leads after %v", took)
				time.Sleep(time.Minute)
				leader.fault("readable again", func() { leader.server.unreadable = false })
				b.await(30*time.Second, "all stream", b.healthy)
			})
		})
	}
}

// The checkpoint after a promotion fails at first. Whoever has to be rewound does not wait for PostgreSQL's own.
func TestTheCheckpointAfterThePromotionFails(t *testing.T) {
	bubble(t, func(_ *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		leader.lose()
		next := b.followers()
		b.await(ttl+2*time.Second, "another member is promoted", func() bool { return b.count().promotions > 0 && b.led() })
		for _, h := range next {
			h.fault("answers nothing", func() { h.server.silent = true })
		}
		time.Sleep(5 * time.Second)
		for _, h := range next {
			h.fault("answers again", func() { h.server.silent = false })
		}
		leader.start()
		b.await(30*time.Second, "all stream", b.healthy)
	})
}
