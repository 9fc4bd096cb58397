package simulated

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Config is what a fleet is made of.
type Config struct {
	Hosts []Host
	// Behaviour says how a task goes; nil: every task starts at once and runs until it is asked to end.
	Behaviour func(spec driver.Spec, files Files) Behaviour
	// Postgres is how long databases take for things.
	Postgres Pace
	// Store is that of the scheduler; nil: nobody looks at the order of things.
	Store Store
	// Broken is told when a scheduler breaks a rule. It is called while the fleet stands still and must not ask it anything.
	// Nil panics.
	Broken func(rule Rule, text string)
	// Scattered: volumes of one id may lie on several hosts, as on the agents of a master, which knows nothing of such ids.
	// Otherwise one on a second host is refused.
	Scattered bool
	// Seed decides what happens by chance.
	Seed uint64
}

// Host is one machine.
type Host struct {
	Name       string
	Address    string
	Resources  place.Resources
	Ports      place.Ranges
	Attributes map[string]string
	Reserved   map[string]place.Resources // by role, beside Resources
}

// Hosts makes n equal hosts: node1 at 10.0.0.1 and so on, spread over three zones of one region.
func Hosts(n int) []Host {
	hosts := make([]Host, 0, n)
	for i := range n {
		hosts = append(hosts, Host{
			Name: fmt.Sprintf("node%d", i+1), Address: fmt.Sprintf("10.0.%d.%d", (i+1)/256, (i+1)%256),
			Resources:  place.Resources{CPUs: 4, Mem: 8192, Disk: 1e5},
			Ports:      place.Ranges{{Begin: 5432, End: 5432}, {Begin: 8008, End: 8008}, {Begin: 31000, End: 31999}},
			Attributes: map[string]string{"region": "here", "zone": string(rune('a' + i%3))},
		})
	}
	return hosts
}

// Behaviour is how one task goes.
type Behaviour struct {
	Refuse string        // why it is refused, empty when it is not
	Starts time.Duration // from the launch until it runs
	Runs   time.Duration // until it ends by itself; zero: it does not
	End    app.TaskState // how it ends then; empty: TASK_FINISHED
	Why    string        // the message of that end
	Stops  time.Duration // from a request to end until it has ended; the grace bounds it
	// Healthy is what its checks say that run beside it, nil when it has none; see [Fleet.SetHealthy].
	Healthy *bool
	// Sickens is how long it runs until those checks fail; zero: they go on as they are.
	Sickens time.Duration
	// Unwell makes it fail the checks that reach it over the network; see [Fleet.SetPassing].
	Unwell bool
}

// Files are what a volume, or the sandbox of one task, holds.
type Files map[string]string

// Fleet is a set of machines. Its methods may be called from any goroutine.
type Fleet struct {
	cfg Config

	mu        sync.Mutex
	chance    *rand.Rand
	framework string
	hosts     map[string]*host
	names     []string // of the hosts, sorted
	addresses map[string]*host
	tasks     map[app.TaskID]*task
	seen      map[app.TaskID]bool // every id that was ever launched
	clusters  map[app.ID]*cluster
	weather   Weather
	conn      *Driver // the one that is connected
	statuses  int
	journal   []Entry
	agenda    agenda
}

type host struct {
	Host
	off     bool // without power
	cut     bool // out of reach, its tasks go on
	tasks   map[app.TaskID]*task
	volumes map[string]*volume
}

// lost reports whether nobody can see what the host does.
func (h *host) lost() bool { return h.off || h.cut }

// task is one that was launched and whose end is not acknowledged yet.
type task struct {
	spec      driver.Spec
	host      *host
	behaviour Behaviour
	state     app.TaskState // what it does
	message   string
	started   time.Time
	healthy   *bool
	unwell    bool
	passed    bool // its last answer to a check over the network was good
	killed    bool
	end       *plan // of a stop under way
	endsAt    time.Time

	told    driver.Status   // the last one that was sent
	unacked []driver.Status // in order
	last    time.Time       // when the last message about it arrives

	server server
}

func (t *task) live() bool { return !t.state.Terminal() }

type volume struct {
	id       string
	host     *host
	instance app.InstanceID
	files    Files
	used     bool // a task has worked on it
	data     bool // a database was made in it
}

// Entry is one thing that a scheduler asked for.
type Entry struct {
	At     time.Time
	Verb   Verb
	Task   app.TaskID
	Volume string
	Host   string
}

// Verb is what was asked for.
type Verb string

// The verbs of the journal.
const (
	Launched  Verb = "launch"
	Killed    Verb = "kill" // the first request for a task only
	Reserved  Verb = "reserve"
	Destroyed Verb = "destroy"
)

// String is the entry without its time.
func (e Entry) String() string {
	return fmt.Sprintf("%s %s on %s", e.Verb, cmp.Or(string(e.Task), e.Volume), e.Host)
}

// New makes a fleet.
func New(cfg Config) *Fleet {
	f := &Fleet{
		cfg: cfg, chance: rand.New(rand.NewPCG(cfg.Seed, 1)), //nolint:gosec // chance, not secrecy
		hosts: map[string]*host{}, addresses: map[string]*host{}, tasks: map[app.TaskID]*task{}, seen: map[app.TaskID]bool{},
		clusters: map[app.ID]*cluster{},
	}
	for _, h := range cfg.Hosts {
		f.add(h)
	}
	return f
}

func (f *Fleet) add(h Host) {
	f.hosts[h.Name] = &host{Host: h, tasks: map[app.TaskID]*task{}, volumes: map[string]*volume{}}
	f.addresses[h.Address] = f.hosts[h.Name]
	n, _ := slices.BinarySearch(f.names, h.Name)
	f.names = slices.Insert(f.names, n, h.Name)
}

// Journal is what schedulers have asked for so far, in order.
func (f *Fleet) Journal() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.journal)
}

func (f *Fleet) note(e Entry) {
	e.At = time.Now()
	f.journal = append(f.journal, e)
}

// Given is the environment of a task that lives, nil when there is no such task.
func (f *Fleet) Given(id app.TaskID) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tasks[id]; t != nil && t.live() {
		return t.spec.Env
	}
	return nil
}

// Running is a task that lives, as the fleet knows it and not as anybody was told.
type Running struct {
	Task   app.TaskID
	Spec   driver.Spec
	State  app.TaskState
	Killed bool // it was asked to end
}

// Running are the living tasks, sorted by id.
func (f *Fleet) Running() []Running {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Running
	for _, t := range f.tasks {
		if t.live() {
			list = append(list, Running{Task: t.spec.Task, Spec: t.spec, State: t.state, Killed: t.killed})
		}
	}
	slices.SortFunc(list, func(a, b Running) int { return strings.Compare(string(a.Task), string(b.Task)) })
	return list
}

// Volumes are the volumes there are, in the order of their hosts.
func (f *Fleet) Volumes() []driver.Volume {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []driver.Volume
	for _, v := range f.volumes() {
		all = append(all, driver.Volume{ID: v.id, Host: v.host.Name})
	}
	return all
}

// On is the living task of an app on a host; false when there is none.
func (f *Fleet) On(host string, id app.ID) (app.TaskID, bool) {
	for _, r := range f.Running() {
		if r.Spec.Host == host && r.Spec.App.ID == id {
			return r.Task, true
		}
	}
	return "", false
}
