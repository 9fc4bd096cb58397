package drivertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Platform is a set of machines to run the suite on. They are empty at the beginning of each test and have a POSIX
// shell.
type Platform struct {
	// Image runs a shell command given as Spec.Cmd; empty when the driver needs none.
	Image string
	// Checks says that the driver runs health checks beside its tasks.
	Checks bool
	// Hosts is how many hosts have something to offer, where offers come one after the other; 0 where they are there at once.
	Hosts int
	// Folder is where the volume of a task lies in the folder it begins in; empty where that folder is the volume.
	Folder string
	// Open connects to the machines, the same ones each time. The suite closes what it opens.
	Open func(t *testing.T) driver.Driver
}

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// Run runs the suite; setup makes the machines for one test.
func Run(t *testing.T, setup func(t *testing.T) Platform) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *session)
	}{
		{"offers show what a launch takes", offersShrink},
		{"a task runs until it ends by itself", endsByItself},
		{"a task that fails says why", failureSaysWhy},
		{"a launch repeated starts nothing", launchTwice},
		{"a volume outlives its tasks", volumeStays},
		{"a volume has one task at a time", volumeIsExclusive},
		{"what cannot run is refused", refusals},
		{"a kill lets the task end in order", killIsPolite},
		{"a kill ends a task that does not listen", killInsists},
		{"a kill is always answered", killAnswers},
		{"tasks outlive the driver", tasksOutliveDriver},
		{"a status comes again until it is acknowledged", statusComesAgain},
		{"reconciliation answers for every task", reconcileAnswers},
		{"another framework is turned away", foreignFramework},
		{"a host without power", hostWithoutPower},
		{"a volume is made for one instance", volumeIsReserved},
		{"a volume is destroyed with everything in it", volumeIsDestroyed},
		{"a volume in use is not destroyed", volumeInUseStays},
		{"volumes outlive the driver", volumesOutliveDriver},
		{"a task sees its environment", environment},
		{"checks beside the task tell how it is", checksBeside},
		{"gpus are counted", gpus},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &session{t: t, platform: setup(t), volumes: map[string]string{}}
			s.open()
			defer s.end()
			test.run(t, s)
		})
	}
}

// session is one test's use of a platform.
type session struct {
	t         *testing.T
	platform  Platform
	framework string
	driver.Driver
	launched []driver.Spec
	kept     []driver.Event    // that nobody has waited for yet
	volumes  map[string]string // those that were made, each with its host
}

func (s *session) open() {
	s.t.Helper()
	s.Driver = s.platform.Open(s.t)
	framework, err := s.Subscribe(s.t.Context(), s.framework)
	if err != nil {
		s.t.Fatalf("subscribe: %v", err)
	}
	s.framework = framework
}

func (s *session) reopen() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	s.open()
}

// end stops what the test started, also when it failed.
func (s *session) end() {
	if power, ok := s.Driver.(driver.Switchable); ok {
		hosts, _ := power.Hosts(s.t.Context())
		for _, h := range hosts {
			_ = power.StartHost(s.t.Context(), h.Name)
		}
	}
	for _, spec := range s.launched {
		_ = s.Kill(s.t.Context(), spec.Task, 0)
		s.awaitStatus(spec.Task, hasEnded)
	}
	for volume, host := range s.volumes {
		s.destroy(volume, host)
	}
	if err := s.Close(); err != nil {
		s.t.Errorf("close: %v", err)
	}
}

// spec is a task that runs a shell command on some host.
func (s *session) spec(instance string, incarnation int, cmd string) driver.Spec {
	s.t.Helper()
	id := app.NewInstanceID("/suite", "00000000-0000-4000-8000-"+strings.Repeat("0", 12-len(instance))+instance)
	return driver.Spec{
		Task: app.NewTaskID(id, incarnation), Instance: id, Host: s.offers()[0].Host, Offer: s.offers()[0].ID,
		App: definition(s.platform.Image, cmd), Resources: place.Resources{CPUs: 0.1, Mem: 32},
	}
}

