package agent_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// minute counts what an agent does in a minute: looks at its server, one for each tick, and calls to the DCS.
func (h *host) minute() (ticks, calls int, kinds string) {
	h.lab.mu.Lock()
	before := h.life.looks
	h.lab.mu.Unlock()
	h.life.dcs.count()
	time.Sleep(time.Minute)
	h.lab.mu.Lock()
	ticks = h.life.looks - before
	h.lab.mu.Unlock()
	made := h.life.dcs.count()
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		calls += made[kind]
		parts = append(parts, fmt.Sprintf("%s %d", kind, made[kind]))
	}
	return ticks, calls, strings.Join(parts, ", ")
}

// An idle agent turns once per loop_wait and asks the DCS for nothing but its lease: that the revision is the same proves the
// picture.
func TestAnIdleMinute(t *testing.T) {
	for _, c := range []struct {
		name                 string
		ttl, loopWait, retry int
		writing              time.Duration
		ticks, calls         int
	}{
		{name: "defaults", ttl: 30, loopWait: 10, retry: 10, ticks: 7, calls: 8},
		{name: "defaults, writing", ttl: 30, loopWait: 10, retry: 10, writing: 100 * time.Millisecond, ticks: 7, calls: 28},
		{name: "fast", ttl: 20, loopWait: 1, retry: 3, ticks: 61, calls: 31},
		{name: "fast, writing", ttl: 20, loopWait: 1, retry: 3, writing: 100 * time.Millisecond, ticks: 61, calls: 244},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				b.dynamic["ttl"], b.dynamic["loop_wait"], b.dynamic["retry_timeout"] = c.ttl, c.loopWait, c.retry
				leader := b.start("n1", "n2", "n3")
				if c.writing != 0 {
					b.write(c.writing)
				}
				time.Sleep(time.Minute)
				for _, h := range []*host{leader, b.followers()[0]} {
					ticks, calls, kinds := h.minute()
					t.Logf("%s, leader %v: %d ticks, %d calls to the DCS (%s)", h.name, h == leader, ticks, calls, kinds)
					if ticks > c.ticks || calls > c.calls {
						t.Errorf("an idle minute is %d ticks and %d calls, want at most %d and %d", ticks, calls, c.ticks, c.calls)
					}
				}
			})
		})
	}
}

// Whatever fails again and again, an agent neither spins nor floods the DCS.
func TestAnAgentInTroubleDoesNotSpin(t *testing.T) {
	const mostTicks, mostCalls = 600, 600
	for name, trouble := range map[string]func(b *lab, leader, replica *host) *host{
		"the DCS is away from the leader":  func(_ *lab, leader, _ *host) *host { leader.cutDCS(); return leader },
		"the DCS is away from the replica": func(_ *lab, _, replica *host) *host { replica.cutDCS(); return replica },
		"nobody can start": func(b *lab, leader, _ *host) *host {
			for _, h := range b.all() {
				h.fault("does not start", func() { h.server.unstarting = true })
				h.crash()
			}
			return leader
		},
		"nobody can be promoted": func(b *lab, leader, replica *host) *host {
			for _, h := range b.all() {
				h.fault("cannot be promoted", func() { h.server.unpromoted = true })
			}
			leader.lose()
			return replica
		},
		"a server cannot be stopped": func(_ *lab, leader, _ *host) *host {
			leader.fault("cannot be stopped", func() { leader.server.unstopping = true })
			leader.life.leave()
			return leader
		},
		"a primary without the key cannot be stopped": func(b *lab, leader, _ *host) *host {
			// No second primary comes up, so that this is about spinning alone.
			for _, h := range b.all() {
				h.fault("cannot be promoted", func() { h.server.unpromoted = true })
			}
			leader.fault("cannot be stopped", func() { leader.server.unstopping = true })
			b.remove("leader")
			if _, err := b.store.Put(b.t.Context(), base+"leader", "nobody", kv.Always(), 0); err != nil {
				b.t.Fatal(err)
			}
			return leader
		},
		"what an interrupted copy left cannot be set aside": func(_ *lab, _, replica *host) *host {
			replica.crash()
			replica.fault("incomplete", func() { replica.server.data, replica.server.unstopping = postgres.DataIncomplete, true })
			return replica
		},
		"the leader is silent and cannot be cloned": func(_ *lab, leader, replica *host) *host {
			replica.crash()
			replica.fault("empty", func() { replica.server.data = postgres.DataEmpty })
			leader.fault("silent", func() { leader.server.silent = true })
			return replica
		},
		"a replica's data cannot be looked at": func(_ *lab, _, replica *host) *host {
			replica.fault("unreadable", func() { replica.server.unreadable = true })
			return replica
		},
		"the last member has nobody to hand over to": func(_ *lab, leader, replica *host) *host {
			replica.isolate()
			leader.life.leave()
			return leader
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2")
				time.Sleep(5 * time.Second)
				ticks, calls, kinds := trouble(b, leader, b.followers()[0]).minute()
				t.Logf("%d ticks, %d calls to the DCS (%s)", ticks, calls, kinds)
				if ticks > mostTicks || calls > mostCalls {
					t.Errorf("%d ticks and %d calls to the DCS in a minute, want at most %d and %d", ticks, calls, mostTicks, mostCalls)
				}
			})
		})
	}
}
