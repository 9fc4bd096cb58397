package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// bounds watches an app until its deployment has ended and returns the fewest and the most tasks that ran.
func (s *session) bounds(id string) (lowest, highest int) {
	s.Helper()
	lowest = int(^uint(0) >> 1)
	for waited := time.Duration(0); ; waited += 50 * time.Millisecond {
		a := s.get("/v2/apps" + id)
		n := int(a.number("app.tasksRunning"))
		lowest, highest = min(lowest, n), max(highest, n)
		if a.count("app.deployments") == 0 {
			return lowest, highest
		}
		if waited > patience {
			s.Fatalf("the deployment does not end: %s", a.body)
		}
		s.p.Pass(50 * time.Millisecond)
	}
}

// api.md §3.7: how few and how many tasks run while all are replaced.
func upgradesKeepTheirBounds(s *session) {
	for n, c := range []struct {
		instances       int
		strategy        string
		lowest, highest int
	}{
		{3, `{"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}`, 2, 3},
		{4, `{"minimumHealthCapacity": 1, "maximumOverCapacity": 0}`, 4, 5}, // no room either way: one more than wanted
		{2, `{"minimumHealthCapacity": 1, "maximumOverCapacity": 1}`, 2, 4},
		{2, `{"minimumHealthCapacity": 0, "maximumOverCapacity": 0}`, 0, 2},
	} {
		id := fmt.Sprintf("/web%d", n)
		s.runs(plain(id, c.instances, `"upgradeStrategy": `+c.strategy))
		old := s.tasks(id)
		s.ok(http.MethodPut, "/v2/apps"+id, `{"env": {"X": "1"}}`)
		lowest, highest := s.bounds(id)
		if lowest < c.lowest || highest > c.highest {
			s.Errorf("%d instances with %s: %d to %d tasks ran, want %d to %d", c.instances, c.strategy, lowest, highest, c.lowest, c.highest)
		}
		s.awaitTasks(id, c.instances, old...)
	}
	s.do(http.MethodPost, "/v2/apps", plain("/one", 2, `"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}`)).
		is(http.StatusUnprocessableEntity).has("details.0", `{"errors":["Single instance app may only have one instance"],"path":"/"}`)
	s.ok(http.MethodPost, "/v2/apps", plain("/one", 1, `"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}`))
	s.get("/v2/apps/one").has("app.upgradeStrategy", `{"maximumOverCapacity":0,"minimumHealthCapacity":0}`)
}

// api.md §2.1, scale or restart: a new configuration for no instances is a plain scale to 0; labels of an ordinary app are
// configuration.
func upgradesAreTold(s *session) {
	s.runs(plain("/web", 1))
	old := s.tasks("/web")
	s.ok(http.MethodPut, "/v2/apps/web", `{"labels": {"a": "1"}}`)
	s.get("/v2/deployments").has("0.steps", `[{"actions":[{"action":"RestartApplication","app":"/web"}]}]`)
	s.awaitTasks("/web", 1, old...)
	s.settled()
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 0, "env": {"X": "1"}}`)
	s.get("/v2/deployments").has("0.steps", `[{"actions":[{"action":"ScaleApplication","app":"/web"}]}]`)
	s.settled()
	s.awaitTasks("/web", 0)
}

// api.md §3.1 and §3.7, killSelection: who goes when fewer are wanted.
func killSelectionChooses(s *session) {
	for _, selection := range []string{"YOUNGEST_FIRST", "OLDEST_FIRST"} {
		s.runs(plain("/web", 1, `"killSelection": "`+selection+`"`))
		oldest := s.tasks("/web")[0]
		s.p.Pass(2 * time.Second)
		s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 3}`)
		s.settled()
		s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 1}`)
		s.settled()
		if now := s.awaitTasks("/web", 1); (now[0] == oldest) != (selection == "YOUNGEST_FIRST") {
			s.Errorf("%s: of %s and younger ones %s is left", selection, oldest, now[0])
		}
		s.ok(http.MethodDelete, "/v2/apps/web", "")
		s.settled()
	}
	s.do(http.MethodPost, "/v2/apps", plain("/web", 1, `"killSelection": "ANY"`)).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/killSelection"`)
}