// definition runs a shell command, in an image where the driver needs one.
func definition(image, cmd string) app.App {
	a := app.App{ID: "/suite", Cmd: cmd}
	if image != "" {
		a.Container = &app.Container{Type: app.ContainerDocker, Docker: &app.Docker{Image: image}}
	}
	return a
}

// offers are those there are; platforms that are slow to make them say so with OffersChanged.
func (s *session) offers() []place.Offer {
	s.t.Helper()
	return s.offersWhen(func(offers []place.Offer) bool { return len(offers) >= max(1, s.platform.Hosts) })
}

// offersWhen waits for offers of which something holds.
func (s *session) offersWhen(good func([]place.Offer) bool) []place.Offer {
	s.t.Helper()
	var offers []place.Offer
	look := func(driver.Event) bool {
		var err error
		if offers, err = s.Offers(s.t.Context()); err != nil {
			s.t.Fatalf("offers: %v", err)
		}
		return good(offers)
	}
	if !look(nil) {
		s.awaitEvent(func(e driver.Event) bool {
			_, changed := e.(driver.OffersChanged)
			return changed && look(e)
		})
	}
	return offers
}

// launch starts a task, in a volume that is made before if it names one.
func (s *session) launch(spec driver.Spec) driver.Spec {
	s.t.Helper()
	if spec.Volume != "" {
		spec = s.reserve(spec)
	}
	if err := s.Launch(s.t.Context(), spec); err != nil {
		s.t.Fatalf("launch: %v", err)
	}
	s.launched = append(s.launched, spec)
	return spec
}

// await waits for the task to report the state, and acknowledges it.
func (s *session) await(task app.TaskID, state app.TaskState) driver.Status {
	s.t.Helper()
	status := s.awaitStatus(task, func(got driver.Status) bool { return got.State == state })
	s.ack(status)
	return status
}

// hasEnded is what to wait for where any end will do.
func hasEnded(got driver.Status) bool { return got.State.Terminal() }

func (s *session) awaitStatus(task app.TaskID, want func(driver.Status) bool) driver.Status {
	s.t.Helper()
	var last driver.Status
	s.awaitEvent(func(e driver.Event) bool {
		changed, ok := e.(driver.StatusChanged)
		if !ok || changed.Status.Task != task {
			return false
		}
		last = changed.Status
		if want(last) {
			return true
		}
		s.ack(last) // platforms may keep the next until this one is settled
		return false
	})
	return last
}

func (s *session) ack(status driver.Status) {
	s.t.Helper()
	if err := s.Ack(s.t.Context(), status); err != nil {
		s.t.Fatalf("acknowledge: %v", err)
	}
}

// awaitEvent waits for an event. Those that come before it are kept for who waits for them.
func (s *session) awaitEvent(want func(driver.Event) bool) {
	s.t.Helper()
	for i, e := range s.kept {
		if want(e) {
			s.kept = slices.Delete(s.kept, i, i+1)
			return
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		select {
		case e := <-s.Events():
			if want(e) {
				return
			}
			s.kept = append(s.kept, e)
		case <-ctx.Done():
			s.t.Fatalf("what was waited for did not happen, but %v", s.kept)
		}
	}
}

func (s *session) mustRefuse(spec driver.Spec, word string) {
	s.t.Helper()
	err := s.Launch(s.t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), word) {
		s.t.Errorf("launch: got %v, want a refusal with the word %q", err, word)
	}
}

// mustNotRun is mustRefuse for what may take a platform some time to find out: then the task fails.
func (s *session) mustNotRun(spec driver.Spec, word string) {
	s.t.Helper()
	var why string
	if err := s.Launch(s.t.Context(), spec); err != nil {
		why = err.Error()
	} else {
		why = s.await(spec.Task, app.TaskFailed).Message
	}
	if !strings.Contains(why, word) {
		s.t.Errorf("launch: it ended with %q, want the word %q", why, word)
	}
}

