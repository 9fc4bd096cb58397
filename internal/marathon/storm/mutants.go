package storm

import (
	"context"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
)

// mutant is a deliberate mistake, made between the scheduler and what it stores, asks for and hears. The zero mutant is the
// product as it is.
type mutant struct {
	// name is how it is switched on, about what it gets wrong.
	name, about string
	driver      func(*world, port) driver.Driver
	store       func(*world, kv.Store) kv.Store
	members     func(*world, run.Members) run.Members
	term        func(run.Term) run.Term
	deaf        bool
	// below is what the scheduler stands on, nil for the machines with their own driver.
	below func(*world, simulated.Config) below
}

// Mutants are the names of all deliberate mistakes, with what each gets wrong.
func Mutants() map[string]string {
	all := map[string]string{}
	for _, m := range mutants() {
		all[m.name] = m.about
	}
	return all
}

func findMutant(name string) mutant {
	for _, m := range mutants() {
		if m.name == name {
			return m
		}
	}
	return mutant{}
}

func mutants() []mutant {
	onDriver := func(name, about string, bend bentDriver) mutant {
		return mutant{name: name, about: about, driver: func(_ *world, p port) driver.Driver {
			b := bend
			b.port = p
			return &b
		}}
	}
	return []mutant{
		onDriver("ack-first", "a status is acknowledged before it is stored", bentDriver{ackFirst: true}),
		onDriver("forget-destroy", "a volume counts as destroyed without being so", bentDriver{forgetDestroy: true}),
		onDriver("forget-kill", "a request to end a task is not made", bentDriver{forgetKill: true}),
		onDriver("unknown-is-dead", "a task out of reach counts as one that has failed", bentDriver{unknownIsDead: true}),
		onDriver("wrong-host", "a task is launched on another host than the one that is stored", bentDriver{wrongHost: true}),
		{name: "store-later", about: "instances are stored after the driver has been asked", store: func(_ *world, s kv.Store) kv.Store { return &lateStore{Store: s} }},
		{name: "gate-open", about: "every member that answers is taken for one that serves", members: func(_ *world, m run.Members) run.Members {
			return bentMembers{m, func(m *deploy.Member) { m.Streaming = m.Role != deploy.RoleLeader; m.State = deploy.StateRunning }}
		}},
		{name: "blind-to-the-leader", about: "the leader is taken for a replica, and another for the leader", members: func(_ *world, m run.Members) run.Members {
			return bentMembers{m, func(m *deploy.Member) {
				leads := m.Name == "member-node1"
				m.Role, m.Server, m.Streaming = deploy.RoleReplica, deploy.ServerStandby, true
				if leads {
					m.Role, m.Server, m.Streaming = deploy.RoleLeader, deploy.ServerPrimary, false
				}
			}}
		}},
		{name: "deaf", about: "that nobody takes a connection is not noticed: it looks as if each task ended its own", deaf: true},
		{name: "endless-term", about: "a scheduler does not notice that another one leads", term: func(t run.Term) run.Term { return endless{t} }},
		{name: "no-switchover", about: "a switchover counts as made without being so", members: func(_ *world, m run.Members) run.Members { return deafMembers{m} }},
	}
}

// endless is a term that is never over.
type endless struct{ run.Term }

// Left implements run.Term.
func (endless) Left() time.Duration { return time.Hour }

// bentDriver makes mistakes on the way to the driver and back.
type bentDriver struct {
	port

	ackFirst, forgetDestroy, forgetKill, unknownIsDead, wrongHost bool

	out chan driver.Event
}

// Events implements driver.Driver.
func (d *bentDriver) Events() <-chan driver.Event {
	if d.out != nil || !d.ackFirst && !d.unknownIsDead && !d.forgetDestroy {
		if d.out != nil {
			return d.out
		}
		return d.port.Events()
	}
	d.out = make(chan driver.Event, 1<<14)
	go func() {
		defer close(d.out)
		for e := range d.port.Events() {
			d.out <- d.bend(e)
		}
	}()
	return d.out
}

func (d *bentDriver) bend(e driver.Event) driver.Event {
	s, ok := e.(driver.StatusChanged)
	switch {
	case ok && d.ackFirst && s.Status.ID != "":
		_ = d.Ack(context.Background(), s.Status)
	case ok && d.unknownIsDead && s.Status.State == app.TaskUnreachable:
		s.Status.ID, s.Status.State = "", app.TaskFailed
		return s
	}
	return e
}

// Destroy implements driver.Driver.
func (d *bentDriver) Destroy(ctx context.Context, v driver.Volume) error {
	if d.forgetDestroy && d.out != nil {
		d.out <- driver.VolumeChanged{Volume: v}
		return nil
	}
	return d.port.Destroy(ctx, v)
}

// Kill implements driver.Driver.
func (d *bentDriver) Kill(ctx context.Context, task app.TaskID, grace time.Duration) error {
	if d.forgetKill {
		return nil
	}
	return d.port.Kill(ctx, task, grace)
}

// Launch implements driver.Driver.
func (d *bentDriver) Launch(ctx context.Context, s driver.Spec) error {
	if d.wrongHost && s.Volume == "" {
		s.Host = "node1"
	}
	return d.port.Launch(ctx, s)
}

// lateStore says that a write was made and makes it a moment later.
type lateStore struct {
	kv.Store

	at kv.Version
}

// Put implements kv.Store.
func (s *lateStore) Put(_ context.Context, key, value string, _ kv.Condition, lease kv.LeaseID) (kv.Version, error) {
	time.AfterFunc(time.Millisecond, func() { _, _ = s.Store.Put(context.Background(), key, value, kv.Always(), lease) }) //nolint:contextcheck // that is the mistake
	s.at++
	return s.at, nil
}

// bentMembers misreads what agents say.
type bentMembers struct {
	run.Members

	bend func(*deploy.Member)
}

// Status implements run.Members.
func (m bentMembers) Status(ctx context.Context, apiURL string) (deploy.Member, error) {
	status, err := m.Members.Status(ctx, apiURL)
	if err == nil {
		m.bend(&status)
	}
	return status, err
}

// deafMembers hand nothing over.
type deafMembers struct{ run.Members }

// Switchover implements run.Members.
func (deafMembers) Switchover(context.Context, string, string, string) error { return nil }
