package acceptance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// hosts are the hosts of an app's tasks, sorted, one entry for each task.
func (s *session) hosts(id string) []string {
	s.Helper()
	a := s.get("/v2/apps" + id + "/tasks").is(http.StatusOK)
	var hosts []string
	for n := range a.count("tasks") {
		hosts = append(hosts, a.text(fmt.Sprintf("tasks.%d.host", n)))
	}
	slices.Sort(hosts)
	return hosts
}

// api.md §3.4: what each of the seven operators makes of the names of hosts.
func constraintsPlace(s *session) {
	s.runs(plain("/all", 4, `"constraints": [["hostname", "UNIQUE"]]`))
	all := s.hosts("/all")
	if len(slices.Compact(slices.Clone(all))) != 4 {
		s.Fatalf("four unique instances run on %v", all)
	}
	one, other := all[1], all[2]
	distinct := func(id string) int { s.Helper(); return len(slices.Compact(s.hosts(id))) }
	for n, c := range []struct {
		constraints string
		instances   int
		holds       func(id string) bool
	}{
		{`["@hostname", "CLUSTER", "` + one + `"]`, 3, func(id string) bool { return slices.Equal(s.hosts(id), []string{one, one, one}) }},
		{`["hostname", "CLUSTER"]`, 3, func(id string) bool { return distinct(id) == 1 }},
		{`["hostname", "IS", "` + other + `"]`, 2, func(id string) bool { return slices.Equal(s.hosts(id), []string{other, other}) }},
		{`["hostname", "LIKE", "` + one + `|` + other + `"]`, 4, func(id string) bool {
			return !slices.ContainsFunc(s.hosts(id), func(h string) bool { return h != one && h != other })
		}},
		{`["hostname", "UNLIKE", "` + one + `"]`, 4, func(id string) bool { return !slices.Contains(s.hosts(id), one) }},
		{`["nothing", "UNLIKE", "x"]`, 1, func(string) bool { return true }}, // the only operator a missing attribute satisfies
		{`["hostname", "MAX_PER", "2"]`, 4, func(id string) bool {
			for h, n := range tally(s.hosts(id)) {
				if n > 2 {
					s.Errorf("%d instances on %s", n, h)
				}
			}
			return true
		}},
		{`["hostname", "GROUP_BY", "4"]`, 8, func(id string) bool { return distinct(id) == 4 && slices.Max(s.perHost(id)) == 2 }},
		{`{"field": "hostname", "operator": "UNIQUE"}`, 2, func(id string) bool { return distinct(id) == 2 }},
	} {
		id := fmt.Sprintf("/app%d", n)
		s.runs(plain(id, c.instances, `"constraints": [`+c.constraints+`]`))
		if !c.holds(id) {
			s.Errorf("%d instances with %s run on %v", c.instances, c.constraints, s.hosts(id))
		}
		s.ok(http.MethodDelete, "/v2/apps"+id, "")
		s.settled()
	}
	s.ok(http.MethodPost, "/v2/apps", plain("/five", 5, `"constraints": [["hostname", "UNIQUE"]]`))
	s.awaitTasks("/five", 4)
	a := s.await("the fifth in the queue", "/v2/queue", func(a reply) bool { return a.number("queue.0.count") == 1 })
	if s.declined(a, app.UnfulfilledConstraint) < 1 {
		s.Errorf("no offer was declined for the constraint: %s", a.body)
	}
}

func tally(names []string) map[string]int {
	count := map[string]int{}
	for _, n := range names {
		count[n]++
	}
	return count
}

// perHost are the numbers of an app's tasks on the hosts that have any.
func (s *session) perHost(id string) []int {
	s.Helper()
	var all []int
	for _, n := range tally(s.hosts(id)) {
		all = append(all, n)
	}
	return all
}

