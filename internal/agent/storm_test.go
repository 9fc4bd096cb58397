package agent_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

var (
	stormSeed = flag.Uint64("storm.seed", 1, "first seed of TestStorms")
	stormRuns = flag.Uint64("storm.runs", 200, "runs of TestStorms, each with a seed of its own")
)

// Whatever happens in whatever order, no two servers accept writes at once (S1), none is promoted without the leader
// key (S4), and when it is over somebody leads within ttl + 2 s and all others stream 30 s later.
//
// A seed fixes the faults and their times. What happens at one instant happens in any order, so a failure may take
// several runs of its seed to be seen again: go test -run TestStorms/seed=7$ -count=100 -storm.seed=7.
func TestStorms(t *testing.T) {
	runs := *stormRuns
	if testing.Short() {
		runs = min(runs, 20)
	}
	for seed := *stormSeed; seed < *stormSeed+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(_ *testing.T, b *lab) { newStorm(b, seed).blow() })
		})
	}
}

// storm is one sequence of faults.
type storm struct {
	*lab

	random *rand.Rand
	ttl    time.Duration
}

func newStorm(b *lab, seed uint64) *storm {
	s := &storm{lab: b, random: rand.New(rand.NewPCG(seed, seed))} //nolint:gosec // a seed is what makes it repeatable
	s.ttl = ttl
	if s.random.IntN(2) == 0 {
		b.dynamic["ttl"], b.dynamic["loop_wait"], b.dynamic["retry_timeout"] = 20, 1, 3
		s.ttl = 20 * time.Second
	}
	if s.random.IntN(4) == 0 {
		b.dynamic["primary_start_timeout"] = 0
	}
	return s
}

func (s *storm) blow() {
	s.twins = true
	s.start("n1", "n2", "n3")
	s.write(time.Duration(20+s.random.IntN(500)) * time.Millisecond)
	for range 3 + s.random.IntN(8) {
		time.Sleep(s.pause())
		s.revive()
		s.strike(s.all()[s.random.IntN(3)])
	}
	time.Sleep(s.pause())
	for _, h := range s.all() {
		h.goOn()
		h.fault("all faults end", func() {
			h.alone, h.withoutDCS = false, false
			h.server.silent, h.server.slow, h.server.unstarting, h.server.unpromoted = false, 0, false, false
		})
	}
	s.revive()
	s.await(max(s.ttl, ttl)+2*time.Second, "somebody leads", func() bool { s.revive(); return s.led() })
	s.await(30*time.Second, "all others stream", func() bool { s.revive(); s.help(); return s.healthy() })
}

// pause is a while until the next fault: often hardly any, sometimes longer than a lease lasts.
func (s *storm) pause() time.Duration {
	longest := []time.Duration{3 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second, 15 * time.Second, 45 * time.Second}
	return time.Duration(s.random.Int64N(int64(longest[s.random.IntN(len(longest))])))
}

// strike does one bad thing to a host.
func (s *storm) strike(h *host) {
	switch s.random.IntN(21) {
	case 0, 1:
		h.crash()
	case 2:
		h.kill()
	case 3, 4:
		h.lose()
	case 5:
		h.isolate()
	case 6:
		h.cutDCS()
	case 7, 8:
		h.heal()
	case 9, 10:
		s.switchover(h)
	case 11:
		key := []string{"leader", "status", "failover", "history", "members/" + h.name}[s.random.IntN(5)]
		h.life.dcs.LoseNextAnswer(base + key)
	case 12:
		h.fault("silent or not", func() { h.server.silent = !h.server.silent })
	case 13:
		h.fault("slow or not", func() { h.server.slow = 5*time.Second - h.server.slow })
	case 14:
		h.life.leave()
	case 15:
		h.fault("can be promoted or not", func() { h.server.unpromoted = !h.server.unpromoted })
	case 16:
		h.fault("starts or not", func() { h.server.unstarting = !h.server.unstarting })
	case 17:
		s.ttl = time.Duration(20+s.random.IntN(20)) * time.Second
		s.put("config", fmt.Sprintf(`{"ttl":%d,"loop_wait":%d,"retry_timeout":3}`, s.ttl/time.Second, 1+s.random.IntN(10)))
	case 19, 20:
		h.stop()
		time.AfterFunc(time.Duration(s.random.Int64N(int64(2*ttl))), h.goOn)
	case 18:
		h.life.agent.Queue(ha.Request{Kind: []ha.RequestKind{ha.RequestRestart, ha.RequestReinitialize}[s.random.IntN(2)]})
	}
}

// switchover asks for one to a host, or to anybody.
func (s *storm) switchover(to *host) {
	leader := s.picture().Leader.Name
	if leader == to.name || s.random.IntN(2) == 0 {
		s.put("failover", fmt.Sprintf(`{"leader":%q}`, leader))
		return
	}
	s.put("failover", fmt.Sprintf(`{"leader":%q,"member":%q}`, leader, to.name))
}

// revive starts the agents that ended, as whoever supervises them does, most of the time.
func (s *storm) revive() {
	for _, h := range s.all() {
		if !h.life.alive() && s.random.IntN(3) > 0 {
			<-h.life.done
			h.start()
		}
	}
}

// help does what the agents ask people for, and what they cannot find out: that a standby followed a leader on a
// timeline whose twin the cluster went on with (see lab.twins).
func (s *storm) help() {
	leader := s.leader()
	for _, h := range s.all() {
		if leader == nil || h == leader || !h.life.alive() {
			continue
		}
		stuck := h.see().line.twin(leader.see().line) && h.see().line.by != h.name
		if stuck || strings.Contains(h.snapshot().Reason, "reinitialize this member") {
			h.life.agent.Queue(ha.Request{Kind: ha.RequestReinitialize})
			time.Sleep(time.Second)
		}
	}
}
