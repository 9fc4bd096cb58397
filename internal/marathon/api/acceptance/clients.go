package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// bridged is an app in containers with two mapped ports.
func bridged(id string, instances int, more ...string) string {
	return plain(id, instances, append([]string{`"networks": [{"mode": "container/bridge"}], "container": {"type": "DOCKER", "docker": {"image": "x:1"},
		"portMappings": [{"containerPort": 5432, "servicePort": 10000, "labels": {"role": "sql"}},
			{"containerPort": 8008, "servicePort": 10001, "name": "rest", "labels": {"metrics": "patroni"}}]}`}, more...)...)
}

// clients.md §0 row 4: what clients read without looking is never null.
func (s *session) noNulls(a reply) {
	s.Helper()
	var tree any
	a.decode(&tree)
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case nil:
			s.Errorf("%s: %s is null", a.request, at)
		case map[string]any:
			for name, member := range v {
				walk(at+"."+name, member)
			}
		case []any:
			for n, member := range v {
				walk(fmt.Sprintf("%s.%d", at, n), member)
			}
		}
	}
	walk("", tree)
}

// clients.md §1: marathon-lb reads lists of tasks without a default, pairs ports and service ports by index, and takes a
// missing healthCheckResults for "not known yet".
func clientMarathonLB(s *session) {
	s.runs(bridged("/box", 2, `"labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_MODE": "tcp"}, "healthChecks": [{"protocol": "HTTP",
		"path": "/health", "portIndex": 1, "intervalSeconds": 2, "gracePeriodSeconds": 5, "timeoutSeconds": 1}]`))
	s.ok(http.MethodPost, "/v2/apps", plain("/idle", 0, `"portDefinitions": [{"port": 10300}, {"port": 10301}]`))
	s.settled()
	s.await("the first checks", "/v2/apps/box", func(a reply) bool { return a.number("app.tasksHealthy") == 2 })
	a := s.get("/v2/apps?embed=apps.tasks", "User-Agent: marathon-lb", "Accept: application/json").is(http.StatusOK)
	s.noNulls(a)
	for path, want := range map[string]string{
		"apps.0.id": `"/box"`, "apps.0.instances": "2", "apps.0.labels.HAPROXY_GROUP": `"external"`, "apps.0.networks.0.mode": `"container/bridge"`,
		"apps.0.healthChecks.0.protocol": `"HTTP"`, "apps.0.healthChecks.0.portIndex": "1", "apps.0.healthChecks.0.maxConsecutiveFailures": "3",
		"apps.0.tasks.0.servicePorts": "[10000,10001]", "apps.0.tasks.0.state": `"TASK_RUNNING"`, "apps.0.tasks.0.healthCheckResults.0.alive": "true",
		"apps.1.tasks": "[]", "apps.1.portDefinitions.1.port": "10301", "apps.1.labels": "{}", "apps.1.healthChecks": "null",
	} {
		a.has(path, want)
	}
	if a.count("apps.0.tasks.0.ports") != 2 || a.text("apps.0.tasks.0.host") == "" || a.text("apps.0.versionInfo.lastScalingAt") == "" {
		s.Errorf("a task is %v", a.at("apps.0.tasks.0"))
	}
	next, end := s.listen("?plan-format=light&event_type=api_post_event&event_type=health_status_changed_event&event_type=status_update_event",
		"User-Agent: marathon-lb", "Accept-Encoding: gzip, deflate")
	defer end()
	s.p.SetPassing(s.tasks("/box")[0], false)
	for alive := true; alive; { // that of the second task's first check may come before
		data := s.until(next, "health_status_changed_event")
		alive, _ = data["alive"].(bool)
		s.carries("health_status_changed_event", data, "appId", "taskId", "version")
	}
}

