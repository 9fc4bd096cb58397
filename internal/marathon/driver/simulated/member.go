package simulated

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Pace is how long databases take for things. The zero value takes no time at all.
type Pace struct {
	Bootstrap  time.Duration // a new cluster
	Clone      time.Duration // a new member, once there is a leader
	Recover    time.Duration // a member that has its data
	Lease      time.Duration // from a crash of the leader to the next one; a leader that ends in order hands over at once
	Switchover time.Duration
	Picture    time.Duration // how late agents see that the lead has passed
	Answer     time.Duration // an answer of an agent is of that long ago when it arrives
}

// server is what a task's database does.
type server int

const (
	serverNone     server = iota // the task is no database, or has not begun
	serverStarting               // recovers, or is broken
	serverCloning                // has no data yet, or copies it
	serverUp
)

// cluster is what the members of one app have in common.
type cluster struct {
	id          app.ID
	leader      app.InstanceID // who holds the leader key
	former      app.InstanceID // who held it before
	changed     time.Time      // when it passed from one to the other
	timeline    int
	initialized bool
	paused      bool
	synchronous int    // standbys that commits wait for
	stubborn    string // why switchovers are refused, empty when they are not
	broken      func(app.TaskID) bool
	living      map[app.TaskID]*task // whose databases have begun
	election    *plan
	silent      map[app.InstanceID]bool
	barred      map[app.InstanceID]string
	lag         map[app.InstanceID]int64
	known       map[app.InstanceID]bool // members that have begun once
	// down is since when members do not serve of those do not serve.
	down     map[app.InstanceID]time.Time
	pausedAt time.Time
}

func (f *Fleet) cluster(id app.ID) *cluster {
	c := f.clusters[id]
	if c == nil {
		c = &cluster{
			id: id, living: map[app.TaskID]*task{}, silent: map[app.InstanceID]bool{}, barred: map[app.InstanceID]string{}, lag: map[app.InstanceID]int64{},
			down: map[app.InstanceID]time.Time{}, known: map[app.InstanceID]bool{},
		}
		f.clusters[id] = c
	}
	return c
}

// boot starts the database of a task that begins to run, if it is one.
func (f *Fleet) boot(t *task) {
	if !t.spec.App.IsPostgres() {
		return
	}
	c := f.cluster(t.spec.App.ID)
	c.living[t.spec.Task] = t
	defer f.settle(c)
	v := t.host.volumes[t.spec.Volume]
	switch {
	case c.broken != nil && c.broken(t.spec.Task):
		t.server = serverStarting
	case v != nil && v.data:
		t.server = serverStarting
		f.after(f.cfg.Postgres.Recover, func() { f.serve(t) })
	case !c.initialized:
		c.initialized = true
		t.server = serverStarting
		f.after(f.cfg.Postgres.Bootstrap, func() { f.serve(t) })
	default:
		t.server = serverCloning
		f.clone(t)
	}
}

// clone copies the leader's data once there is one.
func (f *Fleet) clone(t *task) {
	if f.leading(f.cluster(t.spec.App.ID)) != nil {
		f.after(f.cfg.Postgres.Clone, func() { f.serve(t) })
	}
}

// serve lets a server take connections.
func (f *Fleet) serve(t *task) {
	if !t.live() || t.server == serverUp {
		return
	}
	c := f.cluster(t.spec.App.ID)
	if t.server == serverCloning && f.leading(c) == nil {
		return // begun again when somebody leads
	}
	if v := t.host.volumes[t.spec.Volume]; v != nil {
		v.data = true
	}
	t.server = serverUp
	f.elect(c)
	if c.leader == t.spec.Instance {
		f.cloneAll(c)
	}
	f.settle(c)
}

// halt ends the database of a task that has ended.
func (f *Fleet) halt(t *task) {
	if t.server == serverNone {
		return
	}
	orderly := t.killed && t.server == serverUp
	if v := t.host.volumes[t.spec.Volume]; v == nil || !v.data {
		f.reopen(t)
	}
	t.server = serverNone
	c := f.cluster(t.spec.App.ID)
	delete(c.living, t.spec.Task)
	defer f.settle(c)
	if c.leader != t.spec.Instance {
		return
	}
	if orderly {
		f.elect(c)
		return
	}
	f.electLater(c)
}

// reopen gives the right to bootstrap back when the member that had it ends before there is any data.
func (f *Fleet) reopen(t *task) {
	c := f.cluster(t.spec.App.ID)
	if t.server != serverStarting || c.leader != "" {
		return
	}
	c.initialized = false
	for _, other := range f.members(c) {
		if other != t && other.live() && other.server == serverCloning {
			f.boot(other)
			return
		}
	}
}

// forget lets a cluster of which no data are left begin anew, as people do who remove what its agents remember of it.
func (f *Fleet) forget(c *cluster) {
	for _, v := range f.volumes() {
		if v.data && v.instance.App() == c.id {
			return
		}
	}
	c.initialized, c.leader = false, ""
	for _, t := range f.members(c) {
		if t.server == serverCloning && !c.initialized {
			f.boot(t)
		}
	}
}

// members are the living tasks of a cluster, sorted by host.
func (f *Fleet) members(c *cluster) []*task {
	var list []*task
	for _, t := range c.living {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *task) int {
		return cmp.Or(strings.Compare(a.host.Name, b.host.Name), compareTasks(a, b))
	})
	return list
}

