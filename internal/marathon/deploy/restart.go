package deploy

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// switchoverPause is how long a refused switchover is not asked for again at first, switchoverLongest in the end.
const (
	switchoverPause   = 5 * time.Second
	switchoverLongest = time.Minute
)

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
	why := planned
	_, doubt := v.settledLeader(members)
	if doubt != "" {
		// Where nobody leads nobody can stream, and the new configuration may be what changes that.
		if why = hopeless; countLeaders(v.running(), members) > 0 || !p.outOfPatience(v) {
			p.wait(v.id, "", doubt+"; the next member is restarted when one leads")
			return
		}
	}
	if i, major := v.otherMajor(members); major != "" {
		p.wait(v.id, i.ID, major)
		return
	}
	if behind := v.behind(members); why == planned && len(behind) > 0 {
		p.wait(v.id, behind[0].ID, v.behindWhy(behind[0], members))
		return
	}
	p.disrupt(v, v.leaderLast(old)[0], why, GoalRunning, "restart with the new configuration")
}

// behind are the members that have the new configuration and do not serve with it yet.
func (v *view) behind(members map[app.InstanceID]Member) []Instance {
	return v.with(func(i Instance) bool {
		m := members[i.ID]
		return i.Goal == GoalRunning && !i.outdated(v.def) && (!m.Streaming && !m.leads() || !v.ready(i))
	})
}

func (v *view) behindWhy(i Instance, members map[app.InstanceID]Member) string {
	if m := members[i.ID]; m.Streaming || m.leads() {
		return "waiting for its readiness check before the next member is restarted"
	}
	return "waiting for it to stream before the next member is restarted"
}

// otherMajor finds a member with the new configuration whose server is of another major version than the leader's: data
// directories of one do not serve the other, so what has happened to the first must not happen to the rest.
func (v *view) otherMajor(members map[app.InstanceID]Member) (Instance, string) {
	leader, doubt := v.settledLeader(members)
	want := members[leader.ID].ServerMajor
	if doubt != "" || want == 0 {
		return Instance{}, ""
	}
	for _, i := range v.running() {
		if got := members[i.ID].ServerMajor; got != 0 && got != want {
			return i, fmt.Sprintf("it runs PostgreSQL %d and the leader runs %d: no further member is restarted, for a new major version is no "+
				"rolling change; go back to the former version of the app", got, want)
		}
	}
	return Instance{}, ""
}

// handOver asks for a switchover to the member that qualifies best.
func (p *planner) handOver(v view, leader Instance) {
	asked := v.state.Switchovers[v.id]
	retry := asked.Failed.Add(refusedPause(asked.Refused))
	switch {
	case asked.Running:
		p.wait(v.id, leader.ID, "waiting for the switchover")
	case !asked.Failed.IsZero() && p.now.Before(retry):
		p.wake(retry)
		p.wait(v.id, leader.ID, "the switchover was refused and is tried again: "+asked.Why)
	default:
		candidate, nobody := v.successor(leader, v.roles.Members)
		if nobody != "" {
			p.wait(v.id, leader.ID, nobody)
			return
		}
		p.do(Handover{App: v.id, Leader: leader.ID, Candidate: candidate.ID})
	}
}

// refusedPause is how long a switchover is not asked for again: twice as long after every refusal, up to a minute.
func refusedPause(refused int) time.Duration {
	return min(switchoverPause<<min(max(refused-1, 0), 10), switchoverLongest)
}
