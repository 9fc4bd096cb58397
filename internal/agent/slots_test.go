package agent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// slotNames are the slots of a host's server, sorted.
func (h *host) slotNames() string {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	var names []string
	for _, s := range h.server.seenSlots() {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

func (h *host) slotOf(name string) postgres.Slot {
	h.lab.mu.Lock()
	defer h.lab.mu.Unlock()
	slot, _ := h.server.slot(name)
	return slot
}

// slotsEverywhere waits until every server has the slots of all others, and these besides.
func (b *lab) slotsEverywhere(besides ...string) {
	b.t.Helper()
	b.await(15*time.Second, "every server has the slots of all others", func() bool {
		for _, h := range b.all() {
			want := slices.Clone(besides)
			for _, other := range b.all() {
				if other != h && other.life != nil {
					want = append(want, other.name)
				}
			}
			slices.Sort(want)
			if h.life != nil && h.slotNames() != strings.Join(want, " ") {
				return false
			}
		}
		return true
	})
}

// Standbys stream through slots, and every server has those of all others, which move with them.
func TestEveryMemberHasTheSlotsOfAllOthers(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.slotsEverywhere()
		b.write(100 * time.Millisecond)
		followers := b.followers()
		before := followers[0].slotOf(followers[1].name).Restart
		b.await(25*time.Second, "a slot that nobody uses moves with the one on the leader", func() bool {
			return followers[0].slotOf(followers[1].name).Restart > before
		})
		if slot := leader.slotOf(followers[0].name); !slot.Active {
			t.Errorf("%s does not stream through its slot: %+v", followers[0].name, slot)
		}
		status := b.picture().Status
		if len(status.Slots) != 3 || len(status.RetainSlots) != 3 {
			t.Errorf("the leader says of its slots: %s", status.JSON())
		}
	})
}

// With the slots of all members on every server a switchover waits for none; without them the new primary makes them at
// once.
func TestASwitchoverHardlyWaitsForSlots(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(map[bool]string{true: "kept", false: "made"}[kept], func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				if !kept {
					b.dynamic["member_slots_ttl"] = 0
				}
				leader := b.start("n1", "n2", "n3")
				b.await(15*time.Second, "both stream through slots", func() bool {
					return leader.slotOf("n2").Active || leader.slotOf("n3").Active
				})
				b.put("failover", `{"leader":"`+leader.member+`"}`)
				b.await(10*time.Second, "another one leads", b.ledByAnother(leader))
				took := b.await(10*time.Second, "all stream again", b.healthy)
				if took > 2*time.Second {
					t.Errorf("it took %v until all streamed", took)
				}
				if now := b.leader(); now.slotNames() == "" {
					t.Error("the new leader has no slots")
				}
			})
		})
	}
}

// A member that is gone for good leaves a slot behind, until member_slots_ttl is over.
func TestTheSlotOfALostMemberIsKeptForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.dynamic["member_slots_ttl"] = 120
		b.start("n1", "n2", "n3")
		b.slotsEverywhere()
		b.write(time.Second)
		lost := b.followers()[1]
		lost.lose()
		b.await(ttl+5*time.Second, "its document is gone", func() bool {
			_, known := b.picture().Member(lost.member)
			return !known
		})
		time.Sleep(30 * time.Second)
		rest := []*host{b.leader(), b.followers()[0]}
		for _, h := range rest {
			if !strings.Contains(h.slotNames(), lost.name) {
				t.Errorf("%s has lost the slot of %s: %s", h.name, lost.name, h.slotNames())
			}
		}
		b.await(3*time.Minute, "the slots are dropped", func() bool {
			return !strings.Contains(rest[0].slotNames()+rest[1].slotNames(), lost.name)
		})
	})
}

func TestWithoutSlots(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.dynamic["postgresql"] = map[string]any{"use_slots": false}
		b.start("n1", "n2")
		time.Sleep(30 * time.Second)
		for _, h := range b.all() {
			if names := h.slotNames(); names != "" {
				t.Errorf("%s has the slots %s", h.name, names)
			}
		}
		if status := b.picture().Status; len(status.Slots)+len(status.RetainSlots) > 0 {
			t.Errorf("the leader says of its slots: %s", status.JSON())
		}
	})
}

