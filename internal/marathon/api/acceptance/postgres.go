package acceptance

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// database is the definition of a PostgreSQL app.
func database(id string, instances int, more ...string) string {
	return "{" + strings.Join(append([]string{
		fmt.Sprintf(`"id": %q, "cpus": 0.1, "mem": 64, "instances": %d, "networks": [{"mode": "container/bridge"}], "constraints": [["hostname", "UNIQUE"]],
		"container": {"type": "DOCKER", "docker": {"image": "patroni:16"}, "portMappings": [{"containerPort": 5432}, {"containerPort": 8008}]}`, id, instances),
	}, more...), ", ") + "}"
}

// serves makes the database /pg and waits until one of its members leads and all run.
func (s *session) serves(instances int) reply {
	s.Helper()
	s.ok(http.MethodPost, "/v2/apps", database("/pg", instances))
	s.settled()
	return s.await("a leader", "/pg/v1/clusters/pg", func(a reply) bool { return a.status == http.StatusOK && a.text("leader") != "" })
}

// api.md §5, extensions: the members of a database, and the gate's verdict.
func postgresClusters(s *session) {
	a := s.serves(3)
	if n := a.count("members"); n != 3 {
		s.Errorf("the cluster has %d members, want 3: %s", n, a.body)
	}
	for n := range 3 {
		m := fmt.Sprintf("members.%d.", n)
		if a.text(m+"name") == "" || a.text(m+"role") == "" || a.text(m+"host") == "" || a.text(m+"instance") == "" || a.number(m+"timeline") < 1 {
			s.Errorf("member %d is %v", n, a.at(fmt.Sprintf("members.%d", n)))
		}
	}
	s.get("/pg/v1/clusters").is(http.StatusOK).has("clusters.0.app", `"/pg"`)
	s.get("/pg/v1/gate/pg").is(http.StatusOK).has("app", `"/pg"`).has("gate.open", "true")
	s.runs(plain("/web", 1))
	s.get("/pg/v1/clusters/web").is(http.StatusNotFound)
	s.get("/pg/v1/clusters/none").is(http.StatusNotFound).says("App '/none' does not exist")
	s.get("/pg/v1/clusters").has("clusters.1", "null")
	s.get("/pg/v1/volumes").is(http.StatusOK).has("stray", "[]")
	s.do(http.MethodPost, "/pg/v1/volumes/adopt", "").is(http.StatusUnprocessableEntity)
	s.do(http.MethodPost, "/pg/v1/volumes/adopt", `{"app": "/nothing"}`).is(http.StatusNotFound)
	s.get("/pg/v1/waits").is(http.StatusOK).has("waits", "[]")
}

// api.md §5, extensions: a switchover to a named member, and to one that is none.
func postgresSwitchover(s *session) {
	a := s.serves(3)
	leader := a.text("leader")
	var candidate string
	for n := range a.count("members") {
		if name := a.text(fmt.Sprintf("members.%d.name", n)); name != leader {
			candidate = name
		}
	}
	s.do(http.MethodPost, "/pg/v1/clusters/pg/switchover", `{"candidate": "`+candidate+`"}`).is(http.StatusOK)
	s.await("the new leader", "/pg/v1/clusters/pg", func(a reply) bool { return a.text("leader") == candidate })
	s.get("/pg/v1/clusters").has("clusters.0.leader", fmt.Sprintf("%q", candidate))
	s.do(http.MethodPost, "/pg/v1/clusters/pg/switchover", `{"candidate": "nobody"}`).is(http.StatusConflict)
	s.do(http.MethodPost, "/pg/v1/clusters/pg/switchover", `{"candidate": 5}`).is(http.StatusBadRequest)
	s.do(http.MethodPost, "/pg/v1/clusters/none/switchover", "").is(http.StatusNotFound)
	s.get("/pg/v1/clusters/pg/switchover").is(http.StatusNotFound)
}

// api.md §5, extensions: a cluster that is to be left alone, and not any more.
func postgresPause(s *session) {
	s.serves(3)
	s.do(http.MethodPost, "/pg/v1/clusters/pg/pause", "").is(http.StatusOK)
	s.await("the pause", "/pg/v1/clusters/pg", func(a reply) bool { return a.at("paused") == true })
	s.do(http.MethodDelete, "/pg/v1/clusters/pg/pause", "").is(http.StatusOK)
	s.await("its end", "/pg/v1/clusters/pg", func(a reply) bool { return a.at("paused") == false })
	s.do(http.MethodPost, "/pg/v1/clusters/none/pause", "").is(http.StatusNotFound)
}

// The issue, behaviour for PostgreSQL apps: labels and health checks restart nothing.
func postgresLabelsRestartNothing(s *session) {
	s.serves(3)
	old := s.awaitTasks("/pg", 3)
	s.ok(http.MethodPut, "/v2/apps/pg", `{"labels": {"owner": "somebody"}}`)
	s.settled()
	s.p.Pass(patience)
	if now := s.awaitTasks("/pg", 3); fmt.Sprint(now) != fmt.Sprint(old) {
		s.Errorf("a label replaced %v by %v", old, now)
	}
}

// The issue, behaviour for PostgreSQL apps: another major version is refused and explained, unless it is said to be meant.
func postgresMajorIsRefused(s *session) {
	s.serves(1)
	change := `{"container": {"type": "DOCKER", "docker": {"image": "patroni:17"}, "portMappings": [{"containerPort": 5432}, {"containerPort": 8008}]}%s}`
	a := s.do(http.MethodPut, "/v2/apps/pg", fmt.Sprintf(change, "")).is(http.StatusUnprocessableEntity)
	for _, word := range []string{"16", "17", app.MajorUpgradeLabel} {
		if !strings.Contains(a.text("message"), word) {
			s.Errorf("the message does not say %q: %s", word, a.body)
		}
	}
	s.get("/v2/apps/pg").has("app.container.docker.image", `"patroni:16"`)
	s.do(http.MethodPut, "/v2/apps/pg", fmt.Sprintf(change, `, "labels": {"`+app.MajorUpgradeLabel+`": "17"}`)).is(http.StatusOK)
}

