package mesos_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// A second scheduler with the same framework takes over, and the first one hears that it must not act.
func TestTakeover(t *testing.T) {
	first := setUp(t, hosts("a1"))
	spec := first.spec("a1", "1", 1, false)
	first.launch(spec)
	second := &stand{t: t, master: first.master, calls: first.calls, framework: first.framework}
	second.open(nil)
	for open := true; open; {
		select {
		case _, open = <-first.Events():
		case <-time.After(10 * time.Second):
			t.Fatal("the first scheduler was not told")
		}
	}
	if err := first.Kill(t.Context(), spec.Task, 0); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("the first scheduler acts: %v", err)
	}
	second.state(spec.Task, app.TaskRunning)
	if err := second.Kill(t.Context(), spec.Task, 0); err != nil {
		t.Fatal(err)
	}
	second.state(spec.Task, app.TaskKilled)
}

// Tasks and volumes outlive another master, and what runs is not launched again.
func TestMasterFailover(t *testing.T) {
	s := setUp(t, hosts("a1", "a2"))
	spec := s.spec("a1", "1", 1, true)
	s.launch(spec)
	s.master.Failover(50 * time.Millisecond)
	s.state(spec.Task, app.TaskRunning) // asked again
	s.host("a1")
	if err := s.Launch(t.Context(), spec); err != nil {
		t.Errorf("launch again: %v", err)
	}
	if err := s.Kill(t.Context(), spec.Task, 0); err != nil {
		t.Fatal(err)
	}
	s.state(spec.Task, app.TaskKilled)
	s.offer("the volume", func(o place.Offer) bool {
		return o.Host == "a1" && o.Free.CPUs == 3 && o.Kept[spec.Volume].CPUs == 1 && slices.Contains(o.Volumes, spec.Volume)
	})
	next := s.spec("a1", "1", 2, true)
	s.launch(next)
}

// A request to end a task reaches it although its agent was not there when it was made: masters keep none.
func TestKillOutOfReach(t *testing.T) {
	for name, away := range map[string]func(*mesostest.Master){
		"partition": func(m *mesostest.Master) { m.Partition("a1") },
		"failover":  func(m *mesostest.Master) { m.Failover(200 * time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			s := setUp(t, hosts("a1"))
			spec := s.spec("a1", "1", 1, true)
			s.launch(spec)
			away(s.master)
			s.eventually("asked to end", func() bool { return s.Kill(t.Context(), spec.Task, time.Second) == nil })
			if name == "partition" {
				s.state(spec.Task, app.TaskUnreachable)
				s.master.Heal("a1")
			}
			s.state(spec.Task, app.TaskKilled)
		})
	}
}

// A partition makes tasks unreachable and nothing more; they are back when their agent is.
func TestPartition(t *testing.T) {
	s := setUp(t, hosts("a1", "a2"))
	spec := s.spec("a1", "1", 1, true)
	s.launch(spec)
	s.master.Partition("a1")
	s.state(spec.Task, app.TaskUnreachable)
	if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: "a1"}); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("the volume of a task out of reach is given up: %v", err)
	}
	s.reopen()
	if err := s.Reconcile(t.Context(), []driver.Known{{Task: spec.Task, Host: "a1"}}); err != nil {
		t.Fatal(err)
	}
	s.state(spec.Task, app.TaskUnreachable)
	s.await("the end of the answers", func(e driver.Event) bool { return e == driver.Reconciled{} })
	s.master.Heal("a1")
	s.state(spec.Task, app.TaskRunning)
}

// A task that nobody can say anything about is asked for again when its host is there.
func TestAskedAgainWhenTheHostIsThere(t *testing.T) {
	s := setUp(t, hosts("a1"))
	never := s.spec("a1", "1", 1, false)
	s.reopen() // before any offer is seen, the agent of the host has no name
	s.master.Partition("a1")
	if err := s.Reconcile(t.Context(), []driver.Known{{Task: never.Task, Host: "a1"}, {Task: never.Task + "0", Host: "a9"}}); err != nil {
		t.Fatal(err)
	}
	s.state(never.Task+"0", app.TaskLost)
	s.master.Heal("a1")
	s.host("a1")
	s.state(never.Task, app.TaskGone)
}

