package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

const prefix = "/test/"

// machines are five hosts in memory. They outlive the drivers over them and hold every scheduler to the order of things: a
// launch or an acknowledgement that is not in the store yet fails the test, and so does the death of a leader.
type machines struct {
	t  *testing.T
	db *memory.Store // a client of its own, for looking

	mu        sync.Mutex
	framework string
	tasks     map[app.TaskID]*simTask
	volumes   map[string]string // volume → host
	off       map[string]bool   // hosts without power
	bad       map[string]bool   // hosts on which nothing starts and no volume is made
	leader    app.InstanceID    // who holds the leader key
	former    app.InstanceID    // who held it before
	changed   time.Time         // when it passed from one to the other
	broken    int               // from this incarnation on members do not come to stream; 0: they do
	silent    map[app.InstanceID]bool
	refuse    string // a word of the launch errors to come
	vague     bool   // the next launch has no answer
	mute      int    // so many requests about volumes have no answer, and a volume is not destroyed then
	unmade    bool   // and volumes are not made then
	asked     []driver.Reservation
	stubborn  bool          // switchovers are refused
	deaf      bool          // requests to kill get lost
	stopTakes time.Duration // from a kill to the end
	launches  []string      // "host incarnation"
	failed    []driver.Spec // launches on bad hosts
	kills     []string      // hosts, in order
	out       chan driver.Event
	seq       int
}

type simTask struct {
	spec   driver.Spec
	status driver.Status
	acked  bool
}

func newMachines(t *testing.T, db *memory.Store) *machines {
	m := &machines{
		t: t, db: db, tasks: map[app.TaskID]*simTask{}, volumes: map[string]string{}, off: map[string]bool{}, bad: map[string]bool{},
		silent: map[app.InstanceID]bool{}, stopTakes: 300 * time.Millisecond,
	}
	m.open()
	return m
}

// open gives the machines to another driver.
func (m *machines) open() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = make(chan driver.Event, 4096)
	for _, task := range m.tasks {
		if !task.acked {
			m.out <- driver.StatusChanged{Status: task.status}
		}
	}
}

func (m *machines) Subscribe(_ context.Context, framework string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.framework != "" && m.framework != framework {
		return "", driver.ErrForeign
	}
	m.framework = "framework-1"
	return m.framework, nil
}

func (m *machines) Reserve(_ context.Context, r driver.Reservation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, r)
	if m.bad[r.Host] {
		return fmt.Errorf("%w: no space left on device", driver.ErrRefused)
	}
	if m.unmade && m.mute > 0 {
		m.mute--
		return fmt.Errorf("%w: the request got lost", driver.ErrUnavailable)
	}
	if host := m.volumes[r.Volume]; host != "" && host != r.Host {
		return fmt.Errorf("%w: it lies on %s", driver.ErrRefused, host)
	}
	m.volumes[r.Volume] = r.Host
	if m.mute > 0 {
		m.mute--
		return fmt.Errorf("%w: the answer got lost", driver.ErrUnavailable)
	}
	m.out <- driver.VolumeChanged{Volume: driver.Volume{ID: r.Volume, Host: r.Host}, There: true}
	return nil
}

// triedBy are the bad hosts to which tasks of an app were sent, in order.
func (m *machines) triedBy(id app.ID) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var hosts []string
	for _, s := range m.failed {
		if s.App.ID == id {
			hosts = append(hosts, s.Host)
		}
	}
	return hosts
}

// attempts are the requests to make a volume so far.
func (m *machines) attempts() []driver.Reservation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

func (m *machines) Destroy(_ context.Context, v driver.Volume) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mute > 0 {
		m.mute--
		return fmt.Errorf("%w: the request got lost", driver.ErrUnavailable)
	}
	delete(m.volumes, v.ID)
	m.out <- driver.VolumeChanged{Volume: v}
	return nil
}

