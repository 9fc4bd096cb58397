package acceptance

import (
	"fmt"
	"net/http"
	"strings"
)

// tooBig makes an app whose deployment stays open: no host has that much.
const tooBig = `"cpus": 5000`

// api.md §2.3: a bare list, with steps, the current one and its actions.
func deploymentsShape(s *session) {
	s.get("/v2/deployments").is(http.StatusOK).has("", "[]")
	id := s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, tooBig)).header.Get("Marathon-Deployment-Id")
	a := s.await("the second step", "/v2/deployments", func(a reply) bool { return a.number("0.currentStep") == 2 })
	for path, want := range map[string]string{
		"0.id": fmt.Sprintf("%q", id), "0.affectedApps": `["/web"]`, "0.affectedPods": "[]", "0.totalSteps": "2",
		"0.steps.0.actions.0": `{"action":"StartApplication","app":"/web"}`, "0.steps.1.actions.0": `{"action":"ScaleApplication","app":"/web"}`,
		"0.currentActions": `[{"action":"ScaleApplication","app":"/web","readinessCheckResults":[]}]`,
	} {
		a.has(path, want)
	}
	if a.text("0.version") == "" {
		s.Error("a deployment has no version")
	}
	s.get("/v2/apps").has("apps.0.deployments", fmt.Sprintf(`[{"id":%q}]`, id))
}

// api.md §2.3: DELETE leads back; the rollback of a creation deletes the app.
func deploymentsRollback(s *session) {
	id := s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, tooBig)).header.Get("Marathon-Deployment-Id")
	a := s.do(http.MethodDelete, "/v2/deployments/"+id, "").is(http.StatusOK)
	if back := a.text("deploymentId"); back == "" || back == id || a.header.Get("Marathon-Deployment-Id") != back {
		s.Errorf("the rollback of %s answers %s", id, a.body)
	}
	s.settled()
	s.get("/v2/apps/web").is(http.StatusNotFound)

	s.runs(plain("/web", 1))
	s.ok(http.MethodPut, "/v2/apps/web", `{"cpus": 5000}`)
	id = s.get("/v2/deployments").text("0.id")
	s.do(http.MethodDelete, "/v2/deployments/"+id, "").is(http.StatusOK)
	s.settled()
	s.get("/v2/apps/web").has("app.cpus", "0.1").has("app.tasksRunning", "1")

	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop", "dependencies": ["/web"], "groups": [{"id": "sub", "apps": [`+plain("big", 1, tooBig)+`]}]}`)
	s.ok(http.MethodDelete, "/v2/deployments/"+s.get("/v2/deployments").text("0.id"), "")
	s.settled()
	s.get("/v2/groups/shop").is(http.StatusNotFound)
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop", "dependencies": ["/web"]}`)
	s.ok(http.MethodPut, "/v2/groups/shop", `{"dependencies": [], "apps": [`+plain("big", 1, tooBig)+`]}`)
	s.get("/v2/groups/shop").has("dependencies", "[]")
	s.ok(http.MethodDelete, "/v2/deployments/"+s.get("/v2/deployments").text("0.id"), "")
	s.settled()
	s.get("/v2/groups/shop").has("dependencies", `["/web"]`).has("apps", "[]")
}

// api.md §2.3: DELETE with force abandons, 202 without a body; everything stays where it is.
func deploymentsAbandoned(s *session) {
	id := s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, tooBig)).header.Get("Marathon-Deployment-Id")
	if a := s.do(http.MethodDelete, "/v2/deployments/"+id+"?force=true", "").is(http.StatusAccepted); a.body != "" {
		s.Errorf("the body is %s", a.body)
	}
	s.get("/v2/deployments").has("", "[]")
	s.get("/v2/apps/web").is(http.StatusOK).has("app.deployments", "[]")
}

// api.md §2.3: apps with dependencies come after them.
func dependenciesComeFirst(s *session) {
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop", "apps": [`+plain("web", 1, `"dependencies": ["/shop/db"]`)+`, `+plain("db", 1)+`]}`)
	a := s.get("/v2/deployments").is(http.StatusOK)
	last := int(a.number("0.totalSteps")) - 1
	a.has(fmt.Sprintf("0.steps.%d.actions", last-1), `[{"action":"ScaleApplication","app":"/shop/db"}]`)
	a.has(fmt.Sprintf("0.steps.%d.actions", last), `[{"action":"ScaleApplication","app":"/shop/web"}]`)
	s.settled()
	s.do(http.MethodPut, "/v2/apps/shop/db", `{"dependencies": ["/shop/web"]}`).is(http.StatusUnprocessableEntity)
}

// api.md §3.1, readinessChecks, and §2.3: a deployment goes on when its tasks are ready, and its results are shown.
func deploymentsWaitForReadiness(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, `"portDefinitions": [{"port": 0, "name": "http-api"}],
		"readinessChecks": [{"portName": "http-api", "intervalSeconds": 2, "timeoutSeconds": 1, "preserveLastResponse": true}]`))
	task := s.awaitTasks("/web", 1)[0]
	s.p.SetPassing(task, false)
	s.settled()
	s.ok(http.MethodPost, "/v2/apps/web/restart", "")
	next := s.await("the new task", "/v2/apps/web", func(a reply) bool {
		return a.number("app.tasksRunning") == 2 || len(s.tasks("/web")) == 1 && s.tasks("/web")[0] != task
	})
	if next.count("app.deployments") != 1 {
		s.Errorf("the deployment of the restart is not there: %s", next.body)
	}
	s.settled()
	s.awaitTasks("/web", 1, task)
}

// api.md §1, error table: more than a hundred running deployments are refused with 403.
func deploymentsAreLimited(s *session) {
	for n := range 100 {
		s.ok(http.MethodPost, "/v2/apps", plain(fmt.Sprintf("/app%d", n), 1, tooBig))
	}
	if a := s.do(http.MethodPost, "/v2/apps", plain("/one-more", 1)).is(http.StatusForbidden); !strings.Contains(a.text("message"), "100") {
		s.Errorf("the message names no limit: %s", a.body)
	}
	s.do(http.MethodDelete, "/v2/deployments/"+s.get("/v2/deployments").text("0.id")+"?force=true", "").is(http.StatusAccepted)
	s.do(http.MethodPost, "/v2/apps", plain("/one-more", 1)).is(http.StatusCreated)
}