// The issue, behaviour for PostgreSQL apps: a database does not become an ordinary app by what a definition leaves out.
func postgresStaysOne(s *session) {
	s.serves(3)
	old := s.awaitTasks("/pg", 3)
	const without = `"container": {"type": "DOCKER", "docker": {"image": "patroni:16"}, "portMappings": [{"containerPort": 5432}]}`
	for path, body := range map[string]string{
		"/v2/apps/pg":                     `{` + without + `}`,
		"/v2/apps/pg?partialUpdate=false": `{"cmd": "work"}`,
		"/v2/groups":                      `{"id": "/", "apps": [` + plain("pg", 3) + `]}`,
	} {
		a := s.do(http.MethodPut, path, body).is(http.StatusUnprocessableEntity)
		for _, word := range []string{"PostgreSQL", "8008", "PGBATON_PLAIN=true"} {
			if !strings.Contains(a.text("details.0.errors.0"), word) {
				s.Errorf("the answer does not say %q: %s", word, a.body)
			}
		}
	}
	s.p.Pass(patience)
	if now := s.awaitTasks("/pg", 3); fmt.Sprint(now) != fmt.Sprint(old) {
		s.Errorf("%v run, it was %v", now, old)
	}
	s.do(http.MethodPut, "/v2/apps/pg", `{`+without+`, "labels": {"PGBATON_POSTGRES": "true"}}`).is(http.StatusOK)
	s.ok(http.MethodDelete, "/v2/apps/pg", "")
	s.settled()
	s.do(http.MethodPost, "/v2/apps", plain("/pg", 0)).is(http.StatusUnprocessableEntity) // the volumes are still there
	s.ok(http.MethodPost, "/v2/apps", database("/pg", 0))
	s.settled()
	s.ok(http.MethodDelete, "/v2/apps/pg?wipe=true", "")
	s.settled()
	s.do(http.MethodPost, "/v2/apps", plain("/pg", 1)).is(http.StatusCreated)
}

// The issue, extensions: a drained host is left by what can leave it; the end of the drain is a request, too.
func hostsAreDrained(s *session) {
	s.runs(plain("/web", 1))
	host := s.get("/v2/tasks").text("tasks.0.host")
	s.do(http.MethodPost, "/pg/v1/hosts/"+host+"/drain", `{"cause": "a new kernel"}`).is(http.StatusOK).
		has("name", fmt.Sprintf("%q", host)).has("draining", `"a new kernel"`)
	s.await("a task elsewhere", "/v2/tasks", func(a reply) bool {
		return a.count("tasks") == 1 && a.text("tasks.0.host") != host && a.text("tasks.0.state") == string(app.TaskRunning)
	})
	s.do(http.MethodDelete, "/pg/v1/hosts/"+host+"/drain", "").is(http.StatusOK).has("draining", "null")
	s.do(http.MethodPost, "/pg/v1/hosts/nowhere/drain", "").is(http.StatusNotFound)
}

// leadsAs is the task of the member that leads.
func (s *session) leadsAs(a reply) app.TaskID {
	s.Helper()
	for n := range a.count("members") {
		if m := fmt.Sprintf("members.%d.", n); a.text(m+"name") == a.text("leader") {
			return app.TaskID(a.text(m + "task"))
		}
	}
	s.Fatalf("nobody leads: %s", a.body)
	return ""
}

// The issue, the disruption gate: a leader that somebody wants to end hands over first.
func postgresLeaderHandsOverFirst(s *session) {
	leader := s.leadsAs(s.serves(3))
	before := s.p.Leader("/pg")
	s.do(http.MethodDelete, "/v2/apps/pg/tasks/"+string(leader), "").is(http.StatusOK)
	s.await("another leader before the old one ends", "/v2/apps/pg", func(a reply) bool {
		handed := s.p.Leader("/pg") != before
		if !handed && !strings.Contains(a.body, string(leader)) {
			s.Fatal("the leader ended before it handed over")
		}
		return handed
	})
	s.awaitTasks("/pg", 3, leader)
}

// The issue, behaviour for PostgreSQL apps: DELETE keeps the data, and who comes back finds it; wipe destroys it.
func postgresDataOutlivesItsApp(s *session) {
	definition := database("/pg", 1, `"role": "pg"`)
	definition = strings.Replace(definition, `"portMappings"`, `"volumes": [{"containerPath": "data", "mode": "RW",
		"persistent": {"size": 100}}], "portMappings"`, 1)
	s.runs(definition)
	before := s.get("/v2/apps/pg/tasks").text("tasks.0.localVolumes.0.persistenceId")
	if before == "" {
		s.Fatalf("the task has no volume: %s", s.get("/v2/apps/pg/tasks").body)
	}
	s.ok(http.MethodDelete, "/v2/apps/pg", "")
	s.settled()
	s.runs(definition)
	if after := s.get("/v2/apps/pg/tasks").text("tasks.0.localVolumes.0.persistenceId"); after != before {
		s.Errorf("the app came back on volume %q, it was %q", after, before)
	}
	s.ok(http.MethodDelete, "/v2/apps/pg?wipe=true", "")
	s.settled()
	s.p.Pass(patience)
	s.runs(definition)
	if after := s.get("/v2/apps/pg/tasks").text("tasks.0.localVolumes.0.persistenceId"); after == before {
		s.Errorf("after a wipe the app came back on volume %q", after)
	}
}
