package acceptance

import (
	"fmt"
	"net/http"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// api.md §2.4: what waits, since when, and the funnel of reasons.
func queueSaysWhy(s *session) {
	s.get("/v2/queue").is(http.StatusOK).has("queue", "[]")
	s.ok(http.MethodPost, "/v2/apps", plain("/web", 2, tooBig))
	a := s.await("an app in the queue whose offers were looked at", "/v2/queue?embed=lastUnusedOffers", func(a reply) bool {
		return a.number("queue.0.processedOffersSummary.processedOffersCount") > 0
	})
	a.has("queue.0.app.id", `"/web"`).has("queue.0.count", "2").has("queue.0.delay", `{"overdue":true,"timeLeftSeconds":0}`)
	if a.text("queue.0.since") == "" || a.number("queue.0.processedOffersSummary.unusedOffersCount") <= 0 {
		s.Errorf("the queue says %s", a.body)
	}
	for n, reason := range app.RejectReasons() {
		for _, list := range []string{"rejectSummaryLastOffers", "rejectSummaryLaunchAttempt"} {
			a.has(fmt.Sprintf("queue.0.processedOffersSummary.%s.%d.reason", list, n), fmt.Sprintf("%q", reason))
		}
		if reason == app.InsufficientCPUs && a.number(fmt.Sprintf("queue.0.processedOffersSummary.rejectSummaryLastOffers.%d.declined", n)) < 1 {
			s.Errorf("no offer was declined for its cpus: %s", a.body)
		}
	}
	a.has("queue.0.lastUnusedOffers.0.reason.0", `"InsufficientCpus"`)
	if a.text("queue.0.lastUnusedOffers.0.offer.hostname") == "" {
		s.Errorf("unused offers say no hostname: %s", a.body)
	}
	if s.get("/v2/queue").at("queue.0.lastUnusedOffers") != nil {
		s.Error("unused offers are there without being asked for")
	}
}

// api.md §2.4 and §3.6: tasks that end too soon wait longer and longer; DELETE of the delay ends the wait.
func queueDelay(s *session) {
	s.runs(plain("/web", 1, `"backoffSeconds": 120, "maxLaunchDelaySeconds": 3600`))
	old := s.tasks("/web")
	s.p.End(old[0], app.TaskFailed, "out of luck")
	a := s.await("a delayed app", "/v2/queue", func(a reply) bool { return a.count("queue") == 1 })
	a.has("queue.0.delay.overdue", "false")
	if left := a.number("queue.0.delay.timeLeftSeconds"); left <= 60 || left > 3600 {
		s.Errorf("timeLeftSeconds is %v", left)
	}
	if a := s.do(http.MethodDelete, "/v2/queue/web/delay", "").is(http.StatusNoContent); a.body != "" {
		s.Errorf("the body is %s", a.body)
	}
	s.await("a task at once", "/v2/apps/web", func(a reply) bool { return a.number("app.tasksRunning") == 1 })
}
