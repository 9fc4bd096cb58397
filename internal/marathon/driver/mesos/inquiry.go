package mesos

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	// fencePrefix begins the ids of tasks that never were: answers come in order, so the answer about one ends those before.
	fencePrefix = "pgbaton-fence-"
	// fenceTimeout is how long a fence is waited for: a master says nothing about unknown tasks while agents that it knows
	// of have not come back to it.
	fenceTimeout = 5 * time.Second
	// leastInquiry and mostInquiry bound the pause between questions nobody but the driver asks: answers may get lost, and
	// so may what masters say unasked.
	leastInquiry, mostInquiry = 15 * time.Second, 10 * time.Minute
	// questionsAtOnce is how many tasks one call asks about.
	questionsAtOnce = 1000
)

// inquiry asks about tasks, again and again.
type inquiry struct {
	timer *time.Timer
	pause time.Duration
}

func (i *inquiry) halt() {
	if i.timer != nil {
		i.timer.Stop()
	}
}

// inquire begins to ask: for everything that runs now, and soon again for what is in doubt.
func (d *Driver) inquire() {
	d.inquiry.halt()
	d.inquiry.pause = leastInquiry
	d.inquiry.timer = time.AfterFunc(d.inquiry.pause, d.inquireAgain)
	settled := make(chan struct{})
	d.settled = settled
	running := d.live(func(t *task) bool { return t.heard })
	for _, t := range running {
		t.doubt = true // until it is answered for; a master says nothing before the agent has come back to it
	}
	d.askAboutVolumes()
	d.ask(append(d.questions(running), wire.Reconcile{Tasks: []wire.ReconcileTask{}}, d.fence(func(string) { close(settled) })))
}

// inquireAgain asks about the tasks in doubt, and in the longest pauses about all.
func (d *Driver) inquireAgain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return
	}
	all := d.inquiry.pause == mostInquiry
	d.inquiry.pause = min(2*d.inquiry.pause, mostInquiry)
	d.inquiry.timer = time.AfterFunc(d.inquiry.pause, d.inquireAgain)
	questions := d.questions(d.live(func(t *task) bool { return all || t.doubt }))
	d.askAboutVolumes()
	if all {
		questions = append(questions, wire.Reconcile{Tasks: []wire.ReconcileTask{}})
	}
	d.ask(questions)
}

// askAt asks about the tasks of an agent that is there now and that nobody was sure of.
func (d *Driver) askAt(a *agent) {
	d.ask(d.questions(d.live(func(t *task) bool {
		at := d.where(t)
		return t.doubt && at != nil && at.Value == a.id
	})))
}

// live are the tasks that have not ended of which something holds, in the order of their ids.
func (d *Driver) live(of func(*task) bool) []*task {
	var list []*task
	for _, t := range d.tasks {
		if t.ended == nil && of(t) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *task) int { return strings.Compare(string(a.id), string(b.id)) })
	return list
}

// questions ask for the states of tasks, by the agent where it is known: only then the master can say that they are gone.
func (d *Driver) questions(tasks []*task) []wire.Reconcile {
	var list []wire.Reconcile
	tasks = slices.DeleteFunc(tasks, (*task).underway)
	for part := range slices.Chunk(tasks, questionsAtOnce) {
		var q wire.Reconcile
		for _, t := range part {
			q.Tasks = append(q.Tasks, wire.ReconcileTask{TaskID: wire.ID{Value: string(t.id)}, AgentID: d.where(t)})
		}
		list = append(list, q)
	}
	return list
}

// underway reports whether the launch of a task has not been answered: to the master it is not there yet, and it would say so.
func (t *task) underway() bool {
	if t.sent == nil {
		return false
	}
	select {
	case <-t.sent:
		return false
	default:
		return true
	}
}

// ask asks in the background. What gets lost is asked again.
func (d *Driver) ask(questions []wire.Reconcile) {
	for _, q := range questions {
		d.background(wire.Call{Type: wire.CallReconcile, Reconcile: &q})
	}
}

// put asks in order.
func (d *Driver) put(ctx context.Context, questions []wire.Reconcile) error {
	for _, q := range questions {
		if err := d.call(ctx, wire.Call{Type: wire.CallReconcile, Reconcile: &q}); err != nil {
			return fmt.Errorf("ask Mesos about tasks: %w", err)
		}
	}
	return nil
}

// fence is a question whose answer says that those before were answered, or it does after a while.
func (d *Driver) fence(then func(state string)) wire.Reconcile {
	id := fencePrefix + rand.Text()
	d.fences[id] = then
	time.AfterFunc(fenceTimeout, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.passed(id, "")
	})
	return wire.Reconcile{Tasks: []wire.ReconcileTask{{TaskID: wire.ID{Value: id}}}}
}

func (d *Driver) passed(id, state string) {
	if then := d.fences[id]; then != nil {
		delete(d.fences, id)
		then(state)
	}
}

// awaitTasks waits until the master has told what runs.
func (d *Driver) awaitTasks(ctx context.Context) error {
	d.mu.Lock()
	settled := d.settled
	d.mu.Unlock()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: it has not said yet what runs: %w", driver.ErrUnavailable, context.Cause(ctx))
	}
}

// Reconcile implements driver.Driver: the tasks that are asked about, then all the master has, then the fence.
func (d *Driver) Reconcile(ctx context.Context, known []driver.Known) error {
	d.mu.Lock()
	var tasks []*task
	for _, k := range known {
		t := d.mention(k.Task)
		if t.ended != nil {
			d.events.Add(driver.StatusChanged{Status: *t.ended})
			continue
		}
		if t.host == "" || t.host == t.agent { // the agent has not said yet what it is called
			t.host = k.Host
		}
		t.doubt = true
		tasks = append(tasks, t)
	}
	questions := d.questions(tasks)
	questions = append(questions, wire.Reconcile{Tasks: []wire.ReconcileTask{}}, d.fence(func(string) { d.events.Add(driver.Reconciled{}) }))
	d.mu.Unlock()
	return d.put(ctx, questions)
}
