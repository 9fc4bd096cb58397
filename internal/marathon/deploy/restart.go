package deploy

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// switchoverPause is how long a refused switchover is not asked for again.
const switchoverPause = 5 * time.Second

// restartMembers gives the members a new configuration, one at a time. Every step waits until the member before streams
// again, so that a configuration with which nothing starts stops the roll at its first victim.
func (p *planner) restartMembers(v view) {
	running := v.running()
	old := v.with(func(i Instance) bool { return i.Goal == GoalRunning && i.outdated(v.def) })
	if len(old) == 0 {
		return
	}
	if away := notRunning(running); len(away) > 0 {
		if away[0].Live() { // else its launch says what it waits for
			p.wait(v.id, away[0].ID, fmt.Sprintf("waiting for it to run before the next member is restarted (%s)", away[0].State))
		}
		return
	}
	members, ok := p.answers(v)
	if !ok {
		p.wait(v.id, "", "asking the members for their roles")
		return
	}
	if quiet := silent(running, members); len(quiet) > 0 {
		p.wait(v.id, "", "waiting for the role of "+names(quiet)+" before the next member is restarted")
		return
	}
	p.restartNext(v, old, members)
}

// notRunning are members that a restart waits for.
func notRunning(list []Instance) []Instance {
	var away []Instance
	for _, i := range list {
		if i.State != app.TaskRunning {
			away = append(away, i)
		}
	}
	return away
}

// restartNext restarts the least valuable member that has the old configuration; the leader's turn comes when it is the
// only one.
func (p *planner) restartNext(v view, old []Instance, members map[app.InstanceID]Member) {
	_, doubt := v.settledLeader(members)
	leaders := countLeaders(v.running(), members)
	if doubt != "" && (leaders > 0 || !p.outOfPatience(v)) {
		p.wait(v.id, "", doubt+"; the next member is restarted when one leads")
		return
	}
	// Where nobody leads nobody can stream, and the new configuration may be what changes that.
	if behind := v.behind(members); leaders == 1 && len(behind) > 0 {
		p.wait(v.id, behind[0].ID, "waiting for it to stream before the next member is restarted")
		return
	}
	for _, i := range worstFirst(old, members) {
		if !members[i.ID].mayLead() {
			p.do(Stop{Instance: i.ID, Goal: GoalRunning, Cause: "restart with the new configuration"})
			return
		}
	}
	p.restartLeader(v, old[0])
}

// behind are the members that have the new configuration and do not serve with it yet.
func (v *view) behind(members map[app.InstanceID]Member) []Instance {
	return v.with(func(i Instance) bool {
		m := members[i.ID]
		return i.Goal == GoalRunning && !i.outdated(v.def) && !m.Streaming && !m.leads()
	})
}

// restartLeader hands the lead over and lets the old leader be restarted as a replica. A cluster of one has nobody to
// hand over to.
func (p *planner) restartLeader(v view, leader Instance) {
	if len(v.running()) == 1 {
		p.do(Stop{Instance: leader.ID, Goal: GoalRunning, Led: true, Cause: "restart with the new configuration"})
		return
	}
	p.handOver(v, leader)
}

// handOver asks for a switchover to the wanted member that is closest to the leader.
func (p *planner) handOver(v view, leader Instance) {
	members := v.roles.Members
	asked := v.state.Switchovers[v.id]
	retry := asked.Failed.Add(switchoverPause)
	switch {
	case asked.Running:
		p.wait(v.id, leader.ID, "waiting for the switchover")
	case !asked.Failed.IsZero() && p.now.Before(retry):
		p.wake(retry)
		p.wait(v.id, leader.ID, "the switchover was refused and is tried again: "+asked.Why)
	default:
		order := worstFirst(v.with(func(i Instance) bool {
			return i.Goal == GoalRunning && i.running() && members[i.ID].Streaming && !members[i.ID].mayLead()
		}), members)
		if len(order) == 0 {
			p.wait(v.id, leader.ID, "no replica streams to which the leader could hand over")
			return
		}
		p.do(Handover{App: v.id, Leader: leader.ID, Candidate: order[len(order)-1].ID})
	}
}
