package simulated

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Rule is one part of the order of things.
type Rule string

// The rules a fleet holds schedulers to.
const (
	LaunchAfterStore  Rule = "a launch is stored before the driver hears of it"
	ReserveAfterStore Rule = "a reservation is stored before the driver hears of it"
	AckAfterStore     Rule = "a status is acknowledged after it is stored"
	OneStart          Rule = "a task is started once"
	OneOnVolume       Rule = "a volume has one task at a time"
	WithItsData       Rule = "a task is launched where the data of its instance are"
	NothingWanted     Rule = "a volume is destroyed only when it is to be wiped"
	LeaderLast        Rule = "a leader is stopped only after a switchover"
	OneDown           Rule = "no member is stopped while another one that is wanted does not serve"
	PauseRespected    Rule = "nothing of a paused cluster is stopped"
)

// answersLast is how old answers of agents may be when a decision is made from them: they travel, and are good for a
// moment. What has changed since is not known to anybody.
const answersLast = 500 * time.Millisecond

func (f *Fleet) complain(rule Rule, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if f.cfg.Broken == nil {
		panic(fmt.Sprintf("%s: %s", rule, text))
	}
	f.cfg.Broken(rule, text)
}

// checkLaunch looks at a request to launch before anything is done about it.
func (f *Fleet) checkLaunch(s driver.Spec) {
	if t := f.tasks[s.Task]; f.seen[s.Task] && (t == nil || !t.live()) {
		f.complain(OneStart, "task %s is launched again after it has ended", s.Task)
	}
	if other := f.user(s.Volume); other != nil && other.spec.Task != s.Task {
		f.complain(OneOnVolume, "task %s is launched on the volume of %s", s.Task, other.spec.Task)
	}
	for _, v := range f.volumes() {
		if v.id == s.Volume && v.host.Name != s.Host && v.data {
			f.complain(WithItsData, "task %s is launched on %s, the data in its volume lie on %s", s.Task, s.Host, v.host.Name)
		}
	}
	if f.cfg.Store == nil {
		return
	}
	i, there := f.cfg.Store.Instance(s.Instance)
	if !there || i.Task() != s.Task || i.State != app.TaskStaging || i.Host != s.Host {
		f.complain(LaunchAfterStore, "task %s is launched on %s, the store has %s %q on %q", s.Task, s.Host, i.Task(), i.State, i.Host)
	}
}

func (f *Fleet) checkReserve(r driver.Reservation) {
	if f.cfg.Store == nil {
		return
	}
	i, there := f.cfg.Store.Instance(r.Instance)
	if !there || i.Volume != r.Volume || i.Host != r.Host {
		f.complain(ReserveAfterStore, "volume %s is reserved on %s, the store has %q on %q", r.Volume, r.Host, i.Volume, i.Host)
	}
}

// checkAck compares a status with what the store holds of its task. What the store has may be further on: a status that
// says less than another one before it changes nothing.
func (f *Fleet) checkAck(s driver.Status) {
	if f.cfg.Store == nil {
		return
	}
	i, there := f.cfg.Store.Instance(s.Task.Instance())
	if !there || i.Task() != s.Task || i.State == s.State {
		return
	}
	if i.State.Terminal() || i.State == app.TaskKilling && s.State == app.TaskRunning {
		return
	}
	f.complain(AckAfterStore, "%s of %s is acknowledged, the store says %s", s.State, s.Task, i.State)
}

func (f *Fleet) checkDestroy(v *volume) {
	if f.cfg.Store == nil {
		return
	}
	if !v.used {
		return // it was made in vain: nothing of anybody is in it
	}
	if i, there := f.cfg.Store.Instance(v.instance); !there || i.Goal != deploy.GoalWiped {
		f.complain(NothingWanted, "volume %s is destroyed, the goal of its instance is %q", v.id, i.Goal)
	}
}

// checkVictim looks at the first request to end a task. What a person forces is not looked at, nor the end of a whole
// cluster but for its order, nor what the scheduler was told is out of reach.
func (f *Fleet) checkVictim(t *task) {
	if t.server == serverNone {
		return
	}
	c := f.cluster(t.spec.App.ID)
	i := f.wanted(t.spec.Instance)
	if i.Kill != nil && i.Kill.Force || i.Unreachable() || !f.serves(c, t) {
		return
	}
	f.checkLeader(c, t)
	if f.cfg.Store == nil || f.cfg.Store.Wanted(c.id) == 0 {
		return
	}
	if c.paused && time.Since(c.pausedAt) > answersLast {
		f.complain(PauseRespected, "%s is stopped although its cluster is paused", t.spec.Task)
	}
	if f.cfg.Store.Wanted(c.id) == 1 && len(c.living) == 1 {
		return // the last one of a cluster that is to have one: its end is an outage at any time
	}
	for id, since := range c.down {
		if id != t.spec.Instance && time.Since(since) > answersLast && f.wanted(id).Goal == deploy.GoalRunning {
			f.complain(OneDown, "%s is stopped while %s does not serve", t.spec.Task, id)
			return
		}
	}
}

func (f *Fleet) checkLeader(c *cluster, t *task) {
	if t.spec.Instance != c.leader || time.Since(c.changed) < answersLast {
		return
	}
	// Of a cluster that is to end as a whole a leader whose agent is silent is not waited for without end.
	if c.silent[t.spec.Instance] && f.cfg.Store != nil && f.cfg.Store.Wanted(c.id) == 0 {
		return
	}
	for _, other := range f.members(c) {
		if other != t && !other.killed && f.serves(c, other) && time.Since(other.started) > answersLast {
			f.complain(LeaderLast, "the leader %s is stopped while %s runs", t.spec.Task, other.spec.Task)
			return
		}
	}
}

// wanted is what the store says of an instance.
func (f *Fleet) wanted(id app.InstanceID) deploy.Instance {
	if f.cfg.Store == nil {
		return deploy.Instance{Goal: deploy.GoalRunning}
	}
	i, _ := f.cfg.Store.Instance(id)
	return i
}
