package acceptance

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// api.md §3.1, env and secrets: a variable may be a secret, whose value is not in the definition; one that is not there is
// waited for, and the queue says so.
func secretsBecomeVariables(s *session) {
	const wants = `"env": {"PASSWORD": {"secret": "login"}, "PLAIN": "text"}, "secrets": {"login": {"source": "shop-login"}}`
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, wants))
	a := s.await("an app that waits for its secret", "/v2/queue", func(a reply) bool {
		return strings.Contains(a.text("queue.0.processedOffersSummary.why"), "shop-login")
	})
	a.has("queue.0.app.id", `"/web"`).has("queue.0.count", "1")
	s.p.KeepSecret("shop-login", "s3cret\n")
	env := s.p.Given(s.awaitTasks("/web", 1)[0])
	if env["PASSWORD"] != "s3cret" || env["PLAIN"] != "text" {
		s.Errorf("the task was given PASSWORD=%q and PLAIN=%q", env["PASSWORD"], env["PLAIN"])
	}
	for _, path := range []string{"/v2/apps/web", "/v2/apps?embed=apps.tasks", "/v2/groups", "/v2/queue?embed=lastUnusedOffers"} {
		if a := s.get(path); strings.Contains(a.body, "s3cret") {
			s.Errorf("%s shows the secret: %s", path, a.body)
		}
	}
	s.get("/v2/apps/web").has("app.env.PASSWORD", `{"secret":"login"}`).has("app.secrets.login.source", `"shop-login"`)
	s.do(http.MethodPut, "/v2/apps/web", `{"env": {"X": {"secret": "nobody"}}}`).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/env/X/secret"`)
}

// api.md §3.1, gpus: only hosts that have them, and no more than they have; never in a container of Docker's.
func gpusAreMatched(s *session) {
	s.do(http.MethodPost, "/v2/apps", plain("/docker", 1, `"gpus": 1, "container": {"type": "DOCKER", "docker": {"image": "x"}}`)).
		is(http.StatusUnprocessableEntity).has("details.0.errors.0", `"GPU resources only work with the Mesos containerizer"`)
	s.do(http.MethodPost, "/v2/apps", plain("/half", 1, `"gpus": 0.5`)).is(http.StatusUnprocessableEntity).has("details.0.path", `"/gpus"`)
	s.ok(http.MethodPost, "/v2/apps", plain("/learn", 3, `"gpus": 1`))
	s.awaitTasks("/learn", 2)
	a := s.await("the third one in the queue", "/v2/queue?embed=lastUnusedOffers", func(a reply) bool { return a.number("queue.0.count") == 1 })
	if declined := s.declined(a, app.InsufficientGPUs); declined < 1 {
		s.Errorf("no offer was declined for its gpus: %s", a.body)
	}
	tasks := s.get("/v2/apps/learn/tasks")
	if one, other := tasks.text("tasks.0.host"), tasks.text("tasks.1.host"); one == "" || one != other {
		s.Errorf("two tasks with a gpu each run on %q and %q", one, other)
	}
	if env := s.p.Given(s.tasks("/learn")[0]); env["MARATHON_APP_RESOURCE_GPUS"] != "1" {
		s.Errorf("the task was given MARATHON_APP_RESOURCE_GPUS=%q", env["MARATHON_APP_RESOURCE_GPUS"])
	}
}

// declined is how many of the last offers for the first app in the queue were declined for a reason.
func (s *session) declined(a reply, reason app.RejectReason) float64 {
	s.Helper()
	for n, r := range app.RejectReasons() {
		if r == reason {
			return a.number(fmt.Sprintf("queue.0.processedOffersSummary.rejectSummaryLastOffers.%d.declined", n))
		}
	}
	s.Fatalf("%s is no reason", reason)
	return 0
}

// api.md §3.1, role and acceptedResourceRoles: what is reserved for a role is for apps that accept it, and for no others.
func reservedForARole(s *session) {
	s.runs(plain("/shop/web", 1, `"role": "shop", "acceptedResourceRoles": ["shop"]`))
	a := s.get("/v2/apps/shop/web").has("app.role", `"shop"`).has("app.acceptedResourceRoles", `["shop"]`)
	host := a.text("app.tasks.0.host")
	s.runs(plain("/shop/both", 1, `"acceptedResourceRoles": ["*", "shop"]`))
	s.ok(http.MethodPost, "/v2/apps", `{"id": "/shop/more", "cmd": "work", "cpus": 0.9, "mem": 600, "acceptedResourceRoles": ["shop"]}`)
	a = s.await("an app whose role has no room", "/v2/queue", func(a reply) bool {
		return a.number("queue.0.processedOffersSummary.processedOffersCount") > 0
	})
	if s.declined(a, app.UnfulfilledRole) < 1 || s.declined(a, app.InsufficientMemory) != 1 {
		s.Errorf("%s reserves for the role, the others do not: %s", host, a.body)
	}
	s.do(http.MethodPost, "/v2/apps", plain("/web", 1, `"role": "shop"`)).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/role"`).has("details.0.errors.0", `"is not one of (*,web)"`)
	s.do(http.MethodPost, "/v2/apps", plain("/web", 1, `"acceptedResourceRoles": []`)).is(http.StatusUnprocessableEntity).
		has("details.0.path", `"/acceptedResourceRoles"`)
}