// leading is the task that leads, nil when nobody does.
func (f *Fleet) leading(c *cluster) *task {
	for _, t := range f.members(c) {
		if t.spec.Instance == c.leader && t.server == serverUp && !t.host.lost() {
			return t
		}
	}
	return nil
}

func (f *Fleet) electAll() {
	for _, id := range slices.Sorted(maps.Keys(f.clusters)) {
		c := f.clusters[id]
		f.settle(c)
		if f.leading(c) == nil {
			f.electLater(c)
		}
	}
}

// electLater waits for the end of the old leader's lease.
func (f *Fleet) electLater(c *cluster) {
	c.election.cancel()
	c.election = f.after(f.cfg.Postgres.Lease, func() { f.elect(c) })
}

// elect is what the agents do when nobody leads: the member with the least lag takes over, by name where that is the same.
func (f *Fleet) elect(c *cluster) {
	if f.leading(c) != nil {
		return
	}
	order := slices.DeleteFunc(f.members(c), func(t *task) bool {
		return t.server != serverUp || t.host.lost() || c.barred[t.spec.Instance] != ""
	})
	slices.SortStableFunc(order, func(a, b *task) int { return cmp.Compare(c.lag[a.spec.Instance], c.lag[b.spec.Instance]) })
	if len(order) == 0 {
		f.pass(c, "")
		f.settle(c)
		return
	}
	f.pass(c, order[0].spec.Instance)
}

// pass gives the leader key to somebody.
func (f *Fleet) pass(c *cluster, to app.InstanceID) {
	if to == c.leader {
		return
	}
	c.former, c.leader, c.changed = c.leader, to, time.Now()
	if to == "" {
		return
	}
	c.timeline++
	delete(c.lag, to)
	f.cloneAll(c)
	f.settle(c)
}

// cloneAll lets the members that wait for somebody to lead begin.
func (f *Fleet) cloneAll(c *cluster) {
	for _, t := range f.members(c) {
		if t.server == serverCloning {
			f.clone(t)
		}
	}
}

// settle looks which members serve.
func (f *Fleet) settle(c *cluster) {
	serving := map[app.InstanceID]bool{}
	for _, t := range f.members(c) {
		serving[t.spec.Instance] = f.serves(c, t)
		c.known[t.spec.Instance] = true
	}
	for id := range c.known {
		_, down := c.down[id]
		switch {
		case serving[id]:
			delete(c.down, id)
		case !down:
			c.down[id] = time.Now()
		}
	}
}

// serves reports whether a member leads or streams.
func (f *Fleet) serves(c *cluster, t *task) bool {
	return t.server == serverUp && !t.host.lost() && (t.spec.Instance == c.leader || f.leading(c) != nil)
}

// pictured is who the agents think leads.
func (f *Fleet) pictured(c *cluster) app.InstanceID {
	if time.Since(c.changed) < f.cfg.Postgres.Picture {
		return c.former
	}
	return c.leader
}

// Leader is the instance that leads, empty when none does, and its host.
func (f *Fleet) Leader(id app.ID) (instance app.InstanceID, host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.leading(f.cluster(id))
	if t == nil {
		return "", ""
	}
	return t.spec.Instance, t.host.Name
}

// Lead makes the member of an app on a host the leader, as a person does who asks the agents; false when it cannot be.
func (f *Fleet) Lead(id app.ID, host string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cluster(id)
	for _, t := range f.members(c) {
		if t.host.Name == host && f.serves(c, t) {
			f.pass(c, t.spec.Instance)
			return true
		}
	}
	return false
}

// Serving are the instances of an app that lead or stream, sorted.
func (f *Fleet) Serving(id app.ID) []app.InstanceID {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cluster(id)
	var list []app.InstanceID
	for _, t := range f.members(c) {
		if f.serves(c, t) {
			list = append(list, t.spec.Instance)
		}
	}
	slices.Sort(list)
	return list
}

// PostgresState is what somebody may wish a cluster to be like.
type PostgresState struct {
	Paused      bool
	Synchronous int    // standbys that commits wait for
	Stubborn    string // why switchovers are refused, empty when they are not
	// Broken are the tasks whose server does not come up; nil: none.
	Broken func(app.TaskID) bool
}

// SetPostgres changes what a cluster is like. A server that was broken comes up when it is not any more.
func (f *Fleet) SetPostgres(id app.ID, s PostgresState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cluster(id)
	was := c.broken
	if s.Paused && !c.paused {
		c.pausedAt = time.Now()
	}
	c.paused, c.synchronous, c.stubborn, c.broken = s.Paused, s.Synchronous, s.Stubborn, s.Broken
	for _, t := range f.members(c) {
		if was != nil && was(t.spec.Task) && t.server == serverStarting {
			f.boot(t)
		}
	}
}

// MemberState is what somebody may wish one member to be like.
type MemberState struct {
	Silent bool   // its agent does not answer
	Barred string // why it must not lead
	Lag    int64  // bytes behind the leader
}

// SetMember changes what a member is like.
func (f *Fleet) SetMember(id app.InstanceID, s MemberState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cluster(id.App())
	c.silent[id], c.barred[id], c.lag[id] = s.Silent, s.Barred, s.Lag
}
