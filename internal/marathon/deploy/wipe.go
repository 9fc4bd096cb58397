package deploy

import "time"

// destroyAgain is how long the driver may take to destroy a volume before it is asked again.
const destroyAgain = 30 * time.Second

// wipe destroys the volumes of instances that are to lose them, and forgets an instance when its volume is gone. Of a
// PostgreSQL member nothing may be left that uses the volume, not even a server whose agent is dead.
func (p *planner) wipe(v view) {
	if v.halted {
		return
	}
	for _, i := range v.instances {
		if i.Goal != GoalWiped || i.Live() || i.Stopping != nil || v.postgres && !i.settled() {
			continue
		}
		asked := i.DestroyedAt.Time().Add(destroyAgain)
		switch {
		case i.Volume == "" || i.Incarnation == 0 && !i.Bound && i.ReservedAt == 0:
			p.do(Forget{Instance: i.ID})
		case i.DestroyedAt != 0 && p.now.Before(asked):
			p.wake(asked)
			p.wait(v.id, i.ID, "waiting for its volume to be destroyed")
		case v.postgres && !p.dispensable(v, i):
		default:
			p.do(Destroy{Instance: i.ID})
		}
	}
}

// dispensable reports whether a cluster that is to go on can do without a member's data: nothing was ever in the volume, a
// person insists, it belongs to a deleted cluster of the same name, or another member leads. Of a cluster without a leader
// any volume may hold the newest data.
func (p *planner) dispensable(v view, i Instance) bool {
	if v.want == 0 || i.Deleted || i.Incarnation == 0 || i.DestroyedAt != 0 || i.Kill != nil && i.Kill.Force {
		return true
	}
	if !p.asked(v) {
		return false
	}
	_, doubt := v.settledLeader(v.roles.Members)
	if doubt != "" {
		p.wait(v.id, i.ID, "its volume is kept until another member leads: "+doubt)
	}
	return doubt == ""
}
