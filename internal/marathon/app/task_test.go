package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const someUUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

func TestIDsOfInstancesAndTasks(t *testing.T) {
	instance := NewInstanceID("/postgresql/patroni", someUUID)
	if got, want := string(instance), "postgresql_patroni.instance-"+someUUID; got != want {
		t.Fatalf("instance id = %q, want %q", got, want)
	}
	if got := instance.UUID(); got != someUUID {
		t.Errorf("UUID() = %q, want %q", got, someUUID)
	}
	task := NewTaskID(instance, 3)
	if got, want := string(task), "postgresql_patroni.instance-"+someUUID+"._app.3"; got != want {
		t.Fatalf("task id = %q, want %q", got, want)
	}
	if task.Instance() != instance || task.Incarnation() != 3 || task.Instance().App() != "/postgresql/patroni" {
		t.Errorf("parts of %q = %q, %d, %q", task, task.Instance(), task.Incarnation(), task.Instance().App())
	}
	if got, err := ParseTaskID(string(task)); err != nil || got != task {
		t.Errorf("ParseTaskID(%q) = %q, %v", task, got, err)
	}
	if got, err := ParseInstanceID(string(instance)); err != nil || got != instance {
		t.Errorf("ParseInstanceID(%q) = %q, %v", instance, got, err)
	}
}