// api.md §3.1, unreachableStrategy: its forms, defaults and bounds.
func unreachableStrategies(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/at-once", 0))
	s.get("/v2/apps/at-once").has("app.unreachableStrategy", `{"expungeAfterSeconds":0,"inactiveAfterSeconds":0}`)
	s.ok(http.MethodPost, "/v2/apps", plain("/never", 0, `"unreachableStrategy": "disabled"`))
	s.get("/v2/apps/never").has("app.unreachableStrategy", `"disabled"`)
	s.ok(http.MethodPost, "/v2/apps", plain("/kept", 0, volume, `"role": "kept"`))
	s.get("/v2/apps/kept").has("app.unreachableStrategy", `"disabled"`)
	s.do(http.MethodPost, "/v2/apps", plain("/x", 0, `"unreachableStrategy": {"inactiveAfterSeconds": 9, "expungeAfterSeconds": 5}`)).
		is(http.StatusUnprocessableEntity).has("details.0.path", `"/unreachableStrategy/inactiveAfterSeconds"`)
	s.do(http.MethodPost, "/v2/apps", plain("/x", 0, volume, `"unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 5}`)).
		is(http.StatusUnprocessableEntity).has("details.0.errors.0", `"unreachableStrategy must be disabled for resident tasks"`)
}

// volume gives each instance a persistent volume.
const volume = `"container": {"type": "MESOS", "volumes": [{"containerPath": "data", "mode": "RW", "persistent": {"size": 100}}]}`

// api.md §2.2, kill semantics, and §3.3: an instance keeps its volume when its task is killed, gives it up when it is wiped,
// and one that was scaled away comes back to it.
func volumesStayUntilWiped(s *session) {
	s.runs(plain("/web", 2, volume, `"role": "web"`))
	s.get("/v2/apps/web").has("app.upgradeStrategy", `{"maximumOverCapacity":0,"minimumHealthCapacity":0.5}`).
		has("app.residency", `{"relaunchEscalationTimeoutSeconds":3600,"taskLostBehavior":"WAIT_FOREVER"}`)
	first := s.volumes()
	old := s.tasks("/web")
	s.do(http.MethodDelete, "/v2/apps/web/tasks/"+string(old[0]), "").is(http.StatusOK)
	now := s.awaitTasks("/web", 2, old[0])
	if got := s.volumes(); fmt.Sprint(got) != fmt.Sprint(first) || !slices.ContainsFunc(now, func(id app.TaskID) bool {
		return id.Instance() == old[0].Instance() && id.Incarnation() == 2
	}) {
		s.Errorf("after a kill %v run on %v, it was %v on %v", now, got, old, first)
	}
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 1}`)
	s.settled()
	s.awaitTasks("/web", 1)
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 2}`)
	s.settled()
	if got := s.volumes(); fmt.Sprint(got) != fmt.Sprint(first) {
		s.Errorf("scaled down and up again the app runs on %v, it was %v", got, first)
	}
	s.wipes(func(task app.TaskID) reply {
		return s.do(http.MethodDelete, "/v2/apps/web/tasks/"+string(task)+"?wipe=true", "")
	}, "task.id")
	s.wipes(func(task app.TaskID) reply {
		return s.do(http.MethodPost, "/v2/tasks/delete?wipe=true", fmt.Sprintf(`{"ids": [%q]}`, task))
	}, "tasks.0.id")
	before := s.volumes()
	s.do(http.MethodDelete, "/v2/apps/web/tasks?wipe=true", "").is(http.StatusOK)
	s.await("other volumes", "/v2/apps/web", func(reply) bool {
		now := s.volumes()
		return len(now) == 2 && !slices.Contains(before, now[0]) && !slices.Contains(before, now[1])
	})
}

// wipes ends a task with its volume: another instance takes its place, on a volume of its own.
func (s *session) wipes(wipe func(app.TaskID) reply, at string) {
	s.Helper()
	before, task := s.volumes(), s.awaitTasks("/web", 2)[0]
	wipe(task).is(http.StatusOK).has(at, fmt.Sprintf("%q", task))
	for _, id := range s.awaitTasks("/web", 2, task) {
		if id.Instance() == task.Instance() {
			s.Errorf("%s runs, the instance was wiped with its task %s", id, task)
		}
	}
	if now := s.volumes(); len(now) != 2 || fmt.Sprint(now) == fmt.Sprint(before) {
		s.Errorf("after a wipe the app runs on %v, it was %v", now, before)
	}
	s.get("/v2/apps/web").has("app.instances", "2")
}

