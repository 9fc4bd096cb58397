package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// api.md §2.2: all tasks, by status; words that are none filter nothing.
func tasksLists(s *session) {
	s.runs(plain("/web", 2))
	for query, want := range map[string]int{"": 2, "?status=running": 2, "?status=staging": 0, "?status[]=running": 2, "?status=odd": 2} {
		if n := s.get("/v2/tasks" + query).is(http.StatusOK).count("tasks"); n != want {
			s.Errorf("/v2/tasks%s has %d tasks, want %d", query, n, want)
		}
	}
	s.get("/v2/tasks").has("tasks.0.appId", `"/web"`)
	if n := s.get("/v2/apps/web/tasks").count("tasks"); n != 2 {
		s.Errorf("%d tasks of the app, want 2", n)
	}
}

// api.md §2.2: the table of endpoints for scripts.
func tasksAsText(s *session) {
	s.runs(plain("/shop/web", 1, `"portDefinitions": [{"port": 10123}]`))
	task := s.get("/v2/tasks")
	want := fmt.Sprintf("shop_web\t10123\t%s:%v\t\n", task.text("tasks.0.host"), task.number("tasks.0.ports.0"))
	if got := s.get("/v2/tasks", "Accept: text/plain").is(http.StatusOK).body; got != want {
		s.Errorf("got %q, want %q", got, want)
	}
}

// api.md §2.2, kill semantics: the same instance runs again, as the next incarnation.
func tasksKill(s *session) {
	s.runs(plain("/web", 2))
	old := s.tasks("/web")
	s.do(http.MethodDelete, "/v2/apps/web/tasks/"+string(old[0]), "").is(http.StatusOK).has("task.id", fmt.Sprintf("%q", old[0]))
	s.awaitTasks("/web", 2, old[0])
	s.get("/v2/apps/web").has("app.instances", "2")
	if now := s.tasks("/web"); !slices.Contains(now, old[1]) {
		s.Errorf("the other task %s went, too: %v", old[1], now)
	}
}

// api.md §2.2, kill semantics: with scale one instance fewer is wanted, and it is the one that was named.
func tasksKillAndScale(s *session) {
	s.runs(plain("/web", 3))
	old := s.tasks("/web")
	if a := s.do(http.MethodDelete, "/v2/apps/web/tasks/"+string(old[1])+"?scale=true", "").is(http.StatusOK); a.text("deploymentId") == "" {
		s.Errorf("kill with scale answers %s", a.body)
	}
	s.settled()
	if now := s.awaitTasks("/web", 2, old[1]); !slices.Contains(now, old[0]) || !slices.Contains(now, old[2]) {
		s.Errorf("%v run, want %s and %s", now, old[0], old[2])
	}
	s.get("/v2/apps/web").has("app.instances", "2")
}

// api.md §2.1: DELETE of all tasks, or of those on one host.
func tasksKillAll(s *session) {
	s.runs(plain("/web", 3, `"constraints": [["hostname", "UNIQUE"]]`))
	old := s.get("/v2/apps/web/tasks")
	host, there := old.text("tasks.0.host"), app.TaskID(old.text("tasks.0.id"))
	a := s.do(http.MethodDelete, "/v2/apps/web/tasks?host="+host, "").is(http.StatusOK).has("tasks.0.id", fmt.Sprintf("%q", there))
	if n := a.count("tasks"); n != 1 {
		s.Errorf("%d tasks were killed on %s, want 1", n, host)
	}
	all := s.awaitTasks("/web", 3, there)
	if n := s.do(http.MethodDelete, "/v2/apps/web/tasks", "").is(http.StatusOK).count("tasks"); n != 3 {
		s.Errorf("%d tasks were killed, want 3", n)
	}
	s.awaitTasks("/web", 3, all...)
	s.do(http.MethodDelete, "/v2/apps/web/tasks?host=nowhere", "").is(http.StatusOK).has("tasks", "[]")
	if a := s.do(http.MethodDelete, "/v2/apps/web/tasks?scale=true", "").is(http.StatusOK); a.text("deploymentId") == "" {
		s.Errorf("kill with scale answers %s", a.body)
	}
	s.settled()
	s.awaitTasks("/web", 0)
	s.get("/v2/apps/web").has("app.instances", "0")
}