// TestOldTaskIDs: clients cut and glue task ids the way they were before there were instances.
func TestOldTaskIDs(t *testing.T) {
	for in, want := range map[string]TaskID{
		"a_b." + someUUID:        "a_b.instance-" + someUUID + "._app.1",
		"a_b." + someUUID + ".7": "a_b.instance-" + someUUID + "._app.7",
		"x.y." + someUUID:        "x.y.instance-" + someUUID + "._app.1",
	} {
		if got, err := ParseTaskID(in); err != nil || got != want {
			t.Errorf("ParseTaskID(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"../x." + someUUID, "_a." + someUUID, "a." + someUUID + ".0", someUUID} {
		if got, err := ParseTaskID(in); err == nil {
			t.Errorf("ParseTaskID(%q) = %q, want an error", in, got)
		}
	}
}

func TestMalformedTaskIDs(t *testing.T) {
	for _, s := range []string{
		"", "x", "a.instance-" + someUUID, "a.instance-" + someUUID + "._app.0", "a.instance-" + someUUID + "._app.01",
		"a.instance-nouuid._app.1", "A.instance-" + someUUID + "._app.1", "a.instance-" + someUUID + "._app.1\n",
		"../x.instance-" + someUUID + "._app.1", ".instance-" + someUUID + "._app.1",
	} {
		if got, err := ParseTaskID(s); err == nil {
			t.Errorf("ParseTaskID(%q) = %q, want an error", s, got)
		}
	}
	if _, err := ParseInstanceID("a/b.instance-" + someUUID); err == nil {
		t.Error("an instance id with a slash was accepted")
	}
	if got := TaskID("x").Incarnation(); got != 0 {
		t.Errorf("incarnation of a malformed id = %d, want 0", got)
	}
}

// TestUnreachableIsNotDead is rule S7: only what can never run again is terminal.
func TestUnreachableIsNotDead(t *testing.T) {
	terminal := map[TaskState]bool{
		TaskStaging: false, TaskStarting: false, TaskRunning: false, TaskKilling: false, TaskLost: false,
		TaskUnreachable: false, TaskFinished: true, TaskFailed: true, TaskKilled: true, TaskError: true, TaskGone: true,
		TaskDropped: true, "TASK_NEW": false,
	}
	for state, want := range terminal {
		if got := state.Terminal(); got != want {
			t.Errorf("%s.Terminal() = %v, want %v", state, got, want)
		}
	}
}

func TestCountsBeforeAndAfterTheFirstProbe(t *testing.T) {
	alive, dead := HealthResult{Alive: true}, HealthResult{}
	got := Count([]Task{
		{State: TaskStaging},
		{State: TaskStarting},
		{State: TaskRunning},
		{State: TaskRunning, HealthCheckResults: []HealthResult{alive, alive}},
		{State: TaskRunning, HealthCheckResults: []HealthResult{alive, dead, dead}},
		{State: TaskUnreachable, HealthCheckResults: []HealthResult{alive}},
		{State: TaskKilling},
	})
	want := Counts{Staged: 2, Running: 3, Healthy: 1, Unhealthy: 1}
	if got != want {
		t.Errorf("Count = %+v, want %+v", got, want)
	}
}

func TestTaskJSON(t *testing.T) {
	at := At(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
	instance := NewInstanceID("/postgresql/patroni", someUUID)
	task := Task{
		ID: NewTaskID(instance, 1), AppID: "/postgresql/patroni", Host: "node1", Ports: Ports{5432, 8008},
		ServicePorts: Ports{10000, 10001}, IPAddresses: []IPAddress{{IPAddress: "127.0.0.11", Protocol: "IPv4"}},
		SlaveID: "node1", State: TaskRunning, StagedAt: at, StartedAt: at + 1500, Version: at,
		LocalVolumes: []LocalVolume{{RunSpecID: "/postgresql/patroni", ContainerPath: "data", UUID: "u", PersistenceID: "p"}},
		Role:         "*",
		HealthCheckResults: []HealthResult{{
			Alive: true, ConsecutiveFailures: 0, FirstSuccess: at, LastSuccess: at, InstanceID: instance,
		}},
	}
	got, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"postgresql_patroni.instance-` + someUUID + `._app.1","appId":"/postgresql/patroni","host":"node1",` +
		`"ports":[5432,8008],"servicePorts":[10000,10001],"ipAddresses":[{"ipAddress":"127.0.0.11","protocol":"IPv4"}],` +
		`"slaveId":"node1","state":"TASK_RUNNING","stagedAt":"2026-11-30T12:00:00.000Z",` +
		`"startedAt":"2026-11-30T12:00:01.500Z","version":"2026-11-30T12:00:00.000Z",` +
		`"localVolumes":[{"runSpecId":"/postgresql/patroni","containerPath":"data","uuid":"u","persistenceId":"p"}],` +
		`"role":"*","healthCheckResults":[{"alive":true,"consecutiveFailures":0,` +
		`"firstSuccess":"2026-11-30T12:00:00.000Z","lastSuccess":"2026-11-30T12:00:00.000Z",` +
		`"instanceId":"postgresql_patroni.instance-` + someUUID + `"}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("task JSON (-want +got):\n%s", diff)
	}
	var back Task
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(task, back); diff != "" {
		t.Errorf("task read back (-want +got):\n%s", diff)
	}
}

func TestDeploymentJSON(t *testing.T) {
	d := Deployment{
		ID: "d1", Version: At(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)), AffectedApps: []ID{"/a"},
		Steps: []Step{
			{Actions: []Action{{Kind: StartApplication, App: "/a"}}},
			{Actions: []Action{{Kind: ScaleApplication, App: "/a"}}},
		},
		CurrentStep: 2,
	}
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"d1","version":"2026-11-30T12:00:00.000Z","affectedApps":["/a"],` +
		`"steps":[{"actions":[{"action":"StartApplication","app":"/a"}]},{"actions":[{"action":"ScaleApplication","app":"/a"}]}],` +
		`"currentStep":2,"affectedPods":[],` +
		`"currentActions":[{"action":"ScaleApplication","app":"/a","readinessCheckResults":[]}],"totalSteps":2}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("deployment JSON (-want +got):\n%s", diff)
	}
	var back Deployment
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, back); diff != "" {
		t.Errorf("deployment read back (-want +got):\n%s", diff)
	}
	if !d.Affects("/a") || d.Affects("/b") {
		t.Error("a deployment affects the apps it names and no other")
	}
}

func TestDeploymentWithoutStepsHasEmptyLists(t *testing.T) {
	got, err := json.Marshal(Deployment{ID: "d1"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"d1","version":"1970-01-01T00:00:00.000Z","affectedApps":[],"steps":[],"currentStep":0,` +
		`"affectedPods":[],"currentActions":[],"totalSteps":0}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