// api.md §3.4: constraints that are none, and the answers to them.
func constraintsRefused(s *session) {
	for c, want := range map[string]string{
		`["hostname"]`:                     "Each constraint must have either 2 or 3 fields",
		`["hostname", "UNIQUE", "x"]`:      "Value specified but not used",
		`["hostname", "NEAR"]`:             "Constraint operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS",
		`["hostname", "GROUP_BY", "many"]`: "Value was specified but is not a number",
		`["hostname", "MAX_PER"]`:          "Value was not specified or is not a number",
		`["hostname", "LIKE"]`:             "A regular expression value must be provided",
		`["hostname", "UNLIKE", "*"]`:      "'*' is not a valid regular expression",
		`["hostname", "IS"]`:               "Missing value",
		`["", "UNIQUE"]`:                   "Missing field and operator",
	} {
		s.do(http.MethodPost, "/v2/apps", plain("/x", 1, `"constraints": [["@zone", "GROUP_BY"], `+c+`]`)).is(http.StatusUnprocessableEntity).
			has("details.0", `{"errors":[`+s.encode(want)+`],"path":"/constraints(1)"}`)
	}
}

// api.md §3.8: what a task is told, and that nothing in it is expanded; the app's own variables win.
func environmentOfTasks(s *session) {
	s.runs(`{"id": "/shop/web", "cmd": "work", "cpus": 0.25, "mem": 64, "disk": 10, "labels": {"tier": "front", "a-b.c": "1"},
		"env": {"WHERE": "$HOST:$PORT0", "MARATHON_APP_RESOURCE_MEM": "mine"},
		"portDefinitions": [{"port": 10200, "name": "http-api"}, {"port": 0}]}`)
	a := s.get("/v2/apps/shop/web")
	task := s.tasks("/shop/web")[0]
	env := s.p.Given(task)
	p0, p1 := fmt.Sprint(a.number("app.tasks.0.ports.0")), fmt.Sprint(a.number("app.tasks.0.ports.1"))
	for name, want := range map[string]string{
		"MESOS_TASK_ID": string(task), "MARATHON_APP_ID": "/shop/web", "MARATHON_APP_VERSION": a.text("app.version"),
		"MARATHON_APP_RESOURCE_CPUS": "0.25", "MARATHON_APP_RESOURCE_DISK": "10.0", "MARATHON_APP_RESOURCE_GPUS": "0",
		"MARATHON_APP_RESOURCE_MEM": "mine", "MARATHON_APP_ENFORCE_GROUP_ROLE": "false", "MARATHON_APP_LABELS": "A_B_C TIER",
		"MARATHON_APP_LABEL_TIER": "front", "MARATHON_APP_LABEL_A_B_C": "1", "HOST": a.text("app.tasks.0.host"), "PORT": p0, "PORT0": p0,
		"PORT1": p1, "PORTS": p0 + "," + p1, "PORT_10200": p0, "PORT_HTTP_API": p0, "WHERE": "$HOST:$PORT0",
	} {
		if env[name] != want {
			s.Errorf("%s=%q, want %q", name, env[name], want)
		}
	}
	s.runs(plain("/box", 1, `"networks": [{"mode": "container/bridge"}], "container": {"docker": {"image": "x:1"},
		"portMappings": [{"containerPort": 5000, "name": "rpc"}]}`))
	env = s.p.Given(s.tasks("/box")[0])
	port := fmt.Sprint(s.get("/v2/apps/box").number("app.tasks.0.ports.0"))
	if env["MARATHON_APP_DOCKER_IMAGE"] != "x:1" || env["PORT_5000"] != port || env["PORT_RPC"] != port || env["PORT0"] != port {
		s.Errorf("a task in a container was given %v, its port is %s", env, port)
	}
}

