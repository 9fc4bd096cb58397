package deploy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// mutant is a deliberate mistake: it bends what a decision sees, or what was decided.
type mutant struct {
	fault string
	state func(w *world, s *State)
	plan  func(w *world, p *Plan)
}

// eachMember changes what members say of themselves.
func eachMember(change func(i Instance, m *Member)) func(*world, *State) {
	return func(w *world, s *State) {
		for id, m := range s.Roles[cluster].Members {
			change(w.get(id), &m)
			s.Roles[cluster].Members[id] = m
		}
	}
}

// eachInstance changes what is known of instances.
func eachInstance(change func(w *world, i *Instance)) func(*world, *State) {
	return func(w *world, s *State) {
		for n := range s.Instances {
			change(w, &s.Instances[n])
		}
	}
}

// alsoStop stops another running instance with the first that is stopped.
func alsoStop(id app.ID) func(*world, *Plan) {
	return func(w *world, p *Plan) {
		for _, a := range p.Actions {
			stop, stops := a.(Stop)
			if !stops || w.get(stop.Instance).App != id {
				continue
			}
			for _, i := range w.with(func(i Instance) bool { return i.App == id && i.running() && i.ID != stop.Instance }) {
				p.Actions = append(p.Actions, Stop{Instance: i.ID, Goal: i.Goal, Cause: stop.Cause})
				return
			}
		}
	}
}

// mutants are rules with one fault each, which the laws have to notice.
var mutants = []mutant{
	{fault: "a member that does not answer is taken for a replica that streams", state: func(w *world, s *State) {
		for _, i := range w.with(func(i Instance) bool { return i.App == cluster && i.State == app.TaskRunning }) {
			if r := s.Roles[cluster]; r.Members != nil && w.silent[i.ID] {
				r.Members[i.ID] = Member{Role: RoleReplica, State: StateRunning, Streaming: true}
			}
		}
	}},
	{fault: "a pause is ignored", state: eachMember(func(_ Instance, m *Member) { m.Paused = false })},
	{fault: "what commits wait for is ignored", state: eachMember(func(_ Instance, m *Member) { m.Synchronous = 0 })},
	{fault: "a member that copies is taken for one that streams", state: eachMember(func(_ Instance, m *Member) {
		if m.Role != RoleLeader {
			m.State, m.Streaming = StateRunning, true
		}
	})},
	{fault: "the leader looks like a replica", state: eachMember(func(_ Instance, m *Member) {
		if m.Role == RoleLeader {
			m.Role, m.Server, m.Streaming = RoleReplica, ServerStandby, true
			return
		}
		m.Role = RoleLeader
	})},
	{fault: "a tag that keeps a member from leading is ignored", state: eachMember(func(_ Instance, m *Member) { m.Barred = "" })},
	{fault: "every kill is forced", state: eachInstance(func(_ *world, i *Instance) {
		if i.Kill != nil {
			kill := *i.Kill
			kill.Force = true
			i.Kill = &kill
		}
	})},
	{fault: "answers are good for ever", state: func(w *world, s *State) {
		if r, ok := w.remembered[cluster]; ok && s.Roles[cluster].Members == nil {
			s.Roles[cluster] = Roles{At: w.now, Members: maps.Clone(r.Members)}
		}
	}},
	{fault: "an ended member counts as running", state: eachInstance(func(_ *world, i *Instance) {
		if i.App == cluster && !i.Live() && i.Incarnation > 0 && i.Goal == GoalRunning {
			i.State, i.Clean = app.TaskRunning, false
		}
	})},
	{fault: "an unreachable task is taken for a dead one", state: eachInstance(func(_ *world, i *Instance) {
		if i.Unreachable() {
			i.State = app.TaskFailed
		}
	})},
	{fault: "what the driver has not spoken of is taken as known", state: func(_ *world, s *State) { s.Unconfirmed = nil }},
	{fault: "a drain is forgotten", state: func(_ *world, s *State) { s.Draining = nil }},
	{fault: "a drain stops everything at once", plan: func(w *world, p *Plan) {
		for _, i := range w.with(func(i Instance) bool { return i.running() && w.state.Draining[i.Host] != "" }) {
			p.Actions = append(p.Actions, Stop{Instance: i.ID, Goal: i.Goal, Cause: "a drain"})
		}
	}},
	{fault: "two members are stopped at once", plan: alsoStop(cluster)},
	{fault: "two instances of a plain app are stopped where one may be", plan: alsoStop(web)},
	{fault: "a volume is destroyed before its task has ended", plan: func(w *world, p *Plan) {
		for _, i := range w.with(func(i Instance) bool { return i.Goal == GoalWiped && i.Volume != "" }) {
			p.Actions = append(p.Actions, Destroy{Instance: i.ID})
		}
	}},
	{fault: "an instance is forgotten before its volume is gone", plan: func(_ *world, p *Plan) {
		for n, a := range p.Actions {
			if d, destroys := a.(Destroy); destroys {
				p.Actions[n] = Forget(d)
			}
		}
	}},
	{fault: "a volume is never destroyed", plan: func(_ *world, p *Plan) {
		p.Actions = slices.DeleteFunc(p.Actions, func(a Action) bool { _, destroys := a.(Destroy); return destroys })
	}},
	{fault: "one instance more than wanted is launched", plan: func(_ *world, p *Plan) {
		for _, a := range p.Actions {
			if l, launches := a.(Launch); launches && l.Instance == "" && l.App != web {
				p.Actions = append(p.Actions, l)
				return
			}
		}
	}},
	{fault: "the new instances of a roll come all at once, whatever room there is", state: func(_ *world, s *State) {
		a := s.Apps[web]
		a.UpgradeStrategy.MaximumOverCapacity = 2
		s.Apps[web] = a
	}},
	{fault: "a roll may stop everything", state: func(_ *world, s *State) {
		a := s.Apps[web]
		a.UpgradeStrategy.MinimumHealthCapacity = 0
		s.Apps[web] = a
	}},
	{fault: "what fails its health checks counts as well", state: func(_ *world, s *State) {
		for id := range s.Health {
			s.Health[id] = Health{Healthy: true}
		}
	}},
	{fault: "a refused switchover is asked for again at once", state: func(_ *world, s *State) { s.Switchovers = nil }},
	{fault: "a deployment never ends", plan: func(_ *world, p *Plan) {
		p.Actions = slices.DeleteFunc(p.Actions, func(a Action) bool { _, ends := a.(Finish); return ends })
	}},
	{fault: "a member that ended is not launched again", plan: func(w *world, p *Plan) {
		p.Actions = slices.DeleteFunc(p.Actions, func(a Action) bool {
			l, launches := a.(Launch)
			return launches && l.App == cluster && l.Instance != "" && w.get(l.Instance).Failures > 0
		})
	}},
}