func offersShrink(t *testing.T, s *session) {
	before := s.offers()
	if !slices.IsSortedFunc(before, func(a, b place.Offer) int { return strings.Compare(a.Host, b.Host) }) {
		t.Errorf("offers are not sorted by host: %v", before)
	}
	spec := s.spec("1", 1, Runs)
	spec.Ports = []int{before[0].Ports[0].Begin}
	s.launch(spec)
	s.await(spec.Task, app.TaskRunning)
	want := before[0].Free.Sub(spec.Resources)
	s.offersWhen(func(offers []place.Offer) bool {
		return slices.ContainsFunc(offers, func(o place.Offer) bool {
			return o.Host == spec.Host && o.Free == want && !o.Ports.Contains(spec.Ports[0])
		})
	})
	if err := s.Kill(t.Context(), spec.Task, patience); err != nil {
		t.Fatalf("kill: %v", err)
	}
	s.await(spec.Task, app.TaskKilled)
	s.offersWhen(func(offers []place.Offer) bool { // the ended task holds nothing
		return slices.ContainsFunc(offers, func(o place.Offer) bool {
			return o.Host == spec.Host && o.Free == before[0].Free && o.Ports.Contains(spec.Ports[0])
		})
	})
}

func endsByItself(_ *testing.T, s *session) {
	spec := s.launch(s.spec("1", 1, Ends))
	s.await(spec.Task, app.TaskRunning)
	s.await(spec.Task, app.TaskFinished)
}

func failureSaysWhy(t *testing.T, s *session) {
	spec := s.launch(s.spec("1", 1, Fails))
	status := s.await(spec.Task, app.TaskFailed)
	for _, want := range []string{"3", "the disk is made of cheese"} {
		if !strings.Contains(status.Message, want) {
			t.Errorf("message %q does not mention %q", status.Message, want)
		}
	}
}

func launchTwice(t *testing.T, s *session) {
	s.again(func(name string, wait time.Duration) bool {
		spec := s.spec("1", 1, CountsStarts)
		spec.Instance = app.NewInstanceID("/suite", name)
		spec.Task, spec.Volume = app.NewTaskID(spec.Instance, 1), "launch-twice-"+name
		s.launch(spec)
		if err := s.Launch(t.Context(), spec); err != nil {
			t.Fatalf("second launch: %v", err)
		}
		s.await(spec.Task, app.TaskRunning)
		s.reopen()
		if err := s.Launch(t.Context(), spec); err != nil {
			t.Fatalf("launch after reopening: %v", err)
		}
		s.rest(wait)
		s.killed(spec)
		if s.follows(spec, 2, StartedOnce) {
			return true
		}
		if !s.follows(spec, 3, FindsNothing) {
			t.Fatal("the task was started twice")
		}
		return false
	})
}

// again tries something until it comes to an end, with more and more time for what tasks do before they are asked to end:
// a shell has not done anything yet when its task is said to run.
func (s *session) again(try func(name string, wait time.Duration) bool) {
	s.t.Helper()
	n := 0
	for wait := time.Duration(0); wait < patience; wait = 4*wait + 10*time.Millisecond {
		n++
		if try(fmt.Sprintf("00000000-0000-4000-8000-0000000001%02d", n), wait) {
			return
		}
	}
	s.t.Fatal("the task did not do what it is made for, however much time it had")
}

func (s *session) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.t.Context().Done():
	}
}

// killed ends a task in order.
func (s *session) killed(spec driver.Spec) {
	s.t.Helper()
	if err := s.Kill(s.t.Context(), spec.Task, patience); err != nil {
		s.t.Fatalf("kill: %v", err)
	}
	s.await(spec.Task, app.TaskKilled)
}