// volumes are the names of the volumes that the running tasks of the app /web have, sorted.
func (s *session) volumes() []string {
	s.Helper()
	a := s.get("/v2/apps/web/tasks").is(http.StatusOK)
	var names []string
	for n := range a.count("tasks") {
		if a.text(fmt.Sprintf("tasks.%d.state", n)) != string(app.TaskRunning) {
			continue
		}
		v := fmt.Sprintf("tasks.%d.localVolumes.0.", n)
		if a.at(v+"runSpecId") != "/web" || a.at(v+"containerPath") != "data" || a.text(v+"uuid") == "" {
			s.Errorf("a volume is shown as %v", a.at(fmt.Sprintf("tasks.%d.localVolumes", n)))
		}
		names = append(names, a.text(v+"persistenceId"))
	}
	slices.Sort(names)
	return names
}

// api.md §3.3: what volumes were made for stays; kinds of volumes that cannot be had are refused with a sentence.
func volumesAreFixed(s *session) {
	s.runs(plain("/web", 1, volume, `"role": "web"`))
	for change, want := range map[string]string{
		`{"cpus": 0.2}`: "Resident Tasks may not change resource requirements!",
		`{"container": {"type": "MESOS", "volumes": [{"containerPath": "data", "mode": "RW", "persistent": {"size": 200}}]}}`: "Persistent volumes can not be changed!",
		`{"role": "*"}`: "Resident Tasks may not change their role!",
	} {
		s.do(http.MethodPut, "/v2/apps/web", change).is(http.StatusUnprocessableEntity).has("details.0.errors.0", fmt.Sprintf("%q", want))
	}
	for at, v := range map[string]string{
		"":                 `"container": {"volumes": [{"containerPath": "/x", "mode": "RW", "external": {"name": "n", "provider": "dvdi"}}]}`,
		"/containerPath":   `"container": {"volumes": [{"containerPath": "a/b", "mode": "RW", "persistent": {"size": 1}}]}`,
		"/mode":            `"container": {"volumes": [{"containerPath": "a", "mode": "RO", "persistent": {"size": 1}}]}`,
		"/persistent":      `"container": {"volumes": [{"containerPath": "a", "mode": "RW", "persistent": {"size": 1, "maxSize": 2}}]}`,
		"/persistent/size": `"container": {"volumes": [{"containerPath": "a", "mode": "RW", "persistent": {"size": 0}}]}`,
	} {
		a := s.do(http.MethodPost, "/v2/apps", plain("/x", 1, v)).is(http.StatusUnprocessableEntity)
		a.has("details.0.path", `"/container/volumes(0)`+at+`"`)
		if at == "" && !strings.Contains(a.text("details.0.errors.0"), "persistent volume") {
			s.Errorf("an external volume is refused with %s", a.body)
		}
	}
}

// api.md §3.7: instances with volumes are restarted where they are, as many at once as the strategy allows.
func residentsRestartInPlace(s *session) {
	s.runs(plain("/web", 3, volume, `"role": "web"`))
	volumes, hosts, old := s.volumes(), s.hosts("/web"), s.tasks("/web")
	s.ok(http.MethodPost, "/v2/apps/web/restart", "")
	lowest, highest := s.bounds("/web")
	if lowest < 2 || highest > 3 {
		s.Errorf("%d to %d of three ran, want 2 to 3", lowest, highest)
	}
	now := s.awaitTasks("/web", 3, old...)
	if fmt.Sprint(s.volumes()) != fmt.Sprint(volumes) || !slices.Equal(s.hosts("/web"), hosts) {
		s.Errorf("the tasks run on %v of %v, it was %v of %v", s.volumes(), s.hosts("/web"), volumes, hosts)
	}
	for _, id := range now {
		if id.Incarnation() != 2 {
			s.Errorf("%s is not the second run of its instance", id)
		}
	}
}