// api.md §3.9: service ports are the lowest that are free and stay over updates; with requirePorts they are the host's.
func portsAreAssigned(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/a", 0, `"portDefinitions": [{"port": 10000}, {"port": 0}]`))
	s.get("/v2/apps/a").has("app.portDefinitions.1.port", "10001")
	s.ok(http.MethodPost, "/v2/apps", plain("/b", 0, `"networks": [{"mode": "container/bridge"}], "container": {"portMappings": [{"containerPort": 80}, {"containerPort": 81}]}`))
	s.get("/v2/apps/b").has("app.container.portMappings.0.servicePort", "10002").has("app.container.portMappings.1.servicePort", "10003")
	s.ok(http.MethodDelete, "/v2/apps/a", "")
	s.settled()
	s.ok(http.MethodPut, "/v2/apps/b", `{"container": {"portMappings": [{"containerPort": 80}, {"containerPort": 82}, {"containerPort": 83}]}}`)
	s.get("/v2/apps/b").has("app.container.portMappings.0.servicePort", "10002").has("app.container.portMappings.1.servicePort", "10003").
		has("app.container.portMappings.2.servicePort", "10000")
	s.ok(http.MethodPost, "/v2/apps", plain("/c", 0, `"portDefinitions": [{"port": 10002}]`)) // given twice is given twice
	s.get("/v2/apps/c").has("app.portDefinitions.0.port", "10002")
	s.runs(plain("/fixed", 1, `"portDefinitions": [{"port": 31500}], "requirePorts": true`))
	s.get("/v2/apps/fixed").has("app.tasks.0.ports", "[31500]").has("app.tasks.0.servicePorts", "[31500]")
	s.runs(plain("/mapped", 1, `"networks": [{"mode": "container/bridge"}], "container": {"docker": {"image": "x"}, "portMappings": [
		{"containerPort": 80, "hostPort": 31501, "servicePort": 10900}, {"containerPort": 81, "hostPort": 0}, {"containerPort": 0}]}`))
	a := s.get("/v2/apps/mapped").has("app.tasks.0.ports.0", "31501").has("app.tasks.0.servicePorts.0", "10900")
	if n := a.count("app.tasks.0.ports"); n != 3 || a.number("app.tasks.0.ports.1") <= 0 || a.number("app.tasks.0.ports.2") <= 0 {
		s.Errorf("three mappings have the ports %v", a.at("app.tasks.0.ports"))
	}
	s.ok(http.MethodPost, "/v2/apps", plain("/nowhere", 1, `"portDefinitions": [{"port": 999}], "requirePorts": true`))
	q := s.await("an app that waits for its port", "/v2/queue", func(a reply) bool {
		return a.number("queue.0.processedOffersSummary.processedOffersCount") > 0
	})
	if s.declined(q, app.InsufficientPorts) < 1 {
		s.Errorf("no offer was declined for its ports: %s", q.body)
	}
}

// api.md §3.10 and §1: the shapes of ids and times.
func idsAndTimes(s *session) {
	s.runs(plain("/shop/web", 1))
	task := string(s.tasks("/shop/web")[0])
	if !regexp.MustCompile(`^shop_web\.instance-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\._app\.1$`).MatchString(task) {
		s.Errorf("a task is called %s", task)
	}
	a := s.get("/v2/apps/shop/web")
	moment := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	for _, path := range []string{
		"app.version", "app.versionInfo.lastScalingAt", "app.versionInfo.lastConfigChangeAt", "app.tasks.0.stagedAt", "app.tasks.0.startedAt",
		"app.tasks.0.version",
	} {
		if !moment.MatchString(a.text(path)) {
			s.Errorf("%s is %q", path, a.text(path))
		}
	}
	a.has("app.tasks.0.version", `"`+a.text("app.version")+`"`)
	for _, id := range []string{"/a/tasks", "/a/versions", "/restart", "/a/.", "/a/..", "/a_b", "/-a", "/a-", "/ü", "/a b", "/"} {
		s.do(http.MethodPost, "/v2/apps", plain(id, 0)).is(http.StatusUnprocessableEntity).has("details.0.path", `"/id"`)
	}
	for _, id := range []string{"relative/app", "/a.b/c-d.e", "//doubled//slash", "/trailing/"} {
		s.do(http.MethodPost, "/v2/apps", plain(id, 0)).is(http.StatusCreated)
	}
	for _, id := range []string{"/relative/app", "/a.b/c-d.e", "/doubled/slash", "/trailing"} {
		s.get("/v2/apps"+id).is(http.StatusOK).has("app.id", s.encode(id))
	}
	location := s.do(http.MethodPut, "/v2/apps/put/here", `{"cmd": "x", "instances": 0}`).is(http.StatusCreated).header.Get("Location")
	if !strings.HasSuffix(location, "/put/here") {
		s.Errorf("Location is %q", location)
	}
}
