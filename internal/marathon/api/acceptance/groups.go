package acceptance

import (
	"net/http"
	"slices"
)

// api.md §2.6: the tree, and what is left out stays an empty list. clients.md §7: as Marathon's user interface asks.
func groupsTree(s *session) {
	s.runs(plain("/shop/web", 1))
	s.runs(plain("/shop/db/main", 0))
	s.runs(plain("/top", 0))
	a := s.get("/v2/groups").is(http.StatusOK)
	for path, want := range map[string]string{
		"id": `"/"`, "pods": "[]", "dependencies": "[]", "apps.0.id": `"/top"`, "groups.0.id": `"/shop"`, "groups.0.apps.0.id": `"/shop/web"`,
		"groups.0.groups.0.id": `"/shop/db"`, "groups.0.groups.0.apps.0.id": `"/shop/db/main"`,
	} {
		a.has(path, want)
	}
	if a.text("version") == "" {
		s.Error("a group has no version")
	}
	a = s.get("/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.deployments&embed=group.apps.counts&embed=group.apps.readiness")
	a.has("groups.0.apps.0.tasksRunning", "1").has("groups.0.apps.0.deployments", "[]").has("groups.0.apps.0.readinessCheckResults", "[]")
	s.get("/v2/groups?embed=group.groups").has("apps", "[]").has("groups.0.apps", "[]").has("groups.0.groups.0.id", `"/shop/db"`)
	s.get("/v2/groups//shop?embed=group.apps").has("groups", "[]").has("apps.0.id", `"/shop/web"`)
	s.get("/v2/groups/shop/apps").is(http.StatusOK).has("0.id", `"/shop/db/main"`).has("1.id", `"/shop/web"`)
	s.get("/v2/groups/shop/web").is(http.StatusNotFound)
}

// api.md §2.6: POST 201, PUT, DELETE; ids in a body are relative to their group; lists that are given are complete.
func groupsCreateUpdateDelete(s *session) {
	a := s.do(http.MethodPost, "/v2/groups", `{"id": "shop", "apps": [`+plain("web", 1)+`], "groups": [{"id": "db", "apps": [`+plain("main", 1)+`]}]}`)
	if a.is(http.StatusCreated); a.text("deploymentId") == "" || a.text("version") == "" {
		s.Errorf("POST answers %s", a.body)
	}
	s.settled()
	s.awaitTasks("/shop/db/main", 1)
	s.do(http.MethodPut, "/v2/groups/shop", `{"apps": [`+plain("api", 1)+`]}`).is(http.StatusOK)
	s.settled()
	s.get("/v2/apps/shop/web").is(http.StatusNotFound)
	s.get("/v2/apps/shop/db/main").is(http.StatusOK)
	s.awaitTasks("/shop/api", 1)
	s.ok(http.MethodPost, "/v2/groups/shop", `{"id": "empty"}`)
	s.get("/v2/groups/shop/empty").is(http.StatusOK).has("apps", "[]")
	s.do(http.MethodDelete, "/v2/groups/shop", "").is(http.StatusOK)
	s.settled()
	s.get("/v2/groups/shop").is(http.StatusNotFound)
	s.get("/v2/apps").has("apps", "[]")
}

// api.md §2.6: a dry run says the steps and does nothing; scaleBy multiplies; an empty path is everything.
func groupsDryRunAndScale(s *session) {
	s.runs(plain("/shop/web", 1))
	s.runs(plain("/shop/db", 2))
	old := slices.Concat(s.tasks("/shop/web"), s.tasks("/shop/db"))
	s.do(http.MethodPut, "/v2/groups/shop?dryRun=true", `{"scaleBy": 2}`).is(http.StatusOK).
		has("steps.0.actions", `[{"action":"ScaleApplication","app":"/shop/db"},{"action":"ScaleApplication","app":"/shop/web"}]`)
	s.get("/v2/apps/shop/db").has("app.instances", "2")
	s.do(http.MethodPut, "/v2/groups/shop", `{"scaleBy": 2}`).is(http.StatusOK)
	s.settled()
	if now := slices.Concat(s.awaitTasks("/shop/web", 2), s.awaitTasks("/shop/db", 4)); !slices.Contains(now, old[0]) {
		s.Error("scaling replaced tasks")
	}
	s.do(http.MethodDelete, "/v2/groups", "").is(http.StatusOK)
	s.settled()
	s.get("/v2/apps").has("apps", "[]")
}