// broken is how a law is said to be broken outside of rapid.
type brokenLaw string

type panicker struct{}

func (panicker) Fatalf(format string, args ...any) { panic(brokenLaw(fmt.Sprintf(format, args...))) }

// history runs one random history with a mistake and says which law it broke, empty when none.
func history(seed uint64, m mutant) (broken string) {
	defer func() {
		law, ok := recover().(brokenLaw)
		if ok {
			broken = string(law)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a history that can be run again
	choose := func(n int, _ string) int { return r.IntN(n) }
	w := newWorld(panicker{})
	w.bend = m
	events := w.events(choose)
	names := slices.Sorted(maps.Keys(events))
	for range 60 {
		events[names[r.IntN(len(names))]]()
		w.round()
	}
	w.settle()
	return ""
}

// TestMutants says: the laws notice every mistake of a list, and nothing when there is none.
func TestMutants(t *testing.T) {
	const histories = 400
	for seed := range uint64(60) {
		if law := history(seed, mutant{}); law != "" {
			t.Errorf("without a mistake, seed %d: %s", seed, law)
		}
	}
	for _, m := range mutants {
		t.Run(m.fault, func(t *testing.T) {
			for seed := range uint64(histories) {
				if law := history(seed, m); law != "" {
					t.Logf("seed %d: %s", seed, law)
					return
				}
			}
			t.Errorf("nobody noticed in %d histories", histories)
		})
	}
}
