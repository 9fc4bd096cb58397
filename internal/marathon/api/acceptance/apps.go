package acceptance

import (
	"net/http"
	"slices"
)

// api.md §0: the app of the worked example, field by field.
func workedExample(s *session) {
	a := s.ok(http.MethodPost, "/v2/apps", `{
		"id": "/postgresql/patroni", "cpus": 0.5, "mem": 256, "disk": 1000, "instances": 3,
		"container": {"type": "DOCKER", "docker": {"image": "patroni:latest", "network": "BRIDGE", "portMappings": [
			{"containerPort": 5432, "hostPort": 0, "servicePort": 10000}, {"containerPort": 8008, "hostPort": 0, "servicePort": 10001}]}},
		"env": {"PATRONI_SCOPE": "pg"},
		"healthChecks": [{"protocol": "HTTP", "path": "/health", "portIndex": 1, "gracePeriodSeconds": 30, "intervalSeconds": 10,
			"timeoutSeconds": 5, "maxConsecutiveFailures": 3}]}`)
	a.is(http.StatusCreated)
	for path, want := range map[string]string{
		"networks": `[{"mode":"container/bridge"}]`, "container.docker.network": "null", "container.docker.portMappings": "null",
		"container.portMappings.0.protocol": `"tcp"`, "container.portMappings.0.hostPort": "0",
		"container.portMappings.0.servicePort": "10000", "container.portMappings.1.containerPort": "8008",
		"container.volumes": "[]", "container.docker.privileged": "false", "container.docker.forcePullImage": "false",
		"container.docker.parameters": "[]", "healthChecks.0.delaySeconds": "15", "healthChecks.0.ignoreHttp1xx": "false",
		"healthChecks.0.ipProtocol": `"IPv4"`, "acceptedResourceRoles": `["*"]`, "backoffSeconds": "1", "backoffFactor": "1.15",
		"maxLaunchDelaySeconds": "300", "executor": `""`, "gpus": "0", "labels": "{}", "requirePorts": "false",
		"killSelection": `"YOUNGEST_FIRST"`, "unreachableStrategy": `{"expungeAfterSeconds":0,"inactiveAfterSeconds":0}`,
		"upgradeStrategy": `{"maximumOverCapacity":1,"minimumHealthCapacity":1}`,
		"tasksStaged":     "0", "tasksRunning": "0", "tasksHealthy": "0", "tasksUnhealthy": "0",
	} {
		a.has(path, want)
	}
	if id := a.header.Get("Marathon-Deployment-Id"); id == "" || id != a.text("deployments.0.id") {
		s.Errorf("Marathon-Deployment-Id is %q, the body says %q", id, a.text("deployments.0.id"))
	}
	s.get("/v2/groups/postgresql").is(http.StatusOK).has("id", `"/postgresql"`)
}

// api.md §2.1: POST, GET and DELETE of an app, and what lists show of it.
func appsCreateRunDelete(s *session) {
	s.runs(plain("/web", 2))
	a := s.get("/v2/apps").is(http.StatusOK).has("apps.0.id", `"/web"`).has("apps.0.tasksRunning", "2").has("apps.0.deployments", "[]")
	if a.at("apps.0.tasks") != nil {
		s.Error("a list without embed has tasks")
	}
	a = s.get("/v2/apps/web").is(http.StatusOK).has("app.id", `"/web"`).has("app.tasksRunning", "2").has("app.deployments", "[]")
	if n := a.count("app.tasks"); n != 2 {
		s.Errorf("one app is shown with %d tasks, want 2", n)
	}
	a = s.ok(http.MethodDelete, "/v2/apps/web", "")
	if a.text("deploymentId") == "" || a.text("version") == "" {
		s.Errorf("DELETE answers %s", a.body)
	}
	s.settled()
	s.get("/v2/apps/web").is(http.StatusNotFound).says("App '/web' does not exist")
	s.get("/v2/apps").is(http.StatusOK).has("apps", "[]")
}