// After a reboot an agent may come back under another name: the volume is found by its label, and its task has ended.
func TestRebootUnderAnotherName(t *testing.T) {
	for _, another := range []bool{false, true} {
		s := setUp(t, hosts("a1", "a2"))
		spec := s.spec("a1", "1", 1, true)
		s.launch(spec)
		before := s.host("a1").ID
		s.master.Reboot("a1", another)
		s.state(spec.Task, app.TaskGone)
		o := s.offer("the volume", func(o place.Offer) bool {
			return o.Host == "a1" && o.Free.CPUs == 3 && o.Kept[spec.Volume].CPUs == 1 && (o.ID != before) == another && slices.Contains(o.Volumes, spec.Volume)
		})
		next := s.spec("a1", "1", 2, true)
		next.Offer = o.ID
		if err := s.Launch(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		s.state(next.Task, app.TaskRunning)
		if got := s.master.Volumes("a1"); len(got) != 1 {
			t.Errorf("volumes on a1: %v", got)
		}
	}
}

// An operator's word that an agent is gone is the one thing that makes its volumes lost.
func TestGoneByOperator(t *testing.T) {
	s := setUp(t, hosts("a1", "a2"))
	spec := s.spec("a1", "1", 1, true)
	s.launch(spec)
	s.master.Gone("a1")
	if got := s.state(spec.Task, app.TaskGone); got.Host != "a1" {
		t.Errorf("gone on %q", got.Host)
	}
	if lost := s.volume(spec.Volume, false); lost.Volume.Host != "a1" || lost.Why == "" {
		t.Errorf("lost: %+v", lost)
	}
	next := s.spec("a2", "1", 2, true)
	s.launch(next)
}

// Maintenance is told before, accepted, and keeps new tasks away.
func TestMaintenance(t *testing.T) {
	s := setUp(t, hosts("a1", "a2"))
	s.host("a1")
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	s.master.Maintain("a1", at, time.Hour)
	s.await("the word", func(e driver.Event) bool {
		leaving, ok := e.(driver.HostLeaving)
		return ok && leaving.Host == "a1" && leaving.At.Equal(at) && !leaving.Stays
	})
	s.offer("a1 draining", func(o place.Offer) bool { return o.Host == "a1" && o.Draining != "" })
	s.eventually("accepted", func() bool { return len(s.calls.of(wire.CallAcceptInverseOffers)) == 1 })
}

// eventually waits for something that only calls show.
func (s *stand) eventually(what string, good func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !good() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s did not happen", what)
		}
	}
}

// Of a launch whose answer is lost, the truth is found out: it runs, once; of one that was lost on the way, that nothing runs.
func TestAnswerLost(t *testing.T) {
	s := setUp(t, hosts("a1"))
	first := s.spec("a1", "1", 1, false)
	s.master.LoseAnswers(wire.CallAccept, 1)
	s.launch(first)
	s.subscriptions(2)
	s.master.LoseCalls(wire.CallAccept, 1)
	second := s.spec("a1", "2", 1, false)
	if err := s.Launch(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	s.state(second.Task, app.TaskGone)
	s.subscriptions(3)
}

// subscriptions waits for the last of so many: there is one more for each call that was not answered.
func (s *stand) subscriptions(n int) {
	s.t.Helper()
	s.eventually("a subscription", func() bool { return len(s.calls.of(wire.CallSubscribe)) >= n })
	if got := len(s.calls.of(wire.CallSubscribe)); got != n {
		s.t.Errorf("%d subscriptions, want %d", got, n)
	}
	s.host("a1")
}

// So it is with volumes: made once when the answer is lost, not made when the call is.
func TestAnswerAboutVolumeLost(t *testing.T) {
	s := setUp(t, hosts("a1"))
	spec := s.spec("a1", "1", 1, true)
	s.master.LoseAnswers(wire.CallAccept, 1)
	s.reserve(spec)
	s.reserve(spec)
	s.volume(spec.Volume, true)
	if got := s.master.Volumes("a1"); len(got) != 1 {
		t.Errorf("volumes: %v", got)
	}
	s.subscriptions(2)
	s.master.LoseCalls(wire.CallAccept, 1)
	other := s.spec("a1", "2", 1, true)
	s.reserve(other)
	if got := s.volume(other.Volume, false); got.Why == "" {
		t.Error("it does not say why")
	}
	s.subscriptions(3)
	s.reserve(s.spec("a1", "2", 1, true))
	s.volume(other.Volume, true)
}

// What is destroyed gives back everything, also when nobody answers.
func TestDestroyAnswerLost(t *testing.T) {
	for _, lose := range []func(s *stand){
		func(*stand) {},
		func(s *stand) { s.master.LoseAnswers(wire.CallAccept, 1) },
		func(s *stand) { s.master.LoseCalls(wire.CallAccept, 1) },
	} {
		s := setUp(t, hosts("a1"))
		spec := s.spec("a1", "1", 1, true)
		s.reserve(spec)
		s.volume(spec.Volume, true)
		s.host("a1")
		lose(s)
		if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: "a1"}); err != nil {
			t.Fatal(err)
		}
		s.volume(spec.Volume, false)
		s.offer("everything", func(o place.Offer) bool { return o.Free == place.Resources{CPUs: 4, Mem: 4096, Disk: 20000} })
		if got := s.master.Volumes("a1"); len(got) != 0 {
			t.Errorf("volumes: %v", got)
		}
	}
}

