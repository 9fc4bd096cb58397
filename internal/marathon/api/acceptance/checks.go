package acceptance

import (
	"fmt"
	"net/http"
	"time"
)

// api.md §3.5: COMMAND and MESOS_* run beside the task, and what they say is told like the result of any check.
func checksBesideTheTask(s *session) {
	for n, check := range []string{
		`{"protocol": "COMMAND", "command": {"value": "true"}, %s}`, `{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, %s}`,
		`{"protocol": "MESOS_HTTPS", "path": "/", "portIndex": 0, %s}`, `{"protocol": "MESOS_TCP", "portIndex": 0, %s}`,
	} {
		id := fmt.Sprintf("/web%d", n)
		check = fmt.Sprintf(check, `"gracePeriodSeconds": 5, "intervalSeconds": 2, "timeoutSeconds": 1, "maxConsecutiveFailures": 2`)
		s.ok(http.MethodPost, "/v2/apps", plain(id, 1, `"healthChecks": [`+check+`]`))
		task := s.awaitTasks(id, 1)[0]
		s.p.SetHealthy(task, true)
		s.await("a healthy task of "+id, "/v2/apps"+id, func(a reply) bool { return a.number("app.tasksHealthy") == 1 }).
			has("app.tasks.0.healthCheckResults.0.alive", "true")
		s.settled()
		for range 4 {
			s.p.SetHealthy(task, false)
			s.p.Pass(2 * time.Second)
		}
		s.awaitTasks(id, 1, task)
		s.ok(http.MethodDelete, "/v2/apps"+id, "")
		s.settled()
	}
	s.do(http.MethodPost, "/v2/apps", plain("/two", 1, `"healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_TCP"}]`)).
		is(http.StatusUnprocessableEntity).has("details.0.errors.0", `"AppDefinition can contain at most one Mesos health check"`)
	s.do(http.MethodPost, "/v2/apps", plain("/none", 1, `"healthChecks": [{"protocol": "COMMAND"}]`)).
		is(http.StatusUnprocessableEntity).has("details.0", `{"errors":["not defined"],"path":"/healthChecks(0)/command"}`)
}

// api.md §3.5: fields and defaults of a check, and which port it goes to where it names none.
func checksHaveDefaults(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 0, `"healthChecks": [{}, {"protocol": "TCP", "port": 80}]`))
	a := s.get("/v2/apps/web")
	for path, want := range map[string]string{
		"protocol": `"HTTP"`, "portIndex": "0", "gracePeriodSeconds": "300", "intervalSeconds": "60", "timeoutSeconds": "20",
		"maxConsecutiveFailures": "3", "delaySeconds": "15", "ignoreHttp1xx": "false", "ipProtocol": `"IPv4"`,
	} {
		a.has("app.healthChecks.0."+path, want)
	}
	a.has("app.healthChecks.1.portIndex", "null").has("app.healthChecks.1.port", "80")
}

// api.md §3.5: a task that never passed has until its grace is over; 0 failures allowed is never a reason to kill.
func checksKillLate(s *session) {
	const check = `"healthChecks": [{"protocol": "TCP", "portIndex": 0}, {"protocol": "HTTP", "portIndex": 0, "gracePeriodSeconds": %d,
		"intervalSeconds": 2, "timeoutSeconds": 1, "maxConsecutiveFailures": %d}]`
	s.ok(http.MethodPost, "/v2/apps", plain("/slow", 1, fmt.Sprintf(check, 20, 1)))
	s.ok(http.MethodPost, "/v2/apps", plain("/kept", 1, fmt.Sprintf(check, 0, 0)))
	slow := s.awaitTasks("/slow", 1)
	s.p.SetPassing(slow[0], false)
	kept := s.awaitTasks("/kept", 1)
	s.p.SetPassing(kept[0], false)
	s.p.Pass(12 * time.Second)
	if now := s.tasks("/slow"); len(now) != 1 || now[0] != slow[0] {
		s.Errorf("%s was replaced by %v within its grace", slow[0], now)
	}
	s.get("/v2/apps/slow").has("app.tasksUnhealthy", "0") // what failed in its grace does not count
	s.awaitTasks("/slow", 1, slow...)
	a := s.get("/v2/apps/kept").has("app.tasks.0.id", fmt.Sprintf("%q", kept[0])).has("app.tasksUnhealthy", "1")
	if n := a.number("app.tasks.0.healthCheckResults.1.consecutiveFailures"); n < 5 {
		s.Errorf("%v failures in a row were counted", n)
	}
	if a.text("app.tasks.0.healthCheckResults.1.lastFailure") == "" || a.text("app.tasks.0.healthCheckResults.1.lastFailureCause") == "" ||
		a.text("app.tasks.0.healthCheckResults.1.instanceId") == "" {
		s.Errorf("a result lacks something: %v", a.at("app.tasks.0.healthCheckResults"))
	}
	if s.get("/v2/apps/kept").count("app.deployments") != 1 {
		s.Error("the deployment of an app that never gets healthy has ended")
	}
}

// api.md §3.1, readinessChecks, and §2.1, embeds: what the check has answered is shown with the app and with the deployment.
func readinessIsShown(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, `"portDefinitions": [{"port": 0, "name": "http-api"}],
		"readinessChecks": [{"name": "ready", "intervalSeconds": 5, "timeoutSeconds": 1, "preserveLastResponse": true, "httpStatusCodesForReady": [204]}]`))
	task := s.awaitTasks("/web", 1)[0]
	const results = "app.readinessCheckResults.0."
	a := s.await("a result", "/v2/apps/web?embed=apps.readiness", func(a reply) bool { return a.text(results+"name") == "ready" })
	a.has(results+"taskId", fmt.Sprintf("%q", task)).has(results+"ready", "false").has(results+"lastResponse.status", "200")
	d := s.get("/v2/deployments").is(http.StatusOK)
	d.has("0.currentActions.0.readinessCheckResults.0.taskId", fmt.Sprintf("%q", task))
	if s.get("/v2/apps/web").at("app.readinessCheckResults") != nil {
		s.Error("results are there without being asked for")
	}
	s.do(http.MethodPost, "/v2/apps", plain("/x", 1, `"readinessChecks": [{"intervalSeconds": 5, "timeoutSeconds": 5, "portName": "default"}]`)).
		is(http.StatusUnprocessableEntity).has("details.0.path", `"/readinessChecks(0)/timeoutSeconds"`)
	s.do(http.MethodPost, "/v2/apps", plain("/x", 1, `"readinessChecks": [{"portName": "nobody"}]`)).is(http.StatusUnprocessableEntity)
}

// api.md §3.1, taskKillGracePeriodSeconds: a task has so long to end, and not longer.
func tasksHaveTheirGrace(s *session) {
	s.runs(plain("/web", 1, `"env": {"STUBBORN": "yes"}, "taskKillGracePeriodSeconds": 7`))
	task := s.tasks("/web")[0]
	s.do(http.MethodDelete, "/v2/apps/web/tasks/"+string(task), "").is(http.StatusOK)
	s.p.Pass(6 * time.Second)
	if s.p.Given(task) == nil {
		s.Errorf("%s has ended before its grace was over", task)
	}
	s.p.Pass(2 * time.Second)
	if s.p.Given(task) != nil {
		s.Errorf("%s lives beyond its grace", task)
	}
	s.awaitTasks("/web", 1, task)
}