// follows reports whether the next task on a volume ends well.
func (s *session) follows(spec driver.Spec, incarnation int, cmd string) bool {
	s.t.Helper()
	next := s.spec("1", incarnation, cmd)
	next.Instance, next.Task, next.Volume = spec.Instance, app.NewTaskID(spec.Instance, incarnation), spec.Volume
	s.launch(next)
	status := s.awaitStatus(next.Task, hasEnded)
	s.ack(status)
	return status.State == app.TaskFinished
}

func volumeStays(t *testing.T, s *session) {
	first := s.spec("1", 1, Keeps)
	first.Volume = "stays"
	s.launch(first)
	s.await(first.Task, app.TaskFinished)
	if !slices.Contains(s.offers()[0].Volumes, first.Volume) {
		t.Errorf("the offer does not name the volume: %v", s.offers()[0].Volumes)
	}
	second := s.spec("1", 2, FindsKept)
	second.Volume = first.Volume
	s.launch(second)
	s.await(second.Task, app.TaskFinished)
}

func volumeIsExclusive(_ *testing.T, s *session) {
	first := s.spec("1", 1, Runs)
	first.Volume = "exclusive"
	s.launch(first)
	s.await(first.Task, app.TaskRunning)
	second := s.spec("1", 2, Runs)
	second.Volume = first.Volume
	s.mustRefuse(second, "in use")
}

func refusals(t *testing.T, s *session) {
	used := s.spec("1", 1, Runs)
	used.Ports = []int{s.offers()[0].Ports[0].Begin}
	s.launch(used)
	s.await(used.Task, app.TaskRunning)

	port := s.spec("2", 1, Runs)
	port.Ports = used.Ports
	s.mustRefuse(port, "port")
	big := s.spec("3", 1, Runs)
	big.Resources.Mem = 1e9
	s.mustRefuse(big, "mem")
	nowhere := s.spec("4", 1, Runs)
	nowhere.Host = "nowhere"
	s.mustRefuse(nowhere, "nowhere")
	empty := s.spec("5", 1, "")
	empty.App = definition("no-such-image", empty.App.Cmd)
	s.mustNotRun(empty, "no-such-image")

	known := []driver.Known{{Task: port.Task, Host: port.Host}}
	if err := s.Reconcile(t.Context(), known); err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	s.await(port.Task, app.TaskGone)
}

func killIsPolite(_ *testing.T, s *session) {
	s.again(func(name string, wait time.Duration) bool {
		spec := s.spec("1", 1, SaysFarewell)
		spec.Instance = app.NewInstanceID("/suite", name)
		spec.Task, spec.Volume = app.NewTaskID(spec.Instance, 1), "polite-"+name
		s.launch(spec)
		s.await(spec.Task, app.TaskRunning)
		s.rest(wait)
		s.killed(spec)
		return s.follows(spec, 2, FindsFarewell)
	})
}

func killInsists(t *testing.T, s *session) {
	spec := s.spec("1", 1, Insists)
	s.launch(spec)
	s.await(spec.Task, app.TaskRunning)
	if err := s.Kill(t.Context(), spec.Task, 200*time.Millisecond); err != nil {
		t.Fatalf("kill: %v", err)
	}
	s.await(spec.Task, app.TaskKilled)
}

func killAnswers(t *testing.T, s *session) {
	unknown := s.spec("9", 7, Runs)
	if err := s.Kill(t.Context(), unknown.Task, 0); err != nil {
		t.Fatalf("kill of an unknown task: %v", err)
	}
	s.await(unknown.Task, app.TaskGone)

	ended := s.launch(s.spec("1", 1, Ends))
	s.awaitStatus(ended.Task, hasEnded)
	if err := s.Kill(t.Context(), ended.Task, 0); err != nil {
		t.Fatalf("kill of an ended task: %v", err)
	}
	s.await(ended.Task, app.TaskFinished)
}

