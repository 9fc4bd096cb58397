package mesosfleet

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Config says what machines there are.
type Config struct {
	// Fleet are the machines. Their resources are what the master offers.
	Fleet simulated.Config
	// Apps is the definition of an app: a master is not told all of it.
	Apps func(id app.ID) (app.App, bool)
	// Listener is where the master is called; nil: a free port of this machine.
	Listener net.Listener
}

// Cluster is a master with its agents.
type Cluster struct {
	Master *mesostest.Master
	Fleet  *simulated.Fleet

	cfg  Config
	conn *simulated.Driver
	ctx  context.Context //nolint:containedctx // of what nobody calls
	end  context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	tell map[app.TaskID]func(mesostest.Report)
}

// New starts one. Close ends it.
func New(t *testing.T, cfg Config) *Cluster {
	t.Helper()
	c := &Cluster{cfg: cfg, tell: map[app.TaskID]func(mesostest.Report){}, done: make(chan struct{})}
	c.ctx, c.end = context.WithCancel(context.Background())
	machines := cfg.Fleet
	machines.Scattered, machines.Hosts = true, slices.Clone(machines.Hosts)
	for i := range machines.Hosts { // the master counts
		machines.Hosts[i].Resources = place.Resources{CPUs: 1e6, Mem: 1e9, Disk: 1e9, GPUs: 1e3}
		machines.Hosts[i].Ports = place.Ranges{{Begin: 1, End: 65535}}
		machines.Hosts[i].Reserved = nil
	}
	c.Fleet = simulated.New(machines)
	c.conn = c.Fleet.Open()
	go c.hear()
	if _, err := c.conn.Subscribe(c.ctx, ""); err != nil {
		t.Fatal(err)
	}
	c.Master = mesostest.New(t, mesostest.Config{Agents: agents(cfg.Fleet.Hosts), Play: c, Listener: cfg.Listener})
	return c
}

// Close ends everything.
func (c *Cluster) Close() {
	c.Master.Close()
	c.end()
	_ = c.conn.Close()
	<-c.done
}

// Lose takes a host out of reach of the master and of everything else, Find brings it back.
func (c *Cluster) Lose(host string) {
	_ = c.Fleet.Cut(host)
	c.Master.Partition(host)
}

// Find brings a host back that was lost.
func (c *Cluster) Find(host string) {
	_ = c.Fleet.Heal(host)
	c.Master.Heal(host)
}

// Reboot cuts the power of a host for a moment: its tasks are dead, its volumes are there, and its agent has another id.
func (c *Cluster) Reboot(host string) {
	_ = c.Fleet.KillHost(host)
	c.Master.Reboot(host, true)
	_ = c.Fleet.StartHost(host)
}

// Gone takes a host away for good, and an operator says so.
func (c *Cluster) Gone(host string) {
	_ = c.Fleet.Remove(host)
	c.Master.Gone(host)
}

// agents are the machines as a master has them.
func agents(hosts []simulated.Host) []mesostest.AgentConfig {
	var list []mesostest.AgentConfig
	for _, h := range hosts {
		a := mesostest.AgentConfig{Hostname: h.Name, IP: h.Address, Resources: resources(h)}
		for _, name := range slices.Sorted(maps.Keys(h.Attributes)) {
			a.Attributes = append(a.Attributes, wire.Attribute{Name: name, Type: "TEXT", Text: &wire.ID{Value: h.Attributes[name]}})
		}
		list = append(list, a)
	}
	return list
}

func resources(h simulated.Host) []wire.Resource {
	list := mesostest.Machine(h.Resources.CPUs, h.Resources.Mem, h.Resources.Disk, 1, 1)
	list[0].Ranges = &wire.Ranges{}
	for _, r := range h.Ports {
		list[0].Ranges.Range = append(list[0].Ranges.Range, wire.Range{Begin: r.Begin, End: r.End})
	}
	if h.Resources.GPUs > 0 {
		list = append(list, wire.Resource{Name: "gpus", Type: wire.TypeScalar, Scalar: wire.Amount(float64(h.Resources.GPUs))})
	}
	for _, role := range slices.Sorted(maps.Keys(h.Reserved)) {
		for _, r := range mesostest.Machine(h.Reserved[role].CPUs, h.Reserved[role].Mem, h.Reserved[role].Disk, 1, 0)[1:] {
			if r.Scalar.Milli > 0 {
				r.Reservations = []wire.Reservation{{Type: "STATIC", Role: role}}
				list = append(list, r)
			}
		}
	}
	return list
}

