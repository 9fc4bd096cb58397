package deploy

import (
	"slices"
)

// stale reports whether the instance is to be replaced: a deployment gives the app another configuration, or its host is
// to become empty. What was stopped on such a host and has its volume there waits for the host.
func (v *view) stale(i Instance) bool {
	return v.restart && i.outdated(v.def) || v.draining(i) && (i.Live() || !i.Bound)
}

// roll replaces the stale instances of a plain app within the bounds of its upgrade strategy: never
// fewer healthy ones than minimumHealthCapacity, never more in all than maximumOverCapacity allows.
func (p *planner) roll(v view, active []Instance) {
	lowest, highest := rollBounds(v)
	var old, renewed []Instance // of the old ones those that can be stopped
	healthy, renewedHealthy := 0, 0
	for _, i := range active {
		good := v.healthy(i) && (v.stale(i) || v.ready(i))
		if good {
			healthy++
		}
		if v.stale(i) {
			if i.Live() && i.Stopping == nil && !i.Unreachable() {
				old = append(old, i)
			}
			continue
		}
		renewed = append(renewed, i)
		if good {
			renewedHealthy++
		}
	}
	active, renewed = p.dropEnded(v, active, renewed, highest)
	p.relaunchPlain(v, active) // an ended one takes up the new configuration
	missing := v.want - len(renewed)
	if v.resident { // the old ones keep their places
		missing = v.want - len(active)
	}
	missing = min(missing, v.room(highest, active))
	if len(active) >= v.want {
		missing = v.oneByOne(missing, len(renewed)-renewedHealthy)
	}
	p.launchNew(v, missing)
	// Each renewed instance that is healthy releases an old one, also where the old ones are not well.
	spare := max(healthy-lowest, len(old)-(v.want-renewedHealthy))
	stopping := len(v.with(Instance.busyStopping))
	for _, i := range p.rollVictims(v, old, renewed, v.oneByOne(spare, stopping), healthy-lowest) {
		p.stop(v, i, v.rolledGoal(), v.rollCause(i))
	}
	for _, i := range v.instances {
		if !v.restart && i.Goal == GoalRunning && i.running() && v.stale(i) {
			p.wait(v.id, i.ID, v.drainCause(i)+"; it moves when the others can do without it")
		}
	}
}

// dropEnded gives up instances whose tasks have ended and whose places are taken: by enough renewed ones, or because the
// strategy has room for fewer. It returns those that stay and, of them, those that have the new configuration or take it up
// now. Where each has a volume of its own, it takes nobody's place.
func (p *planner) dropEnded(v view, active, renewed []Instance, highest int) (stay, current []Instance) {
	current = slices.Clone(renewed)
	surplus := len(active) - highest
	for _, i := range active {
		over := surplus > 0 || !v.resident && len(current) >= v.want && v.stale(i)
		switch {
		case i.Live() || i.Stopping != nil:
		case over:
			surplus--
			p.release(v, i, "")
			current = slices.DeleteFunc(current, func(x Instance) bool { return x.ID == i.ID })
			continue
		case v.stale(i) && !v.resident:
			current = append(current, i)
		}
		stay = append(stay, i)
	}
	return stay, current
}

// oneByOne is n where a deployment replaces instances. Where only hosts are to become empty, instances move one at a time:
// nobody waits for it.
func (v *view) oneByOne(n, underWay int) int {
	if v.restart {
		return n
	}
	return min(n, max(0, 1-underWay))
}

func (v *view) rollCause(i Instance) string {
	if v.restart && i.outdated(v.def) {
		return "replaced by an instance with the new configuration"
	}
	return v.drainCause(i)
}

// rollBounds are the fewest healthy and the most instances. Where both are the same nothing could move, so there may be
// one more, or one fewer where every instance has a volume of its own.
func rollBounds(v view) (lowest, highest int) {
	n := float64(v.want)
	lowest = ceil(n * v.def.UpgradeStrategy.MinimumHealthCapacity)
	highest = floor(n * (1 + v.def.UpgradeStrategy.MaximumOverCapacity))
	switch {
	case lowest < highest && !v.resident:
	case v.resident:
		lowest, highest = min(lowest, v.want-1), v.want
	default:
		highest++
	}
	return lowest, highest
}

// rolledGoal: an instance with a volume comes back to it, any other is replaced by a new one.
func (v *view) rolledGoal() Goal {
	if v.resident {
		return GoalRunning
	}
	return GoalGone
}

// room is how many instances may be launched until there are as many as the strategy allows. Those nobody can reach take
// no room from the others.
func (v *view) room(highest int, active []Instance) int {
	living := len(v.ending())
	for _, i := range active {
		if !i.Unreachable() {
			living++
		}
	}
	return highest - living
}

// ending are the instances that are not wanted any more and still run.
func (v *view) ending() []Instance {
	return v.with(func(i Instance) bool { return i.Goal != GoalRunning && i.Live() && !i.Unreachable() })
}

// rollVictims are the stale instances to stop now: those that fail first, those of which nothing is known only while enough
// others are known to be well, and of the healthy ones no more than there are to spare. Where each has a volume of its own
// and none can be spared, one that fails still can, once everything renewed so far is well.
func (p *planner) rollVictims(v view, old, renewed []Instance, spare, healthy int) []Instance {
	order := plainVictims(v, old)
	unwell := func(i Instance) bool { return !v.healthy(i) }
	if spare < 1 && v.resident && len(order) > 0 && v.failing(order[0]) && !slices.ContainsFunc(renewed, unwell) && !v.anyStopping() {
		spare = 1
	}
	may := 0
	for may < len(order) && (v.failing(order[may]) || healthy >= 0 && unwell(order[may])) {
		may++
	}
	return order[:max(min(spare, may+max(healthy, 0), len(order)), 0)]
}

// failing reports whether nobody would miss the instance: it does not run, or a health check says that it is not well. Of one
// that does not answer nothing is known as long as that may be the scheduler's fault.
func (v *view) failing(i Instance) bool {
	if !i.running() || len(v.def.HealthChecks) == 0 {
		return !i.running()
	}
	h := v.state.Health[i.ID]
	answered := h.Contact.Early || !h.Contact.Heard.IsZero() // who never did is broken
	return h.Failing || !h.Mute.IsZero() && (!answered || v.ears().own(h, v.now))
}

func (v *view) anyStopping() bool { return slices.ContainsFunc(v.instances, Instance.busyStopping) }

// healthy reports whether the instance runs and, where the app has health checks, is known to pass them.
func (v *view) healthy(i Instance) bool {
	if !i.running() || len(v.def.HealthChecks) == 0 {
		return i.running()
	}
	h, known := v.state.Health[i.ID]
	return known && h.Healthy
}
