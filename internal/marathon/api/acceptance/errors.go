package acceptance

import "net/http"

// api.md §1, error table: bodies that cannot be read or cannot be.
func errorsOfBodies(s *session) {
	a := s.do(http.MethodPost, "/v2/apps", `{"id": `).is(http.StatusBadRequest)
	a.says("Invalid JSON")
	if a.text("details") == "" {
		s.Errorf("details of a syntax error are no string: %s", a.body)
	}
	s.do(http.MethodPost, "/v2/apps", `{"id": 5}`).is(http.StatusBadRequest).
		has("details", `[{"errors":["error.expected.jsstring"],"path":"/id"}]`).says("Invalid JSON")
	s.do(http.MethodPost, "/v2/apps", `{"id": "/x", "cmd": "y", "instances": 0.1}`).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/instances"`)
	s.do(http.MethodPost, "/v2/apps", plain("/x", 1, `"upgradeStrategy": {"minimumHealthCapacity": 2}`)).
		is(http.StatusUnprocessableEntity).has("details.0.path", `"/upgradeStrategy/minimumHealthCapacity"`).says("Object is not valid")
	s.do(http.MethodPost, "/v2/apps", plain("/x", 1, `"healthChecks": [{"protocol": "HTTP", "portIndex": 9}]`)).
		is(http.StatusUnprocessableEntity).
		has("details.0.errors.0", `"Health check port indices must address an element of the ports array or container port mappings."`)
	s.do(http.MethodPost, "/v2/apps", plain("/Upper", 1)).is(http.StatusUnprocessableEntity).has("details.0.path", `"/id"`)
	s.do(http.MethodPost, "/v2/apps", plain("/x/restart", 1)).is(http.StatusUnprocessableEntity)
	s.do(http.MethodPost, "/v2/apps", `{"cmd": "x"}`).is(http.StatusBadRequest)
	s.get("/v2/apps").has("apps", "[]")
}

// api.md §1, error table: what is not there.
func errorsOfUnknownThings(s *session) {
	s.get("/v2/apps/x").is(http.StatusNotFound).says("App '/x' does not exist")
	s.do(http.MethodDelete, "/v2/apps/x", "").is(http.StatusNotFound).says("App '/x' does not exist")
	s.get("/v2/groups/x").is(http.StatusNotFound).says("Group '/x' does not exist")
	s.do(http.MethodDelete, "/v2/deployments/nope", "").is(http.StatusNotFound).says("DeploymentPlan nope does not exist")
	s.do(http.MethodDelete, "/v2/queue//x/delay", "").is(http.StatusNotFound).says("Application /x not found in tasks queue.")
	s.runs(plain("/web", 1))
	const task = "web.instance-00000000-0000-0000-0000-000000000000._app.1"
	s.do(http.MethodDelete, "/v2/apps/web/tasks/"+task, "").is(http.StatusNotFound).says("Task '" + task + "' does not exist")
	s.do(http.MethodDelete, "/v2/apps/web/tasks/x", "").is(http.StatusBadRequest)
	s.do(http.MethodDelete, "/v2/apps/web/tasks?scale=true&wipe=true", "").is(http.StatusBadRequest).
		says("You cannot use scale and wipe at the same time.")
	s.do(http.MethodPost, "/v2/tasks/delete", `{"ids": ["not a task"]}`).is(http.StatusBadRequest)
	s.do(http.MethodPut, "/v2/info", "").is(http.StatusMethodNotAllowed)
}

// api.md §1, error table: POST of what exists.
func appsPostConflict(s *session) {
	s.runs(plain("/web", 1))
	s.do(http.MethodPost, "/v2/apps", plain("/web", 1)).is(http.StatusConflict).says("An app with id [/web] already exists.")
	s.do(http.MethodPost, "/v2/groups", `{"id": "/web"}`).is(http.StatusConflict).says("An app with the path /web already exists.")
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop", "apps": []}`)
	s.do(http.MethodPost, "/v2/groups", `{"id": "/shop"}`).is(http.StatusConflict).
		says("Group /shop is already created. Use PUT to change this group.")
}

// api.md §1, error table and clients.md §0 row 14: a lock names the deployments; force overrides it.
func appIsLockedByItsDeployment(s *session) {
	d := s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, `"cpus": 5000`)).header.Get("Marathon-Deployment-Id")
	a := s.do(http.MethodPut, "/v2/apps/web", `{"instances": 2}`).is(http.StatusConflict).has("deployments", `[{"id":"`+d+`"}]`)
	a.says("App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.")
	s.do(http.MethodPut, "/v2/apps/web?force=true", `{"cpus": 0.1}`).is(http.StatusOK)
	s.settled()
	s.awaitTasks("/web", 1)
}

// api.md §1: curl -d sends a form's type; unknown fields are ignored.
func contentTypeDoesNotMatter(s *session) {
	s.do(http.MethodPost, "/v2/apps", plain("/web", 1, `"somethingElse": {"x": [1]}`), "Content-Type: application/x-www-form-urlencoded").
		is(http.StatusCreated)
	s.settled()
}