// api.md §2.2: a list of tasks of any apps; ids nobody knows, and those of old, are left out.
func tasksKillListed(s *session) {
	s.runs(plain("/web", 2))
	s.runs(plain("/other", 1))
	web, other := s.tasks("/web"), s.tasks("/other")
	body := fmt.Sprintf(`{"ids": [%q, %q, "web.instance-00000000-0000-0000-0000-000000000000._app.7", "web.00000000-0000-0000-0000-000000000000"]}`, web[0], other[0])
	if n := s.do(http.MethodPost, "/v2/tasks/delete", body).is(http.StatusOK).count("tasks"); n != 2 {
		s.Errorf("%d tasks were killed, want 2", n)
	}
	s.awaitTasks("/web", 2, web[0])
	s.awaitTasks("/other", 1, other[0])
	if a := s.do(http.MethodPost, "/v2/tasks/delete?scale=true", fmt.Sprintf(`{"ids": [%q]}`, web[1])).is(http.StatusOK); a.text("deploymentId") == "" {
		s.Errorf("kill with scale answers %s", a.body)
	}
	s.settled()
	s.awaitTasks("/web", 1, web[1])
	s.do(http.MethodPost, "/v2/tasks/delete", `{}`).is(http.StatusBadRequest)
}

// clients.md §2, "task-id consequence": go-marathon cuts the id at its last dot to find the app. The task decides.
func tasksKillThroughAMangledPath(s *session) {
	s.runs(plain("/shop/web", 1))
	task := s.tasks("/shop/web")[0]
	cut := string(task[:strings.LastIndexByte(string(task), '.')])
	s.do(http.MethodDelete, "/v2/apps/"+strings.ReplaceAll(cut, "_", "/")+"/tasks/"+string(task), "").is(http.StatusOK).
		has("task.id", fmt.Sprintf("%q", task))
	s.awaitTasks("/shop/web", 1, task)
	s.runs(plain("/other", 1))
	now := s.tasks("/shop/web")[0]
	s.do(http.MethodDelete, "/v2/apps/other/tasks/"+string(now), "").is(http.StatusNotFound)
}

// api.md §2.1, embeds: how the last task failed; §2.1: a failed task is started again.
func taskFailureIsShown(s *session) {
	s.runs(plain("/web", 1))
	s.get("/v2/apps/web").has("app.lastTaskFailure", "null")
	old := s.tasks("/web")
	s.p.End(old[0], app.TaskFailed, "out of luck")
	s.awaitTasks("/web", 1, old[0])
	a := s.get("/v2/apps/web").is(http.StatusOK)
	a.has("app.lastTaskFailure.taskId", fmt.Sprintf("%q", old[0])).has("app.lastTaskFailure.state", `"TASK_FAILED"`).
		has("app.lastTaskFailure.appId", `"/web"`)
	if a.text("app.lastTaskFailure.timestamp") == "" || a.text("app.lastTaskFailure.host") == "" || a.text("app.lastTaskFailure.version") == "" {
		s.Errorf("lastTaskFailure lacks something: %v", a.at("app.lastTaskFailure"))
	}
}

// api.md §3.5: checks are counted; an app that fails them is killed after its run of failures.
func healthOfTasks(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, `"healthChecks": [{"protocol": "HTTP", "path": "/", "portIndex": 0,
		"gracePeriodSeconds": 10, "intervalSeconds": 2, "timeoutSeconds": 1, "maxConsecutiveFailures": 3}]`))
	s.settled()
	s.get("/v2/apps/web").has("app.tasksHealthy", "1").has("app.tasksUnhealthy", "0").has("app.tasks.0.healthCheckResults.0.alive", "true")
	old := s.tasks("/web")
	s.p.SetPassing(old[0], false)
	s.await("an unhealthy task", "/v2/apps/web", func(a reply) bool { return a.number("app.tasksUnhealthy") == 1 })
	s.awaitTasks("/web", 1, old[0])
}

// api.md §3.1 and §3.3: a task nobody can reach is not gone; it is replaced as the strategy says.
func hostsAreLostAndFound(s *session) {
	s.runs(plain("/stays", 1, `"unreachableStrategy": "disabled"`))
	s.runs(plain("/moves", 1, `"unreachableStrategy": {"inactiveAfterSeconds": 5, "expungeAfterSeconds": 60}`))
	for _, id := range []string{"/stays", "/moves"} {
		old, host := s.tasks(id), s.get("/v2/apps"+id+"/tasks").text("tasks.0.host")
		s.p.Lose(host)
		s.await("a task out of reach", "/v2/apps"+id, func(a reply) bool {
			return strings.Contains(a.body, `"state":"TASK_UNREACHABLE"`) || strings.Contains(a.body, `"state":"TASK_LOST"`)
		})
		if id == "/moves" {
			s.awaitTasks(id, 1, old...)
		}
		s.p.Find(host)
		if id == "/stays" {
			if now := s.awaitTasks(id, 1); now[0] != old[0] {
				s.Errorf("%s was replaced by %s", old[0], now[0])
			}
		}
	}
}