// clients.md §1, zdd.py and bluegreen_deploy.py: a second app beside the first, and the first one's tasks taken down one at a
// time until it goes.
func clientBlueGreen(s *session) {
	s.runs(plain("/web-blue", 2, `"labels": {"HAPROXY_DEPLOYMENT_GROUP": "web", "HAPROXY_DEPLOYMENT_COLOUR": "blue"}`))
	s.ok(http.MethodPost, "/v2/apps", plain("/web-green", 1, `"labels": {"HAPROXY_DEPLOYMENT_GROUP": "web", "HAPROXY_DEPLOYMENT_ALT_PORT": "10050"}`))
	s.await("the end of the deployment", "/v2/apps/web-green", func(a reply) bool { return a.count("app.deployments") == 0 && a.number("app.tasksRunning") == 1 })
	s.ok(http.MethodPut, "/v2/apps/web-green", `{"instances": 2}`)
	s.settled()
	for n := range 2 {
		victim := s.tasks("/web-blue")[0]
		if a := s.ok(http.MethodPost, "/v2/tasks/delete?scale=true", fmt.Sprintf(`{"ids": [%q]}`, victim)); a.text("deploymentId") == "" {
			s.Errorf("task %d is killed with %s", n, a.body)
		}
		s.settled()
	}
	s.get("/v2/apps/web-blue").has("app.instances", "0").has("app.tasks", "[]")
	s.ok(http.MethodDelete, "/v2/apps/web-blue", "")
	s.settled()
}

// clients.md §2: go-marathon's requests for apps, with the nulls its structs have.
func clientGoMarathonApps(s *session) {
	const header = "Content-Type: application/json"
	a := s.do(http.MethodPost, "/v2/apps", `{"id": "/shop/web", "args": null, "cmd": "work", "container": {"type": "DOCKER", "docker": {"image": "x:1",
		"network": "BRIDGE", "forcePullImage": false, "portMappings": [{"containerPort": 80, "hostPort": 0, "servicePort": 0, "protocol": "tcp"}]}, "volumes": null},
		"cpus": 0.1, "disk": 0, "gpus": null, "env": {"A": "1", "B": {"secret": "b"}}, "executor": "", "healthChecks": null, "readinessChecks": null,
		"instances": 1, "mem": 16, "tasks": null, "ports": null, "portDefinitions": null, "requirePorts": null, "backoffSeconds": 1, "backoffFactor": 1.15,
		"dependencies": null, "user": "", "upgradeStrategy": null, "unreachableStrategy": null, "uris": null,
		"versionInfo": null, "labels": {"a": "b"}, "acceptedResourceRoles": null, "lastTaskFailure": null, "fetch": null, "ipAddress": null, "residency": null,
		"secrets": {"b": {"source": "b"}}, "role": null}`, header, "Accept: application/json")
	a.is(http.StatusCreated).has("id", `"/shop/web"`).has("env.B.secret", `"b"`)
	s.noNulls(a)
	s.p.KeepSecret("b", "hidden")
	first := s.await("go-marathon's ApplicationOK", "/v2/apps//shop/web", func(a reply) bool {
		return a.count("app.tasks") == 1 && a.number("app.tasksRunning") == 1 && a.count("app.deployments") == 0
	}).text("app.version")
	s.noNulls(s.get("/v2/apps/shop/web"))
	// ScaleApplicationInstances, UpdateApplication, SetApplicationVersion, RestartApplication.
	s.p.Pass(1e9)
	up := s.do(http.MethodPut, "/v2/apps/shop/web?force=false", `{"id": "/shop/web", "instances": 2, "ports": null, "dependencies": null, "acceptedResourceRoles": null}`, header)
	if up.is(http.StatusOK); up.text("version") == "" || up.text("deploymentId") == "" {
		s.Errorf("scaling answers %s", up.body)
	}
	s.settled()
	s.ok(http.MethodPut, "/v2/apps/shop/web?force=true", `{"id": "/shop/web", "cmd": "other", "ports": [], "env": {}, "labels": {}, "fetch": [],
		"healthChecks": [], "constraints": [], "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}}`)
	s.settled()
	s.get("/v2/apps/shop/web/versions/"+first).is(http.StatusOK).has("cmd", `"work"`)
	if n := s.get("/v2/apps/shop/web/versions").count("versions"); n != 3 {
		s.Errorf("%d versions, want 3", n)
	}
	s.ok(http.MethodPut, "/v2/apps/shop/web", `{"version": "`+first+`"}`)
	s.settled()
	s.get("/v2/apps/shop/web").has("app.cmd", `"work"`).has("app.instances", "1")
	s.do(http.MethodPost, "/v2/apps/shop/web/restart", `{"force": false}`, header).is(http.StatusOK)
	s.settled()
	// KillTask with the app it reads from the id, KillApplicationTasks, KillTasks.
	task := s.tasks("/shop/web")[0]
	mangled := strings.ReplaceAll(string(task)[:strings.LastIndex(string(task), ".")], "_", "/")
	s.do(http.MethodDelete, "/v2/apps/"+mangled+"/tasks/"+string(task)+"?force=false&scale=false&wipe=false", "").is(http.StatusOK).
		has("task.id", fmt.Sprintf("%q", task))
	task = s.awaitTasks("/shop/web", 1, task)[0]
	s.do(http.MethodDelete, "/v2/apps/shop/web/tasks?force=false&host=&scale=false", "").is(http.StatusOK).has("tasks.0.id", fmt.Sprintf("%q", task))
	task = s.awaitTasks("/shop/web", 1, task)[0]
	s.do(http.MethodPost, "/v2/tasks/delete?force=false&scale=false&wipe=false", fmt.Sprintf(`{"ids": [%q]}`, task), header).is(http.StatusOK)
	s.awaitTasks("/shop/web", 1, task)
	s.do(http.MethodDelete, "/v2/apps/shop/web?force=true", "").is(http.StatusOK)
	s.settled()
	if got := s.get("/v2/apps/shop/web/versions").is(http.StatusNotFound).text("message"); got == "" {
		s.Error("a 404 without a message")
	}
}