func (m *machines) Offers(context.Context) ([]place.Offer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var offers []place.Offer
	for n := range 5 {
		o := place.Offer{
			Host: fmt.Sprintf("node%d", n+1), Address: fmt.Sprintf("10.0.0.%d", n+1), Free: place.Resources{CPUs: 4, Mem: 8192, Disk: 1e5},
			Ports: place.Ranges{{Begin: 5432, End: 5432}, {Begin: 8008, End: 8008}, {Begin: 31000, End: 31999}},
		}
		if m.off[o.Host] {
			continue
		}
		for _, task := range m.tasks {
			if task.spec.Host == o.Host && !task.status.State.Terminal() {
				o.Free, o.Ports = o.Free.Sub(task.spec.Resources), o.Ports.Without(task.spec.HostPorts()...)
			}
		}
		for volume, host := range m.volumes {
			if host == o.Host {
				o.Volumes = append(o.Volumes, volume)
			}
		}
		offers = append(offers, o)
	}
	return offers, nil
}

func (m *machines) Launch(ctx context.Context, s driver.Spec) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[s.Task] != nil {
		return nil
	}
	if stored, ok := m.stored(ctx, s.Instance); !ok || stored.Task() != s.Task || stored.State != app.TaskStaging {
		m.t.Errorf("task %s is launched, the store says %s %s", s.Task, stored.Task(), stored.State)
	}
	if m.bad[s.Host] {
		m.tasks[s.Task], m.failed = &simTask{spec: s}, append(m.failed, s)
		m.say(s.Task, app.TaskFailed, "no space left on device")
		return nil
	}
	if m.refuse != "" {
		return fmt.Errorf("%w: %s", driver.ErrRefused, m.refuse)
	}
	if m.vague {
		m.vague = false
		return driver.ErrUnavailable
	}
	for _, other := range m.tasks {
		if s.Volume != "" && other.spec.Volume == s.Volume && !other.status.State.Terminal() {
			m.t.Errorf("task %s is launched on the volume of %s", s.Task, other.spec.Task)
		}
	}
	m.launches = append(m.launches, fmt.Sprintf("%s %d", s.Host, s.Task.Incarnation()))
	m.tasks[s.Task] = &simTask{spec: s}
	if s.Volume != "" {
		m.volumes[s.Volume] = s.Host
	}
	m.say(s.Task, app.TaskRunning, "")
	m.elect()
	return nil
}

func (m *machines) Kill(_ context.Context, id app.TaskID, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	task := m.tasks[id]
	switch {
	case task == nil:
		m.out <- driver.StatusChanged{Status: driver.Status{Task: id, State: app.TaskGone}}
	case task.status.State.Terminal():
		m.out <- driver.StatusChanged{Status: task.status}
	case m.deaf || m.off[task.spec.Host] || task.status.State == app.TaskKilling:
	default:
		m.checkVictim(task)
		m.kills = append(m.kills, task.spec.Host)
		m.say(id, app.TaskKilling, "")
		time.AfterFunc(m.stopTakes, func() { m.end(id, app.TaskKilled, "stopped as asked") })
	}
	return nil
}

// checkVictim fails the test when the leader is killed while another member could be. The caller holds the lock.
func (m *machines) checkVictim(victim *simTask) {
	// Answers are on their way for a tenth of a second and used for a quarter: who was made leader meanwhile is not known.
	if victim.spec.Volume == "" || victim.spec.Instance != m.leader || time.Since(m.changed) < 350*time.Millisecond {
		return
	}
	for _, task := range m.tasks {
		if task.spec.Volume != "" && task != victim && task.status.State == app.TaskRunning && !m.off[task.spec.Host] {
			m.t.Errorf("the leader %s is killed while %s runs", victim.spec.Task, task.spec.Task)
		}
	}
}

