package agent_test

import (
	"testing"
	"time"
)

const (
	margin = ttl / 6
	// reaction is how long the loop may take from the instant at which it has to act.
	reaction = 50 * time.Millisecond
)

// A leader that cannot reach the DCS stays primary until its deadline minus the margin, and no longer (rule S2).
func TestALeaderWithoutTheDCS(t *testing.T) {
	for name, cut := range map[string]func(*host){"cut off from the DCS": (*host).cutDCS, "cut off from everything": (*host).isolate} {
		for _, phase := range []time.Duration{0, 1700 * time.Millisecond, 4 * time.Second, 8500 * time.Millisecond, 9900 * time.Millisecond} {
			t.Run(name+" at "+phase.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T, b *lab) {
					leader := b.start("n1", "n2", "n3")
					b.write(50 * time.Millisecond)
					b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
					time.Sleep(phase)
					deadline := leader.life.lease()
					cut(leader)
					b.await(ttl, "it accepts no more writes", func() bool { return !leader.see().writes() })
					early, late := deadline.Add(-margin), deadline.Add(-margin+reaction)
					if now := time.Now(); now.Before(early) || now.After(late) {
						t.Errorf("it gave up the primary role %v before its deadline, want %v", deadline.Sub(now), margin)
					}
					b.await(ttl, "another member leads", b.ledByAnother(leader))
					if time.Now().Before(deadline) || time.Since(deadline) > 2*time.Second {
						t.Errorf("another member leads %v after the deadline", time.Since(deadline))
					}
					time.Sleep(time.Minute)
					leader.heal()
					took := b.await(15*time.Second, "it streams from the new leader", b.healthy)
					t.Logf("it streams again %v after the partition", took)
				})
			})
		}
	}
}

// The same with a server that does not answer questions: looking at it takes seconds, and the deadline does not wait.
func TestALeaderWithoutTheDCSWhoseServerIsSlow(t *testing.T) {
	for _, phase := range []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 8 * time.Second} {
		t.Run(phase.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				b.dynamic["ttl"], b.dynamic["loop_wait"], b.dynamic["retry_timeout"] = 20, 1, 3
				leader := b.start("n1", "n2", "n3")
				leader.fault("answers no question", func() { leader.server.silent = true })
				time.Sleep(20*time.Second + phase)
				leader.cutDCS()
				b.await(20*time.Second, "it accepts no more writes", func() bool { return !leader.see().writes() })
				if left := time.Until(leader.life.lease()); left < 500*time.Millisecond {
					t.Errorf("it gave up the primary role only %v before its deadline", left)
				}
			})
		})
	}
}

// The DCS is away for less than the lease: nobody notices.
func TestAShortOutageOfTheDCS(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		began := time.Now()
		for range 5 {
			for _, h := range b.all() {
				h.cutDCS()
			}
			time.Sleep(ttl - margin - 12*time.Second)
			for _, h := range b.all() {
				h.heal()
			}
			time.Sleep(15 * time.Second)
		}
		if b.leader() != leader || len(b.outages(began)) != 0 || !b.healthy() {
			t.Errorf("the outages were noticed: %v", b.outages(began))
		}
	})
}

// The DCS is away for longer than the lease: the cluster goes on with the same leader when it is back.
func TestALongOutageOfTheDCS(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		b.write(50 * time.Millisecond)
		for _, h := range b.all() {
			h.cutDCS()
		}
		time.Sleep(2 * time.Minute)
		for _, h := range b.all() {
			if h.see().writes() {
				t.Errorf("%s accepts writes without a lease", h.name)
			}
		}
		for _, h := range b.all() {
			h.heal()
		}
		took := b.await(10*time.Second, "one leader, all others streaming", b.healthy)
		t.Logf("healthy %v after the DCS is back", took)
	})
}

// A crashed primary comes back under its lease although the DCS cannot be reached.
func TestACrashDuringAnOutageOfTheDCS(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
		began := time.Now()
		leader.cutDCS()
		time.Sleep(5 * time.Second)
		leader.crash()
		b.await(10*time.Second, "it accepts writes again", func() bool { return leader.see().writes() })
		t.Logf("writes were impossible for %v", b.outage(began))
		leader.heal()
		time.Sleep(time.Minute)
		if b.leader() != leader || b.count().promotions != 0 {
			t.Error("the lead changed")
		}
	})
}

// An agent that begins during an outage of the DCS leaves a standby alone and accepts no writes.
func TestAnAgentBeginsDuringAnOutageOfTheDCS(t *testing.T) {
	bubble(t, func(_ *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		for _, h := range b.all() {
			h.kill()
			h.cutDCS()
		}
		time.Sleep(time.Minute)
		for _, h := range b.all() {
			h.start()
		}
		b.await(10*time.Second, "nobody accepts writes", func() bool { return !leader.see().writes() })
		time.Sleep(30 * time.Second)
		for _, h := range b.all() {
			h.heal()
		}
		b.await(10*time.Second, "one leader, all others streaming", b.healthy)
	})
}

