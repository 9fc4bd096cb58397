package agent_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// agreeing begins a cluster with failsafe_mode.
func agreeing(b *lab, names ...string) *host {
	b.dynamic["failsafe_mode"] = true
	leader := b.start(names...)
	b.await(15*time.Second, "the leader has named the members to ask", func() bool {
		value, there := b.value("failsafe")
		for _, name := range names {
			there = there && strings.Contains(value, `"`+name+`"`)
		}
		return there
	})
	return leader
}

// With failsafe_mode a primary goes on without the DCS as long as all members answer.
func TestThePrimaryGoesOnWithoutTheDCS(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := agreeing(b, "n1", "n2", "n3")
		began := time.Now()
		for _, h := range b.all() {
			h.cutDCS()
		}
		b.await(ttl, "it relies on the others", func() bool { return leader.snapshot().FailsafeActive })
		time.Sleep(5 * ttl)
		for _, h := range b.followers() {
			if s := h.snapshot(); !s.FailsafeActive {
				t.Errorf("%s does not say that it relies on what was agreed", h.name)
			}
		}
		if s := leader.snapshot(); !s.Leading || s.LeaseEnds.Before(time.Now()) {
			t.Errorf("the leader's snapshot leads: %v, until %v", s.Leading, s.LeaseEnds)
		}
		for _, h := range b.all() {
			h.heal()
		}
		b.await(15*time.Second, "the leader has the key again, all stream", b.healthy)
		if gaps := b.outages(began); len(gaps) > 0 || b.leader() != leader || b.count().promotions != 0 {
			t.Errorf("writes were impossible for %v, %s leads after %d promotions", gaps, b.leader().name, b.count().promotions)
		}
	})
}

// One member that does not answer is one that may have been elected.
func TestAPrimaryThatNotAllAnswerStops(t *testing.T) {
	bubble(t, func(_ *testing.T, b *lab) {
		leader := agreeing(b, "n1", "n2", "n3")
		for _, h := range b.all() {
			h.cutDCS()
		}
		b.await(ttl, "it relies on the others", func() bool { return leader.snapshot().FailsafeActive })
		time.Sleep(ttl)
		b.followers()[0].isolate()
		b.await(ttl, "nobody accepts writes", func() bool { return !leader.see().writes() })
		for _, h := range b.all() {
			h.heal()
		}
		b.await(ttl+5*time.Second, "one leader, all others streaming", b.healthy)
	})
}

// A primary that alone cannot reach the DCS goes on as well: the others agreed not to race.
func TestNobodyRacesAgainstThePrimaryTheyAgreedTo(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := agreeing(b, "n1", "n2", "n3")
		began := time.Now()
		leader.cutDCS()
		time.Sleep(4 * ttl)
		if holder := b.holder(); holder != "" || !leader.see().writes() {
			t.Errorf("%q holds the leader key, and the primary accepts writes: %v", holder, leader.see().writes())
		}
		leader.heal()
		b.await(15*time.Second, "the leader has the key again, all stream", b.healthy)
		if gaps := b.outages(began); len(gaps) > 0 || b.leader() != leader {
			t.Errorf("writes were impossible for %v, %s leads", gaps, b.leader().name)
		}
	})
}

// Whenever a call meets the race: who agreed does not lead for a ttl, and who took the key had not agreed.
func TestTheRaceMeetsACall(t *testing.T) {
	agreements := 0
	for late := -2 * time.Millisecond; late < 12*time.Millisecond; late += 500 * time.Microsecond {
		t.Run(late.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := agreeing(b, "n1", "n2", "n3")
				leader.isolate()
				time.Sleep(time.Until(leader.life.lease()) + late)
				agreed := map[string]bool{}
				for _, h := range b.followers() {
					if code, _ := h.post("/failsafe", `{"name":"`+leader.name+`"}`); h != leader && code == http.StatusOK {
						agreed[h.member] = true
						agreements++
					}
				}
				for range 28 {
					time.Sleep(time.Second)
					if holder := b.holder(); agreed[holder] {
						t.Fatalf("%s agreed that another one goes on as the primary, and leads", holder)
					}
				}
				leader.heal()
				b.await(2*ttl, "one leader, all others streaming", b.healthy)
			})
		})
	}
	if agreements == 0 {
		t.Error("nobody agreed to anything: the test shows nothing")
	}
}

func TestWhoAgrees(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := agreeing(b, "n1", "n2")
		replica := b.followers()[0]
		time.Sleep(ttl/2 + 300*time.Millisecond) // between two turns of the loops
		call := func(h *host, name string) (int, string) { return h.post("/failsafe", `{"name":"`+name+`"}`) }
		if code, text := call(leader, replica.name); code != http.StatusInternalServerError || text != "Running as a leader" {
			t.Errorf("the leader answers %d %s", code, text)
		}
		if code, text := call(replica, leader.name); code != http.StatusOK || text != "Accepted" {
			t.Errorf("a replica answers %d %s", code, text)
		}
		if code, _ := call(replica, replica.name); code != http.StatusInternalServerError {
			t.Errorf("a replica that is told of itself answers %d", code)
		}
		// An operator promoted it, and the loop, woken by the calls, has ended its turn before.
		time.Sleep(time.Second)
		b.unseen(func() { replica.server.recovery = false })
		if code, _ := call(replica, leader.name); code != http.StatusInternalServerError {
			t.Errorf("a server that was promoted by hand answers %d", code)
		}
		b.unseen(func() { replica.server.recovery = true })
	})
}