// clients.md §2: what go-marathon asks beside apps.
func clientGoMarathonRest(s *session) {
	s.get("/ping").is(http.StatusOK)
	s.do(http.MethodHead, "/v2/pods", "").is(http.StatusNotFound)
	s.get("/v2/info").is(http.StatusOK).has("http_config.http_port", fmt.Sprint(s.get("/v2/info").number("http_config.http_port")))
	if leader := s.get("/v2/leader").text("leader"); !strings.Contains(leader, ":") {
		s.Errorf("the leader is %q", leader)
	}
	s.do(http.MethodPost, "/v2/groups", `{"id": "/team", "apps": [`+plain("web", 1)+`], "dependencies": [], "groups": []}`).is(http.StatusCreated)
	s.settled()
	s.get("/v2/groups?embed=group.groups&embed=group.apps").is(http.StatusOK).has("groups.0.apps.0.id", `"/team/web"`)
	s.get("/v2/groups/team?embed=group.apps.counts").is(http.StatusOK)
	u := s.do(http.MethodPut, "/v2/groups/team?force=false", `{"id": "/team", "apps": [`+plain("web", 2)+`], "dependencies": [], "groups": null}`).is(http.StatusOK)
	if u.text("version") == "" || u.text("deploymentId") == "" {
		s.Errorf("an update of a group answers %s", u.body)
	}
	s.settled()
	s.awaitTasks("/team/web", 2)
	s.do(http.MethodDelete, "/v2/groups/team?force=true", "").is(http.StatusOK)
	s.settled()
	id := s.ok(http.MethodPost, "/v2/apps", plain("/big", 1, tooBig)).header.Get("Marathon-Deployment-Id")
	d := s.get("/v2/deployments").is(http.StatusOK).has("0.id", fmt.Sprintf("%q", id))
	if d.count("0.steps.0.actions") != 1 || d.count("0.currentActions") < 0 || d.text("0.version") == "" {
		s.Errorf("a deployment is %s", d.body)
	}
	q := s.await("the queue", "/v2/queue", func(a reply) bool { return a.count("queue") == 1 })
	q.has("queue.0.delay.overdue", "true").has("queue.0.app.id", `"/big"`)
	s.do(http.MethodDelete, "/v2/queue/big/delay", "").is(http.StatusNoContent)
	s.do(http.MethodDelete, "/v2/deployments/"+id+"?force=true", "").is(http.StatusAccepted)
}

