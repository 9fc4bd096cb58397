package agent_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

func TestSwitchoverToACandidate(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.write(7 * time.Millisecond)
		time.Sleep(5 * time.Second)
		candidate, began := b.followers()[1], time.Now()
		code, text := leader.post("/switchover", fmt.Sprintf(`{"leader": %q, "candidate": %q}`, leader.name, candidate.name))
		if want := fmt.Sprintf("Successfully switched over to %q", candidate.name); code != http.StatusOK || text != want {
			t.Errorf("the answer is %d %s, want %s", code, text, want)
		}
		if b.leader() != candidate {
			t.Errorf("%s leads after the answer, want %s", b.leader().name, candidate.name)
		}
		outage := b.outage(began)
		t.Logf("writes were impossible for %v, of which %v are the shutdown and %v the promotion", outage, shutdownTime, promoteTime)
		if outage > shutdownTime+promoteTime+60*time.Millisecond {
			t.Errorf("writes were impossible for %v", outage)
		}
		took := b.await(10*time.Second, "the former leader streams", b.healthy)
		t.Logf("the former leader streams %v after that", took)
		if b.count().rewinds != 0 {
			t.Errorf("%d rewinds: the candidate had not received everything", b.count().rewinds)
		}
		if f, _ := b.value("failover"); f != "{}" {
			t.Errorf("the failover key is %s", f)
		}
	})
}

// A machine that is gone, and still listed, slows a switchover down by what it takes to find out that it is silent, once.
func TestSwitchoverBesideALostMember(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3", "n4")
		b.write(50 * time.Millisecond)
		lost := b.followers()[0]
		lost.lose()
		began := time.Now()
		code, text := leader.post("/switchover", fmt.Sprintf(`{"leader": %q}`, leader.name))
		if code != http.StatusOK || b.leader() == leader || b.leader() == lost {
			t.Errorf("the answer is %d %s", code, text)
		}
		outage := b.outage(began)
		t.Logf("writes were impossible for %v", outage)
		if outage > time.Second+shutdownTime+promoteTime+60*time.Millisecond {
			t.Errorf("writes were impossible for %v", outage)
		}
	})
}

func TestSwitchoverWithoutACandidate(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.write(50 * time.Millisecond)
		for range 5 {
			began := time.Now()
			// Any agent may be asked.
			code, text := b.followers()[0].post("/switchover", fmt.Sprintf(`{"leader": %q}`, leader.name))
			if code != http.StatusOK || b.leader() == leader {
				t.Fatalf("the answer is %d %s", code, text)
			}
			if outage := b.outage(began); outage > shutdownTime+promoteTime+60*time.Millisecond {
				t.Errorf("writes were impossible for %v", outage)
			}
			b.await(10*time.Second, "one leader, all others streaming", b.healthy)
			leader = b.leader()
		}
	})
}

func TestSwitchoverToADeadCandidate(t *testing.T) {
	for name, kill := range map[string]func(*host){
		"its machine is lost": (*host).lose,
		"its server is down": func(h *host) {
			h.fault("does not start", func() { h.server.unstarting = true })
			h.crash()
		},
		"its agent was killed":   (*host).kill,
		"its server is isolated": (*host).isolate,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				candidate := b.followers()[0]
				kill(candidate)
				time.Sleep(moment)
				began := time.Now()
				body := fmt.Sprintf(`{"leader": %q, "candidate": %q}`, leader.name, candidate.name)
				if code, text := leader.post("/switchover", body); code != http.StatusPreconditionFailed {
					t.Errorf("the answer is %d %s", code, text)
				}
				// Whoever writes the key without asking gets no further.
				b.put("failover", fmt.Sprintf(`{"leader":%q,"member":%q}`, leader.name, candidate.name))
				time.Sleep(15 * time.Second)
				if b.leader() != leader || len(b.outages(began)) != 0 {
					t.Errorf("the leader did not stay: %v", b.outages(began))
				}
				if f, _ := b.value("failover"); f != "{}" {
					t.Errorf("the failover key is %s", f)
				}
			})
		})
	}
}