// The DCS applied a write whose answer was lost: nothing is done twice, and there is one leader (rule S8).
func TestLostAnswers(t *testing.T) {
	for _, key := range []string{"leader", "status", "failover", "history"} {
		t.Run(key, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				for range 3 {
					for _, h := range b.all() {
						h.life.dcs.LoseNextAnswer(base + key)
					}
					candidate := b.followers()[0]
					b.put("failover", `{"leader":"`+leader.name+`","member":"`+candidate.name+`"}`)
					b.await(ttl+2*time.Second, "one leader, all others streaming", func() bool { return b.leader() != leader && b.healthy() })
					leader = b.leader()
					if leader != candidate {
						t.Errorf("%s leads, want the candidate %s", leader.name, candidate.name)
					}
				}
				if b.count().promotions != 3 {
					t.Errorf("%d promotions, want 3", b.count().promotions)
				}
			})
		})
	}
}

// The answers of the acquisition are lost after the leader's machine is.
func TestALostAnswerOfTheAcquisition(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		for _, h := range b.followers() {
			h.life.dcs.LoseNextAnswer(base + "leader")
		}
		lease := leader.life.lease()
		leader.lose()
		b.await(ttl+2*time.Second, "another member leads", b.ledByAnother(leader))
		t.Logf("another member leads %v after the lease ended", time.Since(lease))
		time.Sleep(time.Minute)
		if b.count().promotions != 1 {
			t.Errorf("%d promotions, want one", b.count().promotions)
		}
	})
}

// A server that is on its way to accept writes when the DCS goes away is stopped in time, too.
func TestALeaderWithoutTheDCSWhileItsServerComesUp(t *testing.T) {
	for _, slow := range []time.Duration{20 * time.Second, 25 * time.Second, 27 * time.Second, 29 * time.Second, 31 * time.Second, 33 * time.Second} {
		t.Run("recovering for "+slow.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
				leader.fault("recovers slowly", func() { leader.server.slow = slow })
				leader.crash()
				time.Sleep(moment)
				leader.cutDCS()
				b.await(ttl+2*time.Second, "another member leads", b.ledByAnother(leader))
				time.Sleep(time.Minute)
			})
		})
		t.Run("promoting for "+slow.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2")
				replica := b.followers()[0]
				leader.lose()
				replica.fault("is promoted slowly", func() { replica.server.slow = slow })
				b.await(ttl+2*time.Second, "the replica has the key", func() bool { return b.holder() == replica.name })
				replica.cutDCS()
				time.Sleep(20 * time.Second)
				leader.start()
				time.Sleep(time.Minute)
			})
		})
	}
}

// The leader gave its key up and is cut off before it could see what became of it. Its lease lasts, and its last picture
// was its own; it starts no primary beside the new one.
func TestALeaderIsCutOffAfterItGaveUpTheKey(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 1500 * time.Microsecond, 2 * time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond} {
		for name, lead := range map[string]func(b *lab, leader *host){
			"in a switchover": func(b *lab, leader *host) { b.put("failover", `{"leader":"`+leader.name+`"}`) },
			"after a crash":   func(_ *lab, leader *host) { leader.crash() },
			"as it cannot start": func(_ *lab, leader *host) {
				leader.fault("does not start", func() { leader.server.unstarting = true })
				leader.crash()
			},
		} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				bubble(t, func(_ *testing.T, b *lab) {
					b.dynamic["primary_start_timeout"] = 0
					leader := b.start("n1", "n2", "n3")
					lead(b, leader)
					for b.holder() == leader.name {
						time.Sleep(100 * time.Microsecond)
					}
					time.Sleep(after)
					leader.isolate()
					b.await(2*time.Second, "another member leads", b.ledByAnother(leader))
					time.Sleep(time.Minute)
					leader.fault("starts again", func() { leader.server.unstarting = false })
					leader.heal()
					b.await(30*time.Second, "all stream", b.healthy)
				})
			})
		}
	}
}

// An agent that could not run for a while, but for less than its guard waits, goes on as the leader.
func TestAFrozenAgentIsBackBeforeItsDeadline(t *testing.T) {
	for _, frozen := range []time.Duration{5 * time.Second, 15 * time.Second, 24 * time.Second, 26 * time.Second, 27 * time.Second} {
		t.Run(frozen.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.await(15*time.Second, "the lease was just renewed", func() bool { return time.Until(leader.life.lease()) > ttl-2*moment })
				began := time.Now()
				leader.freeze(frozen)
				time.Sleep(time.Minute)
				if b.leader() != leader || len(b.outages(began)) != 0 {
					t.Errorf("the leader changed: %v", b.outages(began))
				}
			})
		})
	}
}
