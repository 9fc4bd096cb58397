package mesos

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// rememberEnded is how many tasks that have ended are remembered, for questions that come late.
const rememberEnded = 4096

// agent is a machine, by the id it has now. One that lost its own folder comes back under another.
type agent struct {
	id, host string
	url      *wire.URL
	leaving  bool // its administrator has announced maintenance
	replaced bool // another agent answers at its address
	// offers are those held, by id. pending is what is going to be done with them, in one ACCEPT.
	offers  map[string]wire.Offer
	pending []step
	flush   *time.Timer
	parked  []*parked
	held    *time.Timer // until offers that nobody uses are given back
}

// task is a task that somebody has spoken of.
type task struct {
	id     app.TaskID
	agent  string // id, empty while only its host is known
	host   string
	volume string
	heard  bool           // the master has spoken of it
	doubt  bool           // nobody can say how it is
	killed bool           // somebody wants it to end
	grace  time.Duration  // that it has then
	sent   chan struct{}  // closed when its launch is no longer on the way; nil for one that another driver launched
	ended  *driver.Status // its last status, where that was the end
	// What its check says: in a row it has failed that often, and may that often; the last failure counted; the verdict.
	failures, limit int
	told            string
	healthy         *bool
}

// volume is a volume that was shown in an offer, or is being made. What was asked for in vain on one host may come to be there
// when it has its place on another: the host is part of its name.
type volume struct {
	id, host string
	agent    string
	instance app.InstanceID
	foreign  string // the framework it belongs to, where that is another one
	there    bool
	user     app.TaskID    // empty while no task is known to use it
	making   string        // id of the operation that makes it, or any name for it; empty when none is under way
	since    time.Time     // of making
	attempt  app.Timestamp // the last request to make it
	unmaking bool          // somebody wants it destroyed
	undoing  string        // id of the operation that does it, as making
	undone   bool          // the master has taken the request
}

// agentOf is the agent of an id, made known by its first mention.
func (d *Driver) agentOf(id string) *agent {
	a := d.agents[id]
	if a == nil {
		a = &agent{id: id, host: id, offers: map[string]wire.Offer{}}
		d.agents[id] = a
	}
	return a
}

// agentAt is the agent of a host, nil when it is not known or more than one has that name.
func (d *Driver) agentAt(host string) *agent {
	var found *agent
	for _, a := range d.agents {
		if a.host != host || a.replaced {
			continue
		}
		if found != nil {
			return nil
		}
		found = a
	}
	return found
}

// mention remembers a task.
func (d *Driver) mention(id app.TaskID) *task {
	t := d.tasks[id]
	if t == nil {
		t = &task{id: id}
		d.tasks[id] = t
	}
	return t
}

// where is the agent a task is to be asked about at, nil when nobody knows.
func (d *Driver) where(t *task) *wire.ID {
	if t.agent != "" {
		return &wire.ID{Value: t.agent}
	}
	if a := d.agentAt(t.host); a != nil {
		return &wire.ID{Value: a.id}
	}
	return nil
}

// finish remembers the end of a task. Its volume is free for the next one.
func (d *Driver) finish(t *task, last driver.Status) {
	last.ID = ""
	if t.ended == nil {
		d.endings = append(d.endings, t.id)
	}
	t.ended, t.doubt = &last, false
	for _, v := range d.volumes {
		if v.user == t.id {
			v.user = ""
		}
	}
	if n := len(d.endings) - rememberEnded; n > 0 {
		for _, id := range d.endings[:n] {
			if t := d.tasks[id]; t != nil && t.ended != nil {
				delete(d.tasks, id)
			}
		}
		d.endings = slices.Delete(d.endings, 0, n)
	}
}

// user is the task that uses a volume, empty when none is known to. Volumes of the scheduler are named like their instance.
func (d *Driver) user(name driver.Volume) app.TaskID {
	if v := d.volumes[name]; v != nil && v.user != "" {
		return v.user
	}
	for _, t := range d.tasks {
		here := t.host == name.Host || t.host == t.agent // or where nobody knows
		if here && t.heard && t.ended == nil && (t.volume == name.ID || string(t.id.Instance()) == name.ID) {
			return t.id
		}
	}
	return ""
}

// elsewhere is a volume of that id on another host, nil when there is none.
func (d *Driver) elsewhere(name driver.Volume) *volume {
	for _, v := range d.volumes {
		if v.id == name.ID && v.host != name.Host && !v.unmaking {
			return v
		}
	}
	return nil
}

// replace notes that an agent answers where another one did: whatever ran under the old id is gone, for agents clear away
// what they do not know.
func (d *Driver) replace(a *agent) {
	for _, old := range d.agents {
		if old == a || old.replaced || a.url == nil || old.url == nil || old.host != a.host || old.url.Address != a.url.Address || old.url.Path != a.url.Path {
			continue
		}
		old.replaced = true
		d.drop(old, "its agent has come back under another id")
		for _, t := range d.tasks {
			if t.agent == old.id && t.ended == nil {
				d.say(t, driver.Status{State: app.TaskGone, Message: "its agent has come back under another id, without it"})
			}
		}
	}
}

// say reports a status that Mesos did not.
func (d *Driver) say(t *task, s driver.Status) {
	s.Task, s.Host, s.Time = t.id, t.host, time.Now()
	if s.State.Terminal() {
		d.finish(t, s)
	}
	d.events.Add(driver.StatusChanged{Status: s})
}
