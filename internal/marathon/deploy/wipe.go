package deploy

import "time"

// destroyAgain is how long the driver may take to destroy a volume before it is asked again.
const destroyAgain = 30 * time.Second

// wipe destroys the volumes of instances that are to lose them, and forgets an instance when its volume is gone. Of a
// PostgreSQL member nothing may be left that uses the volume, not even a server whose agent is dead.
func (p *planner) wipe(v view) {
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
		default:
			p.do(Destroy{Instance: i.ID})
		}
	}
}