func (m *machines) Reconcile(_ context.Context, known []driver.Known) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range known {
		if m.tasks[k.Task] == nil {
			m.out <- driver.StatusChanged{Status: driver.Status{Task: k.Task, State: app.TaskGone, Host: k.Host}}
		}
	}
	for _, task := range m.tasks {
		m.out <- driver.StatusChanged{Status: task.status}
	}
	m.out <- driver.Reconciled{}
	return nil
}

func (m *machines) Ack(ctx context.Context, s driver.Status) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	task := m.tasks[s.Task]
	if task == nil || task.status.ID != s.ID {
		return nil
	}
	if stored, ok := m.stored(ctx, s.Task.Instance()); ok && stored.Task() == s.Task && stored.State != s.State {
		m.t.Errorf("%s of %s is acknowledged, the store says %s", s.State, s.Task, stored.State)
	}
	task.acked = true
	if s.State.Terminal() {
		delete(m.tasks, s.Task)
	}
	return nil
}

func (m *machines) Events() <-chan driver.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out
}

func (m *machines) Close() error { return nil }

func (m *machines) Hosts(context.Context) ([]app.HostStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var hosts []app.HostStatus
	for n := range 5 {
		h := app.HostStatus{Name: fmt.Sprintf("node%d", n+1), State: driver.HostRunning}
		if m.off[h.Name] {
			h.State = driver.HostStopped
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

func (m *machines) KillHost(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off[name] = true
	for id, task := range m.tasks {
		if task.spec.Host == name && !task.status.State.Terminal() {
			m.say(id, app.TaskUnreachable, "host "+name+" has no power")
		}
	}
	m.elect()
	m.out <- driver.OffersChanged{}
	return nil
}

func (m *machines) StartHost(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off[name] = false
	for id, task := range m.tasks {
		if task.spec.Host == name && !task.status.State.Terminal() {
			m.say(id, app.TaskFailed, "ended when host "+name+" lost its power")
		}
	}
	m.out <- driver.OffersChanged{}
	return nil
}

// say sends a status. The caller holds the lock.
func (m *machines) say(id app.TaskID, state app.TaskState, message string) {
	m.seq++
	task := m.tasks[id]
	task.acked = false
	task.status = driver.Status{ID: fmt.Sprint(m.seq), Task: id, State: state, Host: task.spec.Host, Message: message, Time: time.Now()}
	m.out <- driver.StatusChanged{Status: task.status}
}

// end lets a task end.
func (m *machines) end(id app.TaskID, state app.TaskState, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	task := m.tasks[id]
	if task == nil || task.status.State.Terminal() || m.off[task.spec.Host] {
		return
	}
	m.say(id, state, message)
	m.elect()
	m.out <- driver.OffersChanged{}
}

// die ends the task on a host as if its process had been killed.
func (m *machines) die(host string) {
	m.t.Helper()
	m.end(m.on(host), app.TaskFailed, "signal: killed")
}

// with changes something about the machines.
func (m *machines) with(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// killed are the hosts whose tasks were asked to end, in order.
func (m *machines) killed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kills)
}

// launched are the launches so far, "host incarnation", in order.
func (m *machines) launched() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.launches)
}

func (m *machines) volumeCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.volumes)
}

// on is the living task on a host.
func (m *machines) on(host string) app.TaskID {
	m.t.Helper()
	id, ok := m.running(host)
	if !ok {
		m.t.Fatalf("nothing runs on %s", host)
	}
	return id
}

// running is the task on a host, if one lives there.
func (m *machines) running(host string) (app.TaskID, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, task := range m.tasks {
		if task.spec.Host == host && !task.status.State.Terminal() {
			return id, true
		}
	}
	return "", false
}

// stored is what the store holds of an instance.
func (m *machines) stored(ctx context.Context, id app.InstanceID) (deploy.Instance, bool) {
	pair, ok, err := m.db.Get(ctx, prefix+"instances/"+string(id))
	var i deploy.Instance
	if err != nil || !ok || json.Unmarshal([]byte(pair.Value), &i) != nil {
		return deploy.Instance{}, false
	}
	return i, true
}