// A permanent logical slot is made on the primary, copied to the others, and there after a switchover. Each copy costs one
// restart.
func TestALogicalSlotIsCopied(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.dynamic["slots"] = map[string]any{"logic": map[string]any{"type": cluster.LogicalSlot, "database": "postgres", "plugin": "pgoutput"}}
		leader := b.start("n1", "n2", "n3")
		b.write(time.Second)
		b.await(time.Minute, "all have it", func() bool {
			return !slices.ContainsFunc(b.all(), func(h *host) bool { return h.slotOf("logic").Confirmed == 0 })
		})
		b.await(time.Minute, "all stream again", b.healthy)
		var started []time.Time
		for _, h := range b.followers() {
			started = append(started, h.see().started)
		}
		leader.consume("logic")
		at := leader.slotOf("logic").Confirmed
		b.await(30*time.Second, "the copies move with the consumer", func() bool {
			return !slices.ContainsFunc(b.followers(), func(h *host) bool { return h.slotOf("logic").Confirmed < at })
		})
		for i, h := range b.followers() {
			if !h.see().started.Equal(started[i]) {
				t.Errorf("%s was restarted again", h.name)
			}
		}
		b.put("failover", `{"leader":"`+leader.member+`"}`)
		b.await(10*time.Second, "another one leads", b.ledByAnother(leader))
		if slot := b.leader().slotOf("logic"); slot.Confirmed < at {
			t.Errorf("the new leader has %+v, the consumer was at %s", slot, at)
		}
	})
}

// consume moves a logical slot to the end of the WAL, as its consumer does.
func (h *host) consume(name string) {
	h.lab.change(func() {
		slot, _ := h.server.slot(name)
		slot.Confirmed, slot.Restart = h.server.end, h.server.end
		h.server.putSlot(slot)
	})
}

// While the DCS is silent and all agree, slots are kept up: the leader learns from the answers how far those are that
// stream from another member.
func TestSlotsMoveWithoutTheDCS(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := agreeing(b, "n1", "n2", "n3")
		b.slotsEverywhere()
		var middle, last *host
		middle, last = b.followers()[0], b.followers()[1]
		last.leave() //nolint:errcheck // it is started again
		last.tags = cluster.Tags{"replicatefrom": middle.member}
		last.start()
		b.await(30*time.Second, "it streams from another standby", func() bool { return last.see().streaming && last.see().upstream == middle.name })
		b.write(100 * time.Millisecond)
		for _, h := range b.all() {
			h.cutDCS()
		}
		b.await(ttl, "it relies on the others", func() bool { return leader.snapshot().FailsafeActive })
		time.Sleep(ttl)
		before := leader.slotOf(last.name).Restart
		b.await(ttl, "the slot of the one that streams from another moves", func() bool { return leader.slotOf(last.name).Restart > before })
		if slot := leader.slotOf(last.name); slot.Active {
			t.Errorf("somebody streams through %+v", slot)
		}
	})
}

// Slots are no matter of who leads: nothing waits for a server that says nothing of them.
func TestNothingWaitsForSlots(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.slotsEverywhere()
		began := time.Now()
		for _, h := range b.all() {
			h.fault("slots do not answer", func() { h.server.slotless = true })
		}
		time.Sleep(3 * ttl)
		if gaps := b.outages(began); len(gaps) > 0 || b.leader() != leader {
			t.Errorf("writes were impossible for %v", gaps)
		}
		b.put("failover", `{"leader":"`+leader.member+`"}`)
		if took := b.await(10*time.Second, "another one leads", b.ledByAnother(leader)); took > 3*time.Second {
			t.Errorf("the switchover took %v", took)
		}
		b.await(10*time.Second, "all stream again", b.healthy)
	})
}

// A copy that does not help is not repeated all the time, for every one takes a restart.
func TestASlotThatStaysSpoiledIsCopiedMoreAndMoreRarely(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.dynamic["slots"] = map[string]any{"logic": map[string]any{"type": cluster.LogicalSlot, "database": "postgres", "plugin": "pgoutput"}}
		leader := b.start("n1", "n2")
		follower := b.followers()[0]
		follower.fault("logical slots are spoiled", func() { follower.server.spoils = true })
		b.write(time.Second)
		for range 60 {
			time.Sleep(30 * time.Second)
			leader.consume("logic")
		}
		if n := follower.see().copies; n < 5 || n > 9 {
			t.Errorf("it was copied %d times in half an hour", n)
		}
		follower.fault("logical slots can be moved", func() { follower.server.spoils = false })
		at := leader.slotOf("logic").Confirmed
		b.await(2*time.Hour, "the copy moves", func() bool { return follower.slotOf("logic").Confirmed >= at })
	})
}