// The candidate dies while the leader stops for it: the leader comes up again, nothing is lost.
func TestTheCandidateDiesDuringTheSwitchover(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		candidate := b.followers()[0]
		began := time.Now()
		b.put("failover", fmt.Sprintf(`{"leader":%q,"member":%q}`, leader.name, candidate.name))
		b.await(time.Second, "the leader stops", func() bool { return !leader.see().writes() })
		candidate.lose()
		b.await(20*time.Second, "the leader leads again", func() bool { return b.leader() == leader })
		t.Logf("writes were impossible for %v", b.outage(began))
		time.Sleep(ttl)
		candidate.start()
		b.await(5*time.Second, "one leader, all others streaming", b.healthy)
		if b.leader() != leader {
			t.Error("the lead changed")
		}
	})
}

// The candidate dies when it has the last WAL and the leader has given up the key: the others carry on.
func TestTheCandidateDiesBeforeItsPromotion(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 50 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			bubble(t, func(_ *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				candidate := b.followers()[0]
				b.put("failover", fmt.Sprintf(`{"leader":%q,"member":%q}`, leader.name, candidate.name))
				b.await(time.Second, "the key is free", func() bool { return b.holder() != leader.name })
				time.Sleep(after)
				candidate.lose()
				b.await(ttl+2*time.Second, "somebody leads", b.ledByAnother(candidate))
				candidate.start()
				b.await(30*time.Second, "one leader, all others streaming", b.healthy)
			})
		})
	}
}

// The candidate cannot be promoted: somebody else leads before long.
func TestTheCandidateCannotBePromoted(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		candidate, began := b.followers()[0], time.Now()
		candidate.fault("cannot be promoted", func() { candidate.server.unpromoted = true })
		b.put("failover", fmt.Sprintf(`{"leader":%q,"member":%q}`, leader.name, candidate.name))
		b.await(time.Second, "the leader stops", func() bool { return !leader.see().writes() })
		b.await(ttl+2*time.Second, "somebody leads", b.led)
		outage := b.outage(began)
		t.Logf("writes were impossible for %v", outage)
		if outage > 5*time.Second {
			t.Errorf("writes were impossible for %v", outage)
		}
	})
}

func TestScheduledSwitchover(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		candidate, at := b.followers()[0], time.Now().Add(47*time.Second).UTC()
		body := fmt.Sprintf(`{"leader": %q, "candidate": %q, "scheduled_at": %q}`, leader.name, candidate.name, at.Format(time.RFC3339Nano))
		if code, text := leader.post("/switchover", body); code != http.StatusAccepted {
			t.Fatalf("the answer is %d %s", code, text)
		}
		b.await(50*time.Second, "the leader gives up", func() bool { return !leader.see().writes() })
		if late := time.Since(at); late < 0 || late > 50*time.Millisecond {
			t.Errorf("the leader gave up %v after the time it was told", late)
		}
		b.await(2*time.Second, "the candidate leads", func() bool { return b.leader() == candidate })
	})
}

// A failover without a leader: the candidate leads at once.
func TestFailoverToACandidate(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		candidate := b.followers()[1]
		leader.lose()
		time.Sleep(time.Second)
		if code, text := candidate.post("/failover", fmt.Sprintf(`{"candidate": %q}`, candidate.name)); code != http.StatusServiceUnavailable {
			t.Logf("the answer is %d %s", code, text)
		}
		b.await(ttl+2*time.Second, "the candidate leads", func() bool { return b.leader() == candidate })
		if p := candidate.life.agent.Ask(t.Context(), []string{candidate.name}); p[candidate.name].InRecovery || p[candidate.name] == (ha.Peer{}) {
			t.Errorf("the new leader says of itself %+v", p)
		}
	})
}

// A member that may never lead does not, and is no candidate.
func TestNofailoverNeverLeads(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.host("n1")
		n1.start()
		b.await(5*time.Second, "n1 leads", b.healthy)
		n2 := b.host("n2")
		n2.tags = map[string]any{"nofailover": true}
		n2.start()
		b.await(5*time.Second, "n2 streams", b.healthy)
		if code, text := n1.post("/switchover", `{"leader": "n1", "candidate": "n2"}`); code != http.StatusPreconditionFailed {
			t.Errorf("the answer is %d %s", code, text)
		}
		n1.lose()
		time.Sleep(2 * time.Minute)
		if b.count().promotions != 0 {
			t.Error("n2 was promoted")
		}
		n1.start()
		b.await(10*time.Second, "n1 leads again", b.healthy)
	})
}