// alive reports whether the agent of an instance can do something. The caller holds the lock.
func (m *machines) alive(id app.InstanceID) bool {
	for _, task := range m.tasks {
		if task.spec.Instance == id && !task.status.State.Terminal() && !m.off[task.spec.Host] {
			return true
		}
	}
	return false
}

// pass gives the leader key to somebody. The caller holds the lock.
func (m *machines) pass(to app.InstanceID) {
	if to != m.leader {
		m.former, m.leader, m.changed = m.leader, to, time.Now()
	}
}

// pictureAge is how late agents see that the leader key has passed.
const pictureAge = time.Second

// seen is who the agents think leads. The caller holds the lock.
func (m *machines) seen() app.InstanceID {
	if time.Since(m.changed) < pictureAge {
		return m.former
	}
	return m.leader
}

// elect is what the agents do: when the leader is gone the one on the first host takes over. The caller holds the lock.
func (m *machines) elect() {
	if m.alive(m.leader) {
		return
	}
	next := app.InstanceID("")
	defer func() { m.pass(next) }()
	byHost := map[string]app.InstanceID{}
	for _, task := range m.tasks {
		if m.alive(task.spec.Instance) && task.status.State == app.TaskRunning {
			byHost[task.spec.Host] = task.spec.Instance
		}
	}
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		next = byHost[host]
		return
	}
}

// leads is the host of the leader.
func (m *machines) leads() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.volumes[string(m.leader)]
}

// lead makes the instance on a host the leader.
func (m *machines) lead(host string) {
	id := m.on(host).Instance()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass(id)
}

// agents are the members as seen over REST.
type agents struct{ *machines }

var errSilent = errors.New("no answer")

// at finds the instance whose agent answers at the address.
func (a agents) at(apiURL string) (app.TaskID, error) {
	for _, task := range a.tasks {
		host := "http://10.0.0." + strings.TrimPrefix(task.spec.Host, "node") + ":8008"
		if host == apiURL && a.alive(task.spec.Instance) && !a.silent[task.spec.Instance] && task.spec.Volume != "" {
			return task.spec.Task, nil
		}
	}
	return "", errSilent
}

func (a agents) Status(_ context.Context, apiURL string) (deploy.Member, error) {
	m, err := a.status(apiURL)
	time.Sleep(100 * time.Millisecond) // the answer is of some moment ago when it arrives
	return m, err
}

func (a agents) status(apiURL string) (deploy.Member, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	task, err := a.at(apiURL)
	if err != nil {
		return deploy.Member{}, err
	}
	id := task.Instance()
	m := deploy.Member{
		Name: "member-" + a.volumes[string(id)], Role: deploy.RoleReplica, State: deploy.StateRunning, Streaming: a.leader != "",
		Server: deploy.ServerStandby,
	}
	if id == a.leader {
		m.Server = deploy.ServerPrimary
	}
	switch {
	case id == a.seen():
		m.Role, m.Streaming = deploy.RoleLeader, false
	case a.broken > 0 && task.Incarnation() >= a.broken:
		m.State, m.Streaming = "starting", false
	}
	return m, nil
}

func (agents) Pause(context.Context, string, bool) error { return nil }

func (a agents) Switchover(_ context.Context, apiURL, leader, candidate string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	task, err := a.at(apiURL)
	if err != nil {
		return err
	}
	id := task.Instance()
	if a.stubborn {
		return errors.New("candidate is lagging")
	}
	if id != a.leader || "member-"+a.volumes[string(id)] != leader {
		return errors.New("not the leader")
	}
	for volume, host := range a.volumes {
		if "member-"+host == candidate && a.alive(app.InstanceID(volume)) {
			a.pass(app.InstanceID(volume))
			return nil
		}
	}
	return errors.New("no such candidate")
}