// hear passes on what the machines report.
func (c *Cluster) hear() {
	defer close(c.done)
	for {
		select {
		case e, open := <-c.conn.Events():
			if !open {
				return
			}
			if s, ok := e.(driver.StatusChanged); ok {
				c.pass(s.Status)
			}
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *Cluster) pass(s driver.Status) {
	if !s.State.Terminal() && s.State != app.TaskRunning || s.State == app.TaskUnreachable {
		return // the master's own business
	}
	c.mu.Lock()
	tell := c.tell[s.Task]
	if s.State.Terminal() {
		delete(c.tell, s.Task)
	}
	c.mu.Unlock()
	if tell != nil {
		tell(mesostest.Report{State: string(s.State), Message: s.Message, Healthy: s.Healthy, Taken: func() {
			_ = c.conn.Ack(c.ctx, s) // fails when everything ends
		}})
	}
}

// Launch implements mesostest.Player.
func (c *Cluster) Launch(hostname string, info wire.TaskInfo, tell func(mesostest.Report)) {
	spec, err := c.spec(hostname, info)
	if err == nil {
		c.mu.Lock()
		c.tell[spec.Task] = tell
		c.mu.Unlock()
		err = c.conn.Launch(c.ctx, spec)
	}
	if err != nil {
		go tell(mesostest.Report{State: string(app.TaskFailed), Message: err.Error()})
	}
}

// Kill implements mesostest.Player.
func (c *Cluster) Kill(task string, grace time.Duration) {
	_ = c.conn.Kill(c.ctx, app.TaskID(task), grace) // nobody can refuse here
}

// Destroyed implements mesostest.Player.
func (c *Cluster) Destroyed(hostname string, volume wire.Resource) {
	_ = c.conn.Destroy(c.ctx, driver.Volume{ID: label(volume, "pgbaton_volume"), Host: hostname}) // nobody can refuse here
}

// Created implements mesostest.Player.
func (c *Cluster) Created(hostname string, volume wire.Resource) {
	instance := app.InstanceID(label(volume, "pgbaton_instance"))
	a, _ := c.cfg.Apps(instance.App())
	_ = c.conn.Reserve(c.ctx, driver.Reservation{ // nobody can refuse here
		Volume: label(volume, "pgbaton_volume"), Instance: instance, Host: hostname, App: a,
	})
}

// label is what the reservation of a resource is labelled with.
func label(r wire.Resource, key string) string {
	if n := len(r.Reservations); n > 0 && r.Reservations[n-1].Labels != nil {
		for _, l := range r.Reservations[n-1].Labels.Labels {
			if l.Key == key {
				return l.Value
			}
		}
	}
	return ""
}

// spec is a task as it was meant.
func (c *Cluster) spec(hostname string, info wire.TaskInfo) (driver.Spec, error) {
	task := app.TaskID(info.TaskID.Value)
	a, known := c.cfg.Apps(task.Instance().App())
	if !known {
		return driver.Spec{}, fmt.Errorf("task %s is of no app", task)
	}
	s := driver.Spec{Task: task, Instance: task.Instance(), Host: hostname, App: a, Env: map[string]string{}}
	if info.Command != nil && info.Command.Environment != nil {
		for _, v := range info.Command.Environment.Variables {
			s.Env[v.Name] = v.Value
		}
	}
	for _, r := range info.Resources {
		if r.Disk != nil && r.Disk.Persistence != nil {
			s.Volume = label(r, "pgbaton_volume")
		}
	}
	for i := range a.Ports() {
		port, _ := strconv.Atoi(s.Env["PORT"+strconv.Itoa(i)]) // 0 for one that is not published
		if !taken(info, port) {
			port = 0
		}
		s.Ports = append(s.Ports, port)
	}
	return s, nil
}

// taken reports whether a task has a port of its host.
func taken(info wire.TaskInfo, port int) bool {
	return slices.ContainsFunc(info.Resources, func(r wire.Resource) bool {
		return r.Name == "ports" && r.Ranges != nil && slices.ContainsFunc(r.Ranges.Range, func(x wire.Range) bool { return x.Begin <= port && port <= x.End })
	})
}
