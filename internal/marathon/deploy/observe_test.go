package deploy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// launched is an instance whose first task was launched at noon.
func launched() Instance {
	a := app.App{ID: "/pg", Labels: app.Labels{"PGBATON_POSTGRES": "true"}, Version: 7}
	return Staged(Instance{ID: "pg.1", App: "/pg", Volume: "v"}, a, noon)
}

// told is what the instance is after reports a second apart.
func told(i Instance, states ...app.TaskState) Instance {
	for n, state := range states {
		i = Observe(i, Report{State: state}, noon.Add(time.Duration(n+1)*time.Second))
	}
	return i
}

func TestLifeOfATask(t *testing.T) {
	i := launched()
	if i.Incarnation != 1 || i.State != app.TaskStaging || i.StagedAt != app.At(noon) || i.Bound || i.Version != 7 {
		t.Errorf("launched: %+v", i)
	}
	i = told(i, app.TaskRunning)
	if !i.Bound || i.StartedAt != app.At(noon.Add(time.Second)) || !i.running() {
		t.Errorf("running: %+v", i)
	}
	i = told(i, app.TaskFailed)
	if i.Live() || i.Failures != 1 || i.Clean {
		t.Errorf("failed: %+v", i)
	}
}

// The address of a task's own network is kept as long as the task, and not longer.
func TestAddressesOfATask(t *testing.T) {
	own := []app.IPAddress{{IPAddress: "172.18.0.2", Protocol: "IPv4"}}
	i := Observe(launched(), Report{State: app.TaskRunning, Addresses: own}, noon)
	i = Observe(i, Report{State: app.TaskRunning}, noon)
	if diff := cmp.Diff(own, i.Addresses); diff != "" {
		t.Error(diff)
	}
	moved := []app.IPAddress{{IPAddress: "172.18.0.9", Protocol: "IPv4"}}
	if i = Observe(i, Report{State: app.TaskRunning, Addresses: moved}, noon); i.Addresses[0] != moved[0] {
		t.Errorf("it is still at %v", i.Addresses)
	}
	if next := Staged(told(i, app.TaskFailed), app.App{ID: "/pg"}, noon); next.Addresses != nil {
		t.Errorf("the next task begins with %v", next.Addresses)
	}
}

func TestReportsThatChangeNothing(t *testing.T) {
	running := told(launched(), app.TaskRunning)
	ended := told(running, app.TaskFailed)
	killing := told(running, app.TaskKilling)
	for name, test := range map[string]struct {
		i Instance
		s app.TaskState
	}{
		"the same again":               {running, app.TaskRunning},
		"an end told twice":            {ended, app.TaskFailed},
		"another end":                  {ended, app.TaskGone},
		"alive after its end":          {ended, app.TaskRunning},
		"running while it is killed":   {killing, app.TaskRunning},
		"never launched, never lived":  {Instance{}, app.TaskRunning},
		"unreachable after it was":     {told(running, app.TaskUnreachable), app.TaskUnreachable},
		"lost while it is unreachable": {ended, app.TaskLost},
	} {
		if diff := cmp.Diff(test.i, Observe(test.i, Report{State: test.s}, noon.Add(time.Hour))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFailuresInARow(t *testing.T) {
	failing := launched()
	failing.Failures = 4
	for name, test := range map[string]struct {
		states []app.TaskState
		after  time.Duration // from the last of them to the end
		end    app.TaskState
		want   int
	}{
		"soon":                  {[]app.TaskState{app.TaskRunning}, time.Second, app.TaskFailed, 5},
		"never started":         {nil, time.Second, app.TaskError, 5},
		"it ran for a minute":   {[]app.TaskState{app.TaskRunning}, time.Minute, app.TaskFailed, 1},
		"killed by somebody":    {[]app.TaskState{app.TaskRunning}, time.Second, app.TaskKilled, 4},
		"its host lost power":   {[]app.TaskState{app.TaskRunning, app.TaskUnreachable}, time.Second, app.TaskFailed, 0},
		"it finished, too soon": {[]app.TaskState{app.TaskRunning}, time.Second, app.TaskFinished, 5},
	} {
		i := told(failing, test.states...)
		at := noon.Add(time.Duration(len(test.states))*time.Second + test.after)
		if got := Observe(i, Report{State: test.end}, at).Failures; got != test.want {
			t.Errorf("%s: %d failures, want %d", name, got, test.want)
		}
	}
}

// TestStopLeavesNothing says: only the answer to a stop makes an instance clean, also when its task had ended before.
func TestStopLeavesNothing(t *testing.T) {
	ended := told(launched(), app.TaskRunning, app.TaskFailed)
	ended.Stopping = &Stopping{}
	if got := told(ended, app.TaskGone); !got.Clean || got.Stopping != nil || got.State != app.TaskFailed || got.Failures != 1 {
		t.Errorf("an ended task, stopped: %+v", got)
	}
	running := told(launched(), app.TaskRunning)
	running.Stopping = &Stopping{}
	if got := told(running, app.TaskKilled); !got.settled() || got.Failures != 0 {
		t.Errorf("a running task, stopped: %+v", got)
	}
	// The request does not reach a host that is away.
	if got := told(running, app.TaskUnreachable, app.TaskRunning); got.Stopping != nil || got.UnreachableSince != 0 {
		t.Errorf("back from a lost host: %+v", got)
	}
}

func TestNewConfigurationForgetsFailures(t *testing.T) {
	i := told(launched(), app.TaskRunning, app.TaskFailed)
	a := app.App{ID: "/pg", VersionInfo: app.VersionInfo{LastConfigChangeAt: app.At(noon.Add(time.Minute))}}
	if got := Staged(i, a, noon.Add(time.Hour)); got.Failures != 0 || got.Incarnation != 2 || got.EndedAt != 0 {
		t.Errorf("launched with another configuration: %+v", got)
	}
	if got := Staged(i, app.App{ID: "/pg"}, noon.Add(time.Hour)); got.Failures != 1 {
		t.Errorf("launched with the same: %+v", got)
	}
}

// TestWhatIsLaunchedIsWanted says: unless it only runs until somebody has its data.
func TestWhatIsLaunchedIsWanted(t *testing.T) {
	for goal, want := range map[Goal]Goal{"": GoalRunning, GoalSuspended: GoalRunning, GoalWiped: GoalWiped} {
		if got := Staged(Instance{Goal: goal}, app.App{}, noon).Goal; got != want {
			t.Errorf("launched with goal %q it gets %q, want %q", goal, got, want)
		}
	}
}

func TestPortOfTheAgent(t *testing.T) {
	zero := 0
	a := app.App{
		ID: "/pg", Networks: []app.Network{{Mode: app.NetworkBridge}}, Container: &app.Container{PortMappings: []app.PortMapping{
			{ContainerPort: 5432, HostPort: &zero}, {ContainerPort: 8008, HostPort: &zero},
		}},
	}
	i := Staged(Instance{Ports: []int{31000, 31001}}, a, noon)
	if !i.Postgres || i.AgentPort != 31001 || i.Grace() != 2*time.Minute {
		t.Errorf("a member: %+v", i)
	}
	grace := 7
	a = app.App{ID: "/web", TaskKillGracePeriodSeconds: &grace}
	if i := Staged(Instance{}, a, noon); i.Postgres || i.AgentPort != 0 || i.Grace() != 7*time.Second {
		t.Errorf("a plain instance: %+v", i)
	}
}