// api.md §2.1: PUT creates what is absent, 201; then it updates, 200.
func appsPutCreates(s *session) {
	s.do(http.MethodPut, "/v2/apps/web", `{"cmd": "work", "cpus": 0.1, "mem": 16}`).is(http.StatusCreated)
	s.settled()
	s.do(http.MethodPut, "/v2/apps//web/", `{"instances": 2}`).is(http.StatusOK)
	s.awaitTasks("/web", 2)
}

// api.md §2.1: partialUpdate keeps what is not given; false puts it back to the default.
func appsPartialAndWholeUpdates(s *session) {
	s.runs(plain("/web", 1, `"labels": {"a": "1"}, "env": {"X": "1", "Y": "2"}`))
	s.ok(http.MethodPut, "/v2/apps/web", `{"env": {"X": "3"}}`)
	s.get("/v2/apps/web").has("app.env", `{"X":"3"}`).has("app.labels", `{"a":"1"}`)
	s.settled()
	s.ok(http.MethodPut, "/v2/apps/web?partialUpdate=false", `{"cmd": "work", "cpus": 0.1, "mem": 16}`)
	s.get("/v2/apps/web").has("app.env", "null").has("app.labels", "{}")
}

// api.md §2.1: an array of updates is one deployment.
func appsListsOfUpdates(s *session) {
	s.runs(plain("/web", 1))
	a := s.do(http.MethodPut, "/v2/apps", `[{"id": "/web", "instances": 2}, `+plain("/other", 1)+`]`).is(http.StatusOK)
	d := s.get("/v2/deployments").is(http.StatusOK)
	if n := d.count(""); n != 1 {
		s.Errorf("%d deployments, want 1", n)
	}
	d.has("0.id", `"`+a.text("deploymentId")+`"`).has("0.affectedApps", `["/other","/web"]`)
	s.settled()
	s.awaitTasks("/web", 2)
	s.do(http.MethodPatch, "/v2/apps", `[{"id": "/web", "instances": 1}, {"id": "/none", "instances": 1}]`).is(http.StatusNotFound)
	s.get("/v2/apps/web").has("app.instances", "2")
}

// api.md §2.1: PATCH changes, and never creates.
func appsPatchNeverCreates(s *session) {
	s.do(http.MethodPatch, "/v2/apps/web", `{"instances": 1}`).is(http.StatusNotFound).says("App '/web' does not exist")
	s.runs(plain("/web", 1))
	s.do(http.MethodPatch, "/v2/apps/web", `{"instances": 2}`).is(http.StatusOK)
	s.awaitTasks("/web", 2)
}

// clients.md §0 row 10 and §2: go-marathon sends nulls for what it does not mean.
func appsNullsAreAbsent(s *session) {
	s.runs(plain("/web", 1, `"labels": {"a": "1"}`))
	s.do(http.MethodPut, "/v2/apps/web?force=true", `{"id": "/web", "instances": 2, "ports": null, "dependencies": null,
		"acceptedResourceRoles": null, "labels": null, "container": null, "healthChecks": null, "env": null}`).is(http.StatusOK)
	s.get("/v2/apps/web").has("app.instances", "2").has("app.labels", `{"a":"1"}`)
	s.awaitTasks("/web", 2)
}

// api.md §2.1: only instances differ: running tasks stay. Anything else: all are replaced. Nothing: nothing.
func appsScaleOrRestart(s *session) {
	s.runs(plain("/web", 1))
	first := s.tasks("/web")
	before := s.get("/v2/apps/web")
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 3}`)
	if grown := s.awaitTasks("/web", 3); !slices.Contains(grown, first[0]) {
		s.Errorf("scaling replaced %s by %v", first[0], grown)
	}
	s.settled()
	scaled := s.get("/v2/apps/web")
	if scaled.text("app.versionInfo.lastConfigChangeAt") != before.text("app.versionInfo.lastConfigChangeAt") ||
		scaled.text("app.versionInfo.lastScalingAt") == before.text("app.versionInfo.lastScalingAt") {
		s.Errorf("after scaling versionInfo is %v, it was %v", scaled.at("app.versionInfo"), before.at("app.versionInfo"))
	}
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 3}`)
	s.settled()
	old := s.tasks("/web")
	s.ok(http.MethodPut, "/v2/apps/web", `{"env": {"X": "1"}}`)
	s.awaitTasks("/web", 3, old...)
}