// api.md §2.6: versions, a group as it was, and back to it.
func groupsVersions(s *session) {
	s.runs(plain("/shop/web", 1))
	s.p.Pass(1e9)
	first := s.get("/v2/groups/shop/versions").is(http.StatusOK).text("0")
	s.ok(http.MethodPost, "/v2/apps", plain("/elsewhere", 0))
	s.get("/v2/groups/shop/versions").has("", `["`+first+`"]`)
	if n := s.get("/v2/groups/versions").is(http.StatusOK).count(""); n != 2 {
		s.Errorf("there were %d versions of everything, want 2", n)
	}
	s.p.Pass(1e9)
	s.ok(http.MethodDelete, "/v2/apps/shop/web", "")
	s.settled()
	s.p.Pass(1e9)
	s.ok(http.MethodPost, "/v2/apps", plain("/shop/other", 0))
	s.get("/v2/groups/shop/versions/"+first).is(http.StatusOK).has("apps.0.id", `"/shop/web"`)
	s.settled()
	s.do(http.MethodPut, "/v2/groups/shop", `{"version": "`+first+`"}`).is(http.StatusOK)
	s.settled()
	s.get("/v2/apps/shop/other").is(http.StatusNotFound)
	s.awaitTasks("/shop/web", 1)
}

// api.md §2.6: circles, clashes and wrong nesting; PATCH is for enforceRole alone.
func groupsRefusals(s *session) {
	s.do(http.MethodPost, "/v2/groups", `{"id": "/a", "groups": [{"id": "b", "dependencies": ["/a/c"], "apps": [`+plain("x", 0)+`]},
		{"id": "c", "dependencies": ["/a/b"], "apps": [`+plain("y", 0)+`]}]}`).is(http.StatusUnprocessableEntity)
	s.do(http.MethodPost, "/v2/groups", `{"id": "/a", "apps": [`+plain("/elsewhere/x", 0)+`]}`).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/apps(0)/id"`)
	s.do(http.MethodPost, "/v2/groups", `{"id": "/a", "groups": [{"id": "/b"}]}`).is(http.StatusUnprocessableEntity)
	s.do(http.MethodPost, "/v2/groups", `{"id": "/a", "apps": [{"id": "x", "cmd": "y", "cpus": -1}]}`).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/apps(0)/cpus"`)
	s.do(http.MethodPost, "/v2/groups", `{"id": "/a", "apps": {}}`).is(http.StatusBadRequest).says("Invalid JSON")
	s.runs(plain("/web", 0))
	s.do(http.MethodPost, "/v2/apps", plain("/web/below", 0)).is(http.StatusUnprocessableEntity)
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop"}`)
	s.do(http.MethodPatch, "/v2/groups/shop", `{"enforceRole": true}`).is(http.StatusOK)
	s.get("/v2/groups/shop").has("enforceRole", "true")
	s.do(http.MethodPatch, "/v2/groups/shop", `{"apps": []}`).is(http.StatusUnprocessableEntity)
	s.get("/v2/groups").has("groups.0.id", `"/shop"`).has("groups.1", "null")
}

// api.md §2.6 and §3.1, role: a group at the top may enforce its role; apps that have another one already keep it.
func groupsEnforceTheirRole(s *session) {
	s.runs(plain("/shop/old", 1))
	s.do(http.MethodPatch, "/v2/groups/shop", `{"enforceRole": true}`).is(http.StatusOK)
	s.get("/v2/groups/shop").has("enforceRole", "true").has("apps.0.role", `"*"`)
	s.ok(http.MethodPut, "/v2/apps/shop/old", `{"instances": 0}`)
	s.do(http.MethodPost, "/v2/apps", plain("/shop/star", 1, `"role": "*"`)).is(http.StatusUnprocessableEntity).
		has("details.0", `{"errors":["is not one of (shop)"],"path":"/role"}`)
	s.do(http.MethodPost, "/v2/groups/shop", `{"id": "sub", "apps": [`+plain("x", 1, `"role": "*"`)+`]}`).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/apps(0)/role"`)
	s.runs(plain("/shop/sub/new", 1))
	s.get("/v2/apps/shop/sub/new").has("app.role", `"shop"`).has("app.acceptedResourceRoles", `["*","shop"]`).has("app.tasks.0.role", `"shop"`)
	if env := s.p.Given(s.tasks("/shop/sub/new")[0]); env["MARATHON_APP_ENFORCE_GROUP_ROLE"] != "true" {
		s.Errorf("the task was given MARATHON_APP_ENFORCE_GROUP_ROLE=%q", env["MARATHON_APP_ENFORCE_GROUP_ROLE"])
	}
	s.do(http.MethodPut, "/v2/apps/shop/sub/new", `{"role": "*"}`).is(http.StatusUnprocessableEntity)
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/bank", "enforceRole": true, "apps": [`+plain("web", 0)+`]}`)
	s.get("/v2/apps/bank/web").has("app.role", `"bank"`)
	s.do(http.MethodPost, "/v2/groups", `{"id": "/bank/deep", "enforceRole": true}`).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/enforceRole"`)
	s.do(http.MethodPatch, "/v2/groups/shop/sub", `{"enforceRole": true}`).is(http.StatusUnprocessableEntity)
	s.do(http.MethodPatch, "/v2/groups/none", `{"enforceRole": true}`).is(http.StatusNotFound)
	s.settled()
	s.do(http.MethodPatch, "/v2/groups/shop", `{"enforceRole": false}`).is(http.StatusOK)
	s.do(http.MethodPut, "/v2/apps/shop/sub/new", `{"role": "*"}`).is(http.StatusOK)
	s.settled()
}
