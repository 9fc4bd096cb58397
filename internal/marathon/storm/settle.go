package storm

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// most is how many instances are wanted of an app in the end at most: as many as every history has room for.
const most = 3

// settle ends all faults and waits until everything is as it is wanted; then nothing happens any more, also not when
// another scheduler takes over.
func (w *world) settle() {
	w.heal()
	w.pass(time.Minute)
	for n := range w.hosts {
		w.setDrain(fmt.Sprintf("node%d", n+1), false)
	}
	w.lastWish()
	if w.unsure {
		w.lastWish() // an answer was to be lost since before
	}
	if w.unsure {
		w.violate("the API answers", "a change is not confirmed although nothing is wrong any more")
		return
	}
	for range 60 {
		w.pass(30 * time.Second)
		if w.unsettled() == "" && w.wrongVolumes() == "" || w.isBroken() {
			break
		}
	}
	if what := w.unsettled(); what != "" {
		w.violate("everything converges when the faults end", "%s; waits: %v", what, w.life.sched.Waits())
		return
	}
	if what := w.wrongVolumes(); what != "" {
		w.violate("no volume is leaked or lost", "%s", what)
		return
	}
	w.check()
	w.quiet("nothing happens when there is nothing to do")
	w.restart()
	w.quiet("the next scheduler finds everything as it is")
}

// lastWish is for no more instances than there is room for.
func (w *world) lastWish() {
	w.apply(true, func(apps map[app.ID]app.App) error {
		for id, old := range apps {
			if old.Instances > most {
				next := old.Clone()
				next.Instances = most
				apps[id] = next.Revised(old, app.At(time.Now()))
			}
		}
		return nil
	})
}

// unsettled says what is not as it is wanted, empty when everything is.
func (w *world) unsettled() string {
	s := w.life.sched
	if d := s.Deployments(); len(d) > 0 {
		return fmt.Sprintf("deployment %s of %v still runs", d[0].ID, d[0].AffectedApps)
	}
	if what := w.wrongTasks(); what != "" {
		return what
	}
	if what := w.pending(); what != "" {
		return what
	}
	pg := id("pg")
	if leader, _ := w.fleet.Leader(pg); w.confirmed[pg].Instances > 0 && leader == "" {
		return "nobody leads"
	}
	if n := len(w.fleet.Serving(pg)); n != w.confirmed[pg].Instances {
		return fmt.Sprintf("%d members serve", n)
	}
	return ""
}

// pending is what a person asked for and is still to be done, empty for nothing.
func (w *world) pending() string {
	for id := range w.confirmed {
		for _, i := range w.instances(id) {
			if i.Kill != nil && i.Kill.Task == i.Task() && i.Live() {
				return fmt.Sprintf("%s is still to be ended", i.Task())
			}
		}
	}
	return ""
}

// wrongTasks compares what runs with what is wanted and with what the scheduler believes.
func (w *world) wrongTasks() string {
	runs := map[app.ID]int{}
	believed := map[app.TaskID]app.Timestamp{} // and the version that each is said to have
	for id := range w.confirmed {
		for _, t := range w.life.sched.Tasks(id) {
			believed[t.ID] = t.Version
		}
	}
	for _, r := range w.fleet.Running() {
		id := r.Spec.App.ID
		version, known := believed[r.Task]
		switch {
		case r.State != app.TaskRunning:
			return fmt.Sprintf("%s is %s", r.Task, r.State)
		case !known:
			return fmt.Sprintf("%s runs on %s and the scheduler does not know it", r.Task, r.Spec.Host)
		case !w.abandoned[id] && (version < w.confirmed[id].VersionInfo.LastConfigChangeAt || app.Diff(r.Spec.App, w.confirmed[id]) == app.ChangeRestart):
			return fmt.Sprintf("%s runs an older configuration", r.Task)
		}
		delete(believed, r.Task)
		runs[id]++
	}
	for task := range believed {
		return fmt.Sprintf("%s is believed to run", task)
	}
	for id, a := range w.confirmed {
		if runs[id] != a.Instances {
			return fmt.Sprintf("%d instances of %s run, %d are wanted", runs[id], id, a.Instances)
		}
		if crowd := w.crowded(id); crowd != "" {
			return crowd
		}
	}
	return ""
}

// crowded says where an app breaks its constraint.
func (w *world) crowded(id app.ID) string {
	byZone, most := limits(id)
	counts := map[string]int{}
	for _, r := range w.fleet.Running() {
		if r.Spec.App.ID != id {
			continue
		}
		where := r.Spec.Host
		if byZone {
			where = zone(where)
		}
		if counts[where]++; most > 0 && counts[where] > most {
			return fmt.Sprintf("%d instances of %s are at %s", counts[where], id, where)
		}
	}
	return ""
}

// wrongVolumes compares the volumes that are there with those that the scheduler knows.
func (w *world) wrongVolumes() string {
	known := map[driver.Volume]bool{}
	for _, id := range []string{"pg", "resident"} {
		for _, i := range w.instances(idOf(id)) {
			if i.Bound {
				known[driver.Volume{ID: i.Volume, Host: i.Host}] = true
			}
		}
	}
	for _, v := range w.fleet.Volumes() {
		if !known[v] {
			return fmt.Sprintf("volume %s lies on %s and the scheduler does not know it", v.ID, v.Host)
		}
		delete(known, v)
	}
	for v := range known {
		return fmt.Sprintf("volume %s of %s is lost", v.ID, v.Host)
	}
	return ""
}

func idOf(name string) app.ID { return id(name) }

// quiet lets time pass in which nothing may be asked of the machines.
func (w *world) quiet(rule string) {
	before := len(w.fleet.Journal())
	w.pass(10 * time.Minute)
	if after := w.fleet.Journal(); len(after) > before {
		w.violate(rule, "it was asked to %s", after[before])
	}
	if what := w.unsettled(); what != "" {
		w.violate(rule, "%s", what)
	}
}