// clients.md §3: Prometheus makes a target of each port of each task.
func clientPrometheus(s *session) {
	s.runs(bridged("/box", 2, `"labels": {"team": "db"}`))
	s.runs(plain("/host", 1, `"portDefinitions": [{"port": 31777, "labels": {"metrics": "x"}}], "requirePorts": true`))
	a := s.get("/v2/apps/?embed=apps.tasks").is(http.StatusOK)
	s.noNulls(a)
	var list struct {
		Apps []struct {
			ID    string
			Tasks []struct {
				ID, Host    string
				Ports       []uint32
				IPAddresses []struct{ IPAddress, Protocol string }
			}
			TasksRunning int
			Labels       map[string]string
			Container    struct {
				Docker struct {
					Image        string
					PortMappings []struct{}
				}
				PortMappings []struct {
					Labels                               map[string]string
					ContainerPort, HostPort, ServicePort uint32
				}
			}
			PortDefinitions []struct {
				Labels map[string]string
				Port   uint32
			}
			Networks     []struct{ Name, Mode string }
			RequirePorts bool
		}
	}
	a.decode(&list)
	box, host := list.Apps[0], list.Apps[1]
	if box.TasksRunning != 2 || len(box.Tasks) != 2 || box.Container.Docker.Image != "x:1" || box.Labels["team"] != "db" ||
		len(box.Container.Docker.PortMappings) != 0 || box.Container.PortMappings[1].Labels["metrics"] != "patroni" {
		s.Errorf("Prometheus sees %+v", box)
	}
	for _, task := range box.Tasks {
		if len(task.Ports) != len(box.Container.PortMappings) || slices.Contains(task.Ports, 0) || task.Host == "" {
			s.Errorf("Prometheus sees the task %+v", task)
		}
	}
	if !host.RequirePorts || host.PortDefinitions[0].Port != 31777 || host.Tasks[0].Ports[0] != 31777 || host.Networks[0].Mode != "host" {
		s.Errorf("Prometheus sees %+v", host)
	}
}

// clients.md §4 and §6: traefik and marathon-consul read the same list with other words.
func clientTraefikAndConsul(s *session) {
	s.runs(bridged("/shop/box", 1, `"labels": {"consul": "", "traefik.enable": "true"}, "constraints": [["hostname", "UNIQUE"]],
		"healthChecks": [{"protocol": "TCP", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 5, "timeoutSeconds": 1}],
		"readinessChecks": [{"portName": "rest", "intervalSeconds": 2, "timeoutSeconds": 1}]`))
	s.runs(plain("/other", 1))
	a := s.get("/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness").is(http.StatusOK)
	for path, want := range map[string]string{
		"apps.1.id": `"/shop/box"`, "apps.1.deployments": "[]", "apps.1.networks.0.mode": `"container/bridge"`, "apps.1.constraints": `[["hostname","UNIQUE"]]`,
		"apps.1.tasks.0.state": `"TASK_RUNNING"`, "apps.1.tasks.0.healthCheckResults.0.alive": "true", "apps.1.readinessChecks.0.name": `"readinessCheck"`,
		"apps.1.container.portMappings.1.name": `"rest"`, "apps.1.tasksRunning": "1",
	} {
		a.has(path, want)
	}
	if a.at("apps.1.readinessCheckResults") == nil || a.text("apps.1.tasks.0.startedAt") == "" {
		s.Errorf("traefik sees %v", a.at("apps.1"))
	}
	c := s.get("/v2/apps?embed=apps.tasks&label=consul").is(http.StatusOK).has("apps.0.id", `"/shop/box"`).has("apps.1", "null")
	s.get("/v2/apps//shop/box?embed=apps.tasks").is(http.StatusOK).has("app.tasks.0.id", s.encode(c.text("apps.0.tasks.0.id")))
	s.get("/v2/apps//shop/box/tasks").is(http.StatusOK).has("tasks.0.appId", `"/shop/box"`)
	next, end := s.listen("?event_type=status_update_event&event_type=health_status_changed_event")
	defer end()
	s.p.End(app.TaskID(c.text("apps.0.tasks.0.id")), app.TaskFailed, "out of luck")
	if data := s.until(next, "status_update_event"); data["taskStatus"] != "TASK_FAILED" || data["taskId"] != c.text("apps.0.tasks.0.id") {
		s.Errorf("status_update_event says %v", data)
	}
}