// Several things asked of an agent at once are one ACCEPT.
func TestSeveralOperationsInOneAccept(t *testing.T) {
	s := setUp(t, hosts("a1"))
	specs := []driver.Spec{s.spec("a1", "1", 1, false), s.spec("a1", "2", 1, false), s.spec("a1", "3", 1, false)}
	resident := s.spec("a1", "4", 1, true)
	for _, spec := range specs {
		if err := s.Launch(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	s.reserve(resident)
	for _, spec := range specs {
		s.state(spec.Task, app.TaskRunning)
	}
	s.volume(resident.Volume, true)
	accepts := s.calls.of(wire.CallAccept)
	if len(accepts) != 1 || len(accepts[0].Accept.Operations) != 5 {
		t.Errorf("%d calls, want one with 5 operations", len(accepts))
	}
	too := s.spec("a1", "5", 1, false)
	too.Resources.CPUs = 0.5
	if err := s.Launch(t.Context(), too); !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "cpus") {
		t.Errorf("more than there is: %v", err)
	}
}

// Without anything to do offers go back, and they come again when they are wanted.
func TestSuppressAndRevive(t *testing.T) {
	s := setUp(t, hosts("a1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.open(func(c *mesos.Config) { c.Idle = 20 * time.Millisecond })
	s.host("a1")
	s.eventually("suppressed", func() bool { return len(s.calls.of(wire.CallSuppress)) > 0 && len(s.calls.of(wire.CallDecline)) > 0 })
	s.master.Failover(0)
	s.eventually("suppressed again", func() bool {
		all := s.calls.of(wire.CallSubscribe)
		return slices.Equal(all[len(all)-1].Subscribe.SuppressedRoles, []string{role})
	})
	s.host("a1")
	if len(s.calls.of(wire.CallRevive)) == 0 {
		t.Error("offers came without being asked for")
	}
}

// An offer that nobody uses goes back after a while, for a moment.
func TestOthersGetTheirTurn(t *testing.T) {
	s := setUp(t, hosts("a1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.open(func(c *mesos.Config) { c.Hold = 10 * time.Millisecond })
	s.host("a1")
	s.eventually("declined", func() bool { return len(s.calls.of(wire.CallDecline)) > 0 })
	if got := s.calls.of(wire.CallDecline)[0].Decline.Filters.RefuseSeconds; got != 2 {
		t.Errorf("for %v s", got)
	}
}

// A framework that Mesos has removed says so, and that its volumes are still there.
func TestRemovedFramework(t *testing.T) {
	s := setUp(t, hosts("a1"))
	s.master.Remove(s.framework)
	d, err := mesos.New(mesos.Config{Masters: []string{s.calls.address()}, Role: role, LeastPause: time.Millisecond}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if _, err := d.Subscribe(t.Context(), s.framework); !errors.Is(err, driver.ErrForeign) {
		t.Errorf("got %v", err)
	}
}

// One failure of a check does not make a task ill; as many as its definition allows do.
func TestFailuresInARow(t *testing.T) {
	s := setUp(t, hosts("a1"))
	spec := s.spec("a1", "1", 1, false)
	spec.App.HealthChecks = []app.HealthCheck{{Protocol: app.ProtocolCommand, Command: &app.Command{Value: "true"}, MaxConsecutiveFailures: 3}}
	s.launch(spec)
	verdict := func(result bool) *bool {
		s.master.Healthy(string(spec.Task), result)
		return s.state(spec.Task, app.TaskRunning).Healthy
	}
	if got := verdict(true); got == nil || !*got {
		t.Error("it passes, and is not healthy")
	}
	for range 2 {
		if got := verdict(false); got == nil || !*got {
			t.Error("one or two failures make it ill")
		}
	}
	if got := verdict(false); got == nil || *got {
		t.Error("three failures do not")
	}
	if got := verdict(true); got == nil || !*got {
		t.Error("it passes again, and is not healthy")
	}
}

// A volume that was given up before anybody said that it is there may be made on another host, and is destroyed where it comes
// to be all the same.
func TestVolumeGivenUpOnOneHost(t *testing.T) {
	s := setUp(t, hosts("a1", "a2"))
	spec, elsewhere := s.spec("a1", "1", 1, true), s.spec("a2", "1", 1, true)
	if err := s.Reconcile(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.await("the end of the answers", func(e driver.Event) bool { return e == driver.Reconciled{} })
	s.master.Slow(200 * time.Millisecond)
	s.reserve(spec)
	s.eventually("asked for", func() bool { return len(s.calls.of(wire.CallAccept)) == 1 })
	if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: "a1"}); err != nil {
		t.Fatal(err)
	}
	s.reserve(elsewhere)
	s.await("the one on a2", func(e driver.Event) bool {
		return e == driver.VolumeChanged{Volume: driver.Volume{ID: spec.Volume, Host: "a2"}, There: true}
	})
	s.await("the end of the other", func(e driver.Event) bool {
		return e == driver.VolumeChanged{Volume: driver.Volume{ID: spec.Volume, Host: "a1"}}
	})
	if a1, a2 := s.master.Volumes("a1"), s.master.Volumes("a2"); len(a1) != 0 || len(a2) != 1 {
		t.Errorf("volumes: on a1 %v, on a2 %v", a1, a2)
	}
}

// What a driver has not been shown yet is not taken for gone.
func TestDestroyAfterRestart(t *testing.T) {
	s := setUp(t, hosts("a1"))
	spec := s.spec("a1", "1", 1, true)
	s.launch(spec)
	s.reopen()
	s.host("a1")
	if err := s.Destroy(t.Context(), driver.Volume{ID: spec.Volume, Host: "a1"}); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("in use: got %v, want ErrRefused", err)
	}
	began := time.Now()
	if err := s.Destroy(t.Context(), driver.Volume{ID: "another", Host: "a1"}); err != nil {
		t.Error(err)
	}
	s.await("the end of what is not there", func(e driver.Event) bool {
		return e == driver.VolumeChanged{Volume: driver.Volume{ID: "another", Host: "a1"}}
	})
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("it is gone after %s: what a task used may not have been offered yet", took)
	}
}

// The volume of a member that does not run is lost with its agent as well, whether the driver is there when an operator says so
// or comes later.
func TestGoneByOperatorWithoutATask(t *testing.T) {
	s := setUp(t, hosts("a1", "a2", "a3"))
	first, second := s.spec("a1", "1", 1, true), s.spec("a2", "2", 1, true)
	var agents [2]string
	for n, spec := range []driver.Spec{first, second} {
		s.launch(spec)
		agents[n] = s.host(spec.Host).AgentID
		s.master.End(string(spec.Task), "TASK_FINISHED", "")
		s.state(spec.Task, app.TaskFinished)
	}
	s.master.Gone("a1")
	if lost := s.volume(first.Volume, false); lost.Volume.Host != "a1" || lost.Why == "" {
		t.Errorf("lost: %+v", lost)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.master.Gone("a2")
	s.kept = nil
	s.open(nil)
	s.Watch(map[driver.Volume]string{{ID: second.Volume, Host: "a2"}: agents[1], {ID: "there", Host: "a3"}: s.host("a3").AgentID})
	if lost := s.volume(second.Volume, false); lost.Volume.Host != "a2" || lost.Why == "" {
		t.Errorf("lost: %+v", lost)
	}
	if len(s.kept) > 0 && slices.ContainsFunc(s.kept, func(e driver.Event) bool {
		changed, ok := e.(driver.VolumeChanged)
		return ok && changed.Volume.ID == "there"
	}) {
		t.Error("a volume on an agent that is there is lost")
	}
}

// An offer that the master takes back is gone at once, and comes again when its agent does.
func TestRescind(t *testing.T) {
	s := setUp(t, hosts("a1"))
	s.host("a1")
	s.master.Restart("a1", 200*time.Millisecond)
	s.eventually("nothing is offered", func() bool {
		offers, err := s.Offers(t.Context())
		return err == nil && len(offers) == 0
	})
	s.host("a1")
}