func tasksOutliveDriver(t *testing.T, s *session) {
	spec := s.launch(s.spec("1", 1, Runs))
	s.await(spec.Task, app.TaskRunning)
	s.reopen()
	if err := s.Reconcile(t.Context(), []driver.Known{{Task: spec.Task, Host: spec.Host}}); err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	s.await(spec.Task, app.TaskRunning)
	if err := s.Kill(t.Context(), spec.Task, patience); err != nil {
		t.Fatalf("kill: %v", err)
	}
	s.await(spec.Task, app.TaskKilled)
}

func statusComesAgain(t *testing.T, s *session) {
	spec := s.launch(s.spec("1", 1, Ends))
	first := s.awaitStatus(spec.Task, hasEnded) // not acknowledged
	s.reopen()
	second := s.await(spec.Task, app.TaskFinished)
	if first.ID != second.ID {
		t.Errorf("the same status came as %q and as %q", first.ID, second.ID)
	}
	s.reopen()
	if err := s.Reconcile(t.Context(), []driver.Known{{Task: spec.Task, Host: spec.Host}}); err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	s.await(spec.Task, app.TaskGone)
}

func reconcileAnswers(t *testing.T, s *session) {
	running := s.launch(s.spec("1", 1, Runs))
	s.await(running.Task, app.TaskRunning)
	never := s.spec("2", 1, Runs)
	if err := s.Reconcile(t.Context(), []driver.Known{{Task: never.Task, Host: never.Host}}); err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	states := map[app.TaskID]app.TaskState{}
	s.awaitEvent(func(e driver.Event) bool {
		if changed, ok := e.(driver.StatusChanged); ok {
			states[changed.Status.Task] = changed.Status.State
		}
		return e == driver.Reconciled{}
	})
	// The second one was not asked about, and is reported all the same.
	if states[never.Task] != app.TaskGone || states[running.Task] != app.TaskRunning {
		t.Errorf("before the end of the answers came %v", states)
	}
}

func foreignFramework(t *testing.T, s *session) {
	spec := s.spec("1", 1, Runs)
	spec.Volume = "owned"
	s.launch(spec)
	if _, err := s.Subscribe(t.Context(), "somebody-else"); err == nil {
		t.Errorf("another framework may subscribe although a task runs")
	}
	if _, err := s.Subscribe(t.Context(), ""); err == nil {
		t.Errorf("a scheduler with an empty store may subscribe although a task runs")
	}
	if _, err := s.Subscribe(t.Context(), s.framework); err != nil {
		t.Errorf("subscribing again: %v", err)
	}
}

func hostWithoutPower(t *testing.T, s *session) {
	power, ok := s.Driver.(driver.Switchable)
	if !ok {
		return // its hosts have no switch
	}
	spec := s.spec("1", 1, Runs)
	spec.Volume = "power"
	s.launch(spec)
	s.await(spec.Task, app.TaskRunning)
	if err := power.KillHost(t.Context(), spec.Host); err != nil {
		t.Fatalf("kill host: %v", err)
	}
	s.await(spec.Task, app.TaskUnreachable)
	offers, err := s.Offers(t.Context())
	if err != nil || slices.ContainsFunc(offers, func(o place.Offer) bool { return o.Host == spec.Host }) {
		t.Errorf("the dead host is offered: %v, %v", offers, err)
	}

	s.reopen()
	if err := s.Reconcile(t.Context(), []driver.Known{{Task: spec.Task, Host: spec.Host}}); err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	s.await(spec.Task, app.TaskUnreachable)
	next := spec
	next.Task = app.NewTaskID(spec.Instance, 2)
	s.mustRefuse(next, spec.Host)

	power, _ = s.Driver.(driver.Switchable)
	if err := power.StartHost(t.Context(), spec.Host); err != nil {
		t.Fatalf("start host: %v", err)
	}
	s.await(spec.Task, app.TaskFailed)
	s.launch(next)
	s.await(next.Task, app.TaskRunning)
}