// clients.md §7: Marathon's user interface, what it polls, and what its buttons send.
func clientUserInterface(s *session) {
	s.runs(plain("/shop/web", 1))
	s.get("/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.deployments&embed=group.apps.counts&embed=group.apps.readiness").
		is(http.StatusOK).has("groups.0.apps.0.tasksRunning", "1").has("groups.0.apps.0.deployments", "[]").has("groups.0.apps.0.tasks", "null")
	for _, path := range []string{"/v2/queue", "/v2/deployments", "/v2/info", "/v2/plugins", "/v2/apps//shop/web/versions"} {
		s.get(path, "Accept: application/json, text/plain, */*").is(http.StatusOK)
	}
	a := s.get("/v2/apps//shop/web?embed=app.taskStats&embed=app.readiness").is(http.StatusOK)
	version, task := a.text("app.version"), a.text("app.tasks.0.id")
	s.get("/v2/apps//shop/web/versions/"+version).is(http.StatusOK).has("version", s.encode(version))
	s.p.Pass(1e9)
	s.do(http.MethodPut, "/v2/apps//shop/web", `{"instances": 0}`).is(http.StatusOK) // suspend
	s.settled()
	s.get("/v2/apps//shop/web").has("app.instances", "0").has("app.tasks", "[]")
	s.do(http.MethodPut, "/v2/apps//shop/web", `{"version": "`+version+`"}`).is(http.StatusOK)
	s.settled()
	now := s.awaitTasks("/shop/web", 1, app.TaskID(task))[0]
	s.do(http.MethodPost, "/v2/tasks/delete", fmt.Sprintf(`{"ids": [%q]}`, now)).is(http.StatusOK)
	s.awaitTasks("/shop/web", 1, now)
	s.ok(http.MethodPut, "/v2/apps//shop/web", `{"cpus": 5000}`)
	s.do(http.MethodPut, "/v2/apps//shop/web?force=false", `{"cpus": 0.1}`).is(http.StatusConflict) // it offers to force then
	d := s.get("/v2/deployments")
	for _, field := range []string{"affectedApps", "currentActions", "currentStep", "totalSteps", "version"} {
		if d.at("0."+field) == nil {
			s.Errorf("a deployment has no %s: %s", field, d.body)
		}
	}
	s.await("a waiting app", "/v2/queue", func(a reply) bool { return a.at("queue.0.delay.overdue") == true })
	s.do(http.MethodDelete, "/v2/queue//shop/web/delay", "").is(http.StatusNoContent)
	s.do(http.MethodDelete, "/v2/deployments/"+d.text("0.id"), "").is(http.StatusOK)
	s.settled()
	s.do(http.MethodDelete, "/v2/apps//shop/web?force=true", "").is(http.StatusOK)
	s.settled()
}

// clients.md §8: the command line of DC/OS, Python's client with its capital booleans, Jenkins, scripts.
func clientsInTheWild(s *session) {
	const python = "Accept: application/json"
	s.do(http.MethodPut, "/v2/apps/ci/web?force=true", plain("/ci/web", 2), "Content-Type: application/json; charset=UTF-8").is(http.StatusCreated) // Jenkins
	s.settled()
	tasks := s.tasks("/ci/web")
	s.get("/v2/apps?embed=apps.tasks&embed=apps.counts&embed=apps.deployments&embed=apps.readiness&embed=apps.lastTaskFailure&embed=apps.failures&embed=apps.taskStats", python).
		is(http.StatusOK).has("apps.0.tasksRunning", "2").has("apps.0.lastTaskFailure", "null")
	s.get("/v2/queue?embed=lastUnusedOffers", python).is(http.StatusOK).has("queue", "[]")
	s.do(http.MethodPost, "/v2/tasks/delete?scale=False&force=True", fmt.Sprintf(`{"ids": [%q]}`, tasks[0]), python).is(http.StatusOK).
		has("tasks.0.id", fmt.Sprintf("%q", tasks[0]))
	s.awaitTasks("/ci/web", 2, tasks[0])
	s.do(http.MethodPut, "/v2/apps/ci/web?force=False&minimal=True", `{"instances": 1}`, python).is(http.StatusOK)
	s.settled()
	s.do(http.MethodPut, "/v2/groups/ci?force=false", `{"scaleBy": 3.0}`).is(http.StatusOK) // dcos marathon group scale
	s.settled()
	s.get("/v2/apps/ci/web").has("app.instances", "3")
	s.do(http.MethodPatch, "/v2/apps/ci/web", `{"labels": {"DCOS_SERVICE_NAME": "web", "DCOS_SERVICE_SCHEME": "http"}}`).is(http.StatusOK)
	s.settled()
	s.do(http.MethodPost, "/v2/apps/ci/web/restart?force=false", "").is(http.StatusOK)
	s.settled()
	s.do(http.MethodDelete, "/v2/apps/ci/web/tasks?scale=true&host="+s.hosts("/ci/web")[0], "").is(http.StatusOK)
	s.settled()
	s.do(http.MethodPost, "/v2/eventSubscriptions?callbackUrl=http://127.0.0.1:1/x", "").is(http.StatusNotFound) // bamboo; removed in Marathon as well
	s.do(http.MethodDelete, "/v2/apps/ci/web?force=False", "").is(http.StatusOK)
	s.settled()
	s.get("/v2/groups/ci").is(http.StatusNotFound)
}