// api.md §2.1: restart replaces all tasks, the configuration stays.
func appsRestart(s *session) {
	s.runs(plain("/web", 2))
	old, before := s.tasks("/web"), s.get("/v2/apps/web")
	a := s.do(http.MethodPost, "/v2/apps/web/restart", "").is(http.StatusOK)
	if a.text("deploymentId") == "" {
		s.Errorf("restart answers %s", a.body)
	}
	s.awaitTasks("/web", 2, old...)
	s.settled()
	after := s.get("/v2/apps/web")
	if after.text("app.version") <= before.text("app.version") ||
		after.text("app.versionInfo.lastConfigChangeAt") != after.text("app.version") {
		s.Errorf("after a restart the version is %v, it was %v", after.at("app.versionInfo"), before.at("app.versionInfo"))
	}
	s.do(http.MethodPost, "/v2/apps/none/restart", "{}").is(http.StatusNotFound)
}

// api.md §2.1: versions, newest first; one of them bare; back to it by PUT of the version alone.
func appsVersionsAndRollback(s *session) {
	s.runs(plain("/web", 1, `"env": {"X": "1"}`))
	first := s.get("/v2/apps/web").text("app.version")
	s.p.Pass(1e9)
	s.ok(http.MethodPut, "/v2/apps/web", `{"env": {"X": "2"}}`)
	s.settled()
	second := s.get("/v2/apps/web").text("app.version")
	s.get("/v2/apps/web/versions").is(http.StatusOK).has("versions", `["`+second+`","`+first+`"]`)
	s.get("/v2/apps/web/versions/"+first).is(http.StatusOK).has("id", `"/web"`).has("env", `{"X":"1"}`)
	s.get("/v2/apps/web/versions/2001-01-01T00:00:00.000Z").is(http.StatusNotFound).
		says("App '/web' does not exist in version 2001-01-01T00:00:00.000Z")
	s.do(http.MethodPut, "/v2/apps/web", `{"version": "`+first+`", "instances": 2}`).is(http.StatusUnprocessableEntity).
		has("details.0.errors.0", `"The 'version' field may only be combined with the 'id' field."`)
	s.do(http.MethodPut, "/v2/apps/web", `{"version": "`+first+`"}`).is(http.StatusOK)
	s.get("/v2/apps/web").has("app.env", `{"X":"1"}`)
	s.settled()
	s.do(http.MethodPut, "/v2/apps/web", `{"version": "2001-01-01T00:00:00.000Z"}`).is(http.StatusNotFound)
	s.ok(http.MethodDelete, "/v2/apps/web", "")
	s.settled()
	s.get("/v2/apps/web/versions").is(http.StatusNotFound)
}

// api.md §1 and §2.1: everything below a group.
func appsBelowAGroup(s *session) {
	s.runs(plain("/shop/web", 1))
	s.runs(plain("/shop/db/main", 1))
	s.runs(plain("/other", 1))
	a := s.get("/v2/apps/shop/*").is(http.StatusOK)
	a.has("*.0.id", `"/shop/db/main"`).has("*.1.id", `"/shop/web"`).has("*.2", "null").has("*.0.tasksRunning", "1")
	if n := s.get("/v2/apps//shop/*/tasks").is(http.StatusOK).count("tasks"); n != 2 {
		s.Errorf("%d tasks below the group, want 2", n)
	}
}
