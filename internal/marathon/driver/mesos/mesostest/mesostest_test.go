package mesostest_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// framework talks to the master as a driver would, one step at a time.
type framework struct {
	t      *testing.T
	master *mesostest.Master
	*session.Session
	events chan wire.Event
	offers []wire.Offer // that came while something else was waited for
}

func subscribe(t *testing.T, m *mesostest.Master) *framework {
	t.Helper()
	f := &framework{t: t, master: m, events: make(chan wire.Event, 1000)}
	f.Session = session.New(session.Config{
		Masters: []string{m.Address()}, LeastPause: time.Millisecond, MostPause: 20 * time.Millisecond,
		Framework: wire.FrameworkInfo{User: "root", Name: "test", Roles: []string{"web"}, Principal: "p", Checkpoint: true, FailoverTimeout: 604800},
	}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.Run(ctx, session.Handler{
			Subscribed: func(s wire.Subscribed) { f.events <- wire.Event{Type: wire.EventSubscribed, Subscribed: &s} },
			Event:      func(e wire.Event) { f.events <- e },
			Lost:       func(error) {},
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	f.await(wire.EventSubscribed)
	return f
}

// await is the next event of a kind; others but offers are passed over.
func (f *framework) await(kind wire.EventType) wire.Event {
	f.t.Helper()
	for {
		select {
		case e := <-f.events:
			if e.Type == kind {
				return e
			}
			if e.Type == wire.EventOffers {
				f.offers = append(f.offers, e.Offers.Offers...)
			}
		case <-time.After(10 * time.Second):
			f.t.Fatalf("no %s in 10 s", kind)
		}
	}
}

// awaitState acknowledges statuses until a task has a state.
func (f *framework) awaitState(state string) wire.TaskStatus {
	f.t.Helper()
	for {
		s := f.await(wire.EventUpdate).Update.Status
		if s.UUID != "" {
			f.call(wire.Call{Type: wire.CallAcknowledge, Acknowledge: &wire.Acknowledge{AgentID: *s.AgentID, TaskID: s.TaskID, UUID: s.UUID}})
		}
		if s.State == state {
			return s
		}
	}
}

func (f *framework) call(c wire.Call) {
	f.t.Helper()
	if err := f.Call(f.t.Context(), c); err != nil {
		f.t.Fatal(err)
	}
}

func (f *framework) offer() wire.Offer {
	f.t.Helper()
	if len(f.offers) == 0 {
		f.offers = f.await(wire.EventOffers).Offers.Offers
	}
	o := f.offers[0]
	f.offers = f.offers[1:]
	return o
}

func (f *framework) accept(o wire.Offer, ops ...wire.Operation) {
	f.t.Helper()
	f.call(wire.Call{Type: wire.CallAccept, Accept: &wire.Accept{OfferIDs: []wire.ID{o.ID}, Operations: ops, Filters: &wire.Filters{}}})
}

func one(hosts ...string) mesostest.Config {
	var c mesostest.Config
	for _, host := range hosts {
		c.Agents = append(c.Agents, mesostest.AgentConfig{Hostname: host, IP: "127.0.0.1", Resources: mesostest.Machine(4, 4096, 20000, 31000, 31999)})
	}
	return c
}

// recorded reads what a program that is not ours has said to a real master.
func recorded(t *testing.T, name string) wire.Call {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "wire", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var c wire.Call
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The recorded sequence: reserve and create, launch on the volume, kill, destroy and unreserve. The answers are of the
// recorded kinds, and in the end the agent has what it had.
func TestALifeAsRecorded(t *testing.T) {
	m := mesostest.New(t, one("a1"))
	f := subscribe(t, m)
	f.accept(f.offer(), recorded(t, "call-ACCEPT-RESERVE-CREATE.json").Accept.Operations...)
	for range 2 {
		if s := f.await(wire.EventUpdateOperationStatus).UpdateOperationStatus.Status; s.State != "OPERATION_FINISHED" || s.UUID == nil || s.AgentID == nil {
			t.Errorf("operation: %+v", s)
		}
	}
	o := f.offer()
	if got := m.Volumes("a1"); !slices.Equal(got, []string{"demo-data-1"}) {
		t.Errorf("volumes %v", got)
	}
	launch := recorded(t, "call-ACCEPT-LAUNCH-on-volume.json").Accept.Operations
	launch[0].Launch.TaskInfos[0].AgentID = o.AgentID
	f.accept(o, launch...)
	if s := f.awaitState("TASK_RUNNING"); s.Source != "SOURCE_EXECUTOR" || s.Reason != "" || s.ContainerStatus == nil {
		t.Errorf("running: %+v", s)
	}
	f.call(wire.Call{Type: wire.CallKill, Kill: &wire.Kill{TaskID: launch[0].Launch.TaskInfos[0].TaskID}})
	f.awaitState("TASK_KILLED")
	used := wire.Allocated(launch[0].Launch.TaskInfos[0].Resources, "")
	for all := false; !all; {
		o = f.offer()
		_, all = wire.Subtract(wire.Allocated(o.Resources, ""), used...)
	}
	f.accept(o, recorded(t, "call-ACCEPT-DESTROY-UNRESERVE.json").Accept.Operations[0])
	if s := f.await(wire.EventUpdateOperationStatus).UpdateOperationStatus.Status; s.State != "OPERATION_FINISHED" {
		t.Errorf("destroyed: %+v", s)
	}
	if got := m.Volumes("a1"); len(got) != 0 {
		t.Errorf("volumes %v", got)
	}
}

func launchOf(o wire.Offer, id string, cpus float64) wire.Operation {
	return wire.Operation{Type: wire.OpLaunch, Launch: &wire.Launch{TaskInfos: []wire.TaskInfo{{
		Name: id, TaskID: wire.ID{Value: id}, AgentID: o.AgentID, Command: &wire.Command{Shell: true, Value: "sleep 1000"},
		Resources: wire.Allocated([]wire.Resource{{Name: "cpus", Type: wire.TypeScalar, Scalar: wire.Amount(cpus)}}, "web"),
	}}}}
}

func TestLaunchesThatCannotBe(t *testing.T) {
	f := subscribe(t, mesostest.New(t, one("a1")))
	o := f.offer()
	f.accept(o, launchOf(o, "big", 64))
	if s := f.awaitState("TASK_ERROR"); s.Reason != "REASON_TASK_INVALID" || s.UUID != "" {
		t.Errorf("%+v", s)
	}
	f.accept(o, launchOf(o, "late", 1)) // the offer was used
	if s := f.awaitState("TASK_DROPPED"); s.Reason != "REASON_INVALID_OFFERS" {
		t.Errorf("%+v", s)
	}
}

func TestAPartitionAndItsEnd(t *testing.T) {
	m := mesostest.New(t, one("a1"))
	f := subscribe(t, m)
	o := f.offer()
	f.accept(o, launchOf(o, "t1", 1))
	f.awaitState("TASK_RUNNING")
	m.Partition("a1")
	f.awaitState("TASK_UNREACHABLE")
	f.call(wire.Call{Type: wire.CallReconcile, Reconcile: &wire.Reconcile{Tasks: []wire.ReconcileTask{{TaskID: wire.ID{Value: "t1"}}, {TaskID: wire.ID{Value: "nobody"}}}}})
	if s := f.awaitState("TASK_UNREACHABLE"); s.Reason != "REASON_RECONCILIATION" {
		t.Errorf("%+v", s)
	}
	f.awaitState("TASK_UNKNOWN")
	m.Heal("a1")
	if s := f.awaitState("TASK_RUNNING"); s.Reason != "REASON_AGENT_REREGISTERED" {
		t.Errorf("%+v", s)
	}
}

func TestStatusesComeAgainUntilTheyAreAcknowledged(t *testing.T) {
	m := mesostest.New(t, one("a1"))
	f := subscribe(t, m)
	o := f.offer()
	f.accept(o, launchOf(o, "t1", 1))
	first := f.await(wire.EventUpdate).Update.Status
	m.Failover(20 * time.Millisecond)
	f.await(wire.EventSubscribed)
	again := f.await(wire.EventUpdate).Update.Status
	if again.UUID != first.UUID || again.State != "TASK_STARTING" {
		t.Errorf("first %+v, then %+v", first, again)
	}
}

func TestADrainAndAMaintenance(t *testing.T) {
	m := mesostest.New(t, one("a1"))
	f := subscribe(t, m)
	o := f.offer()
	f.accept(o, launchOf(o, "t1", 1))
	f.awaitState("TASK_RUNNING")
	m.Maintain("a1", time.Now().Add(time.Hour), time.Hour)
	if e := f.await(wire.EventInverseOffers); e.InverseOffers.InverseOffers[0].AgentID.Value != o.AgentID.Value {
		t.Errorf("%+v", e)
	}
	m.Drain("a1")
	if s := f.awaitState("TASK_KILLED"); s.Reason != "REASON_AGENT_DRAINING" {
		t.Errorf("%+v", s)
	}
	m.Reactivate("a1")
	for f.offer().Unavailability == nil {
		t.Log("an offer of before")
	}
}

func TestALostAnswerWasCarriedOut(t *testing.T) {
	m := mesostest.New(t, one("a1"))
	f := subscribe(t, m)
	o := f.offer()
	m.LoseAnswers(wire.CallAccept, 1)
	err := f.Call(t.Context(), wire.Call{Type: wire.CallAccept, Accept: &wire.Accept{OfferIDs: []wire.ID{o.ID}, Operations: []wire.Operation{launchOf(o, "t1", 1)}}})
	if err == nil {
		t.Fatal("an answer came")
	}
	f.awaitState("TASK_RUNNING")
}

// shell runs the commands of tasks in folders of the test.
type shell struct{ root string }

func (s shell) Root() string     { return s.root }
func (s shell) Own(string) error { return nil }
func (s shell) Command(info wire.TaskInfo) (*exec.Cmd, error) {
	return exec.Command("sh", "-c", info.Command.Value), nil
}

func TestProcessesInTheirVolumes(t *testing.T) {
	c := one("a1")
	c.Run = shell{t.TempDir()}
	m := mesostest.New(t, c)
	f := subscribe(t, m)
	f.accept(f.offer(), recorded(t, "call-ACCEPT-RESERVE-CREATE.json").Accept.Operations...)
	var o wire.Offer
	for !slices.ContainsFunc(o.Resources, func(r wire.Resource) bool { return r.Disk != nil }) {
		o = f.offer()
	}
	launch := recorded(t, "call-ACCEPT-LAUNCH-on-volume.json").Accept.Operations
	task := &launch[0].Launch.TaskInfos[0]
	task.AgentID = o.AgentID
	task.Command = &wire.Command{Shell: true, Value: "echo $WORD > data/word; exit 3", Environment: &wire.Environment{Variables: []wire.Variable{{Name: "WORD", Value: "kept"}}}}
	f.accept(o, launch...)
	if s := f.awaitState("TASK_FAILED"); !strings.Contains(s.Message, "3") {
		t.Errorf("%+v", s)
	}
	b, err := os.ReadFile(filepath.Join(c.Run.Root(), "a1", "volumes", "demo-data-1", "word"))
	if err != nil || string(b) != "kept\n" {
		t.Errorf("in the volume: %q, %v", b, err)
	}
}
