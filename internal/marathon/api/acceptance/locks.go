package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// api.md §1, error table, and §2.1, the parameter force: everything that would start a second deployment of an app is refused,
// and forced. DELETE of an app forces unless it is told not to.
func locksOfAllKinds(s *session) {
	const locked = "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."
	d := s.ok(http.MethodPost, "/v2/apps", plain("/shop/web", 2, tooBig)).header.Get("Marathon-Deployment-Id")
	s.ok(http.MethodPost, "/v2/apps", plain("/shop/db", 0))
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPut, "/v2/apps/shop/web", `{"cpus": 0.2}`},
		{http.MethodPatch, "/v2/apps/shop/web", `{"cpus": 0.2}`},
		{http.MethodPut, "/v2/apps", `[{"id": "/shop/web", "cpus": 0.2}, {"id": "/shop/db", "cpus": 0.2}]`},
		{http.MethodPatch, "/v2/apps", `[{"id": "/shop/web", "cpus": 0.2}]`},
		{http.MethodPost, "/v2/apps/shop/web/restart", ``},
		{http.MethodDelete, "/v2/apps/shop/web?force=false", ``},
		{http.MethodPut, "/v2/groups/shop", `{"scaleBy": 2}`},
		{http.MethodPut, "/v2/groups/shop?force=false", `{"apps": []}`},
		{http.MethodDelete, "/v2/groups/shop", ``},
	} {
		a := s.do(c.method, c.path, c.body).is(http.StatusConflict).has("deployments", `[{"id":"`+d+`"}]`)
		a.says(locked)
	}
	s.get("/v2/apps/shop/db").has("app.cpus", "0.1")
	s.ok(http.MethodPut, "/v2/apps/shop/db", `{"cpus": 0.2}`) // what the deployment does not touch is free
	s.ok(http.MethodPost, "/v2/apps/shop/web/restart?force=true", "{}")
	s.ok(http.MethodPut, "/v2/groups/shop?force=true", `{"scaleBy": 2}`)
	s.get("/v2/apps/shop/web").has("app.instances", "4")
	if n := s.get("/v2/deployments").count(""); n != 1 {
		s.Errorf("%d deployments of one app, want 1", n)
	}
	s.ok(http.MethodDelete, "/v2/apps/shop/web", "")
	s.settled()
	s.get("/v2/apps/shop/web").is(http.StatusNotFound)
}

// api.md §2.3: a deployment that is forced aside has failed, and the stream says so.
func forcedDeploymentsAreTold(s *session) {
	next, end := s.listen("?event_type=deployment_failed&event_type=deployment_success&event_type=deployment_step_success&event_type=deployment_info")
	defer end()
	first := s.ok(http.MethodPost, "/v2/apps", plain("/web", 1, tooBig)).header.Get("Marathon-Deployment-Id")
	second := s.ok(http.MethodPut, "/v2/apps/web?force=true", `{"cpus": 0.1}`).text("deploymentId")
	if failed := s.until(next, "deployment_failed"); failed["id"] != first || failed["reason"] == "" {
		s.Errorf("deployment_failed says %v, want the id %s", failed, first)
	}
	step := s.until(next, "deployment_step_success")
	plan, _ := step["plan"].(map[string]any)
	if current, _ := step["currentStep"].(map[string]any); plan["id"] != second || current["actions"] == nil {
		s.Errorf("deployment_step_success says %v", step)
	}
	if done := s.until(next, "deployment_success"); done["id"] != second {
		s.Errorf("deployment_success says %v, want the id %s", done, second)
	}
}

// api.md §2.1, PUT of a list: one deployment of all or nothing; with partialUpdate=false each definition is whole.
func appsListsAreWholeOrNothing(s *session) {
	s.runs(plain("/web", 0, `"labels": {"a": "1"}`))
	s.do(http.MethodPut, "/v2/apps", `[{"instances": 1}]`).is(http.StatusBadRequest).has("details.0.path", `"(0)/id"`)
	s.do(http.MethodPut, "/v2/apps", `{"id": "/web"}`).is(http.StatusBadRequest).says("Invalid JSON")
	s.do(http.MethodPut, "/v2/apps", `[{"id": "/web", "mem": 17}, {"id": "/bad", "cmd": "x", "cpus": -1}]`).is(http.StatusUnprocessableEntity)
	s.get("/v2/apps/web").has("app.mem", "16")
	s.ok(http.MethodPut, "/v2/apps?partialUpdate=true", `[{"id": "/web", "mem": 17}]`)
	s.get("/v2/apps/web").has("app.mem", "17").has("app.labels", `{"a":"1"}`)
	s.ok(http.MethodPut, "/v2/apps?partialUpdate=false", `[{"id": "/web", "cmd": "work", "instances": 0}, {"id": "/new", "cmd": "work", "instances": 0}]`)
	s.get("/v2/apps/web").has("app.mem", "128").has("app.labels", "{}")
	s.get("/v2/apps/new").is(http.StatusOK)
	s.do(http.MethodPut, "/v2/apps?partialUpdate=perhaps", `[]`).is(http.StatusBadRequest)
	s.do(http.MethodPatch, "/v2/apps", `[{"id": "/web", "labels": {"b": "2"}}, {"id": "/new", "labels": {"b": "2"}}]`).is(http.StatusOK)
	s.get("/v2/apps?label=b==2").has("apps.0.id", `"/new"`).has("apps.1.id", `"/web"`)
	if a := s.do(http.MethodPut, "/v2/apps", `[]`).is(http.StatusOK); a.text("deploymentId") == "" {
		s.Errorf("an update of nothing answers %s", a.body)
	}
}

// api.md §2.1, what an update means: resourceLimits and executorResources are overwritten even when absent; what was read can be
// sent back but for the version.
func appsSentBack(s *session) {
	s.runs(plain("/web", 1, `"resourceLimits": {"mem": "unlimited", "cpus": 2}, "executorResources": {"cpus": 0.1, "mem": 32, "disk": 10}`))
	a := s.get("/v2/apps/web").has("app.resourceLimits", `{"cpus":2,"mem":"unlimited"}`).has("app.executorResources.mem", "32")
	task := s.tasks("/web")[0]
	var read struct{ App map[string]any }
	a.decode(&read)
	s.do(http.MethodPut, "/v2/apps/web", s.encode(read.App)).is(http.StatusUnprocessableEntity).
		has("details.0", `{"errors":["The 'version' field may only be combined with the 'id' field."],"path":"/"}`)
	delete(read.App, "version")
	s.do(http.MethodPut, "/v2/apps/web", s.encode(read.App)).is(http.StatusOK)
	s.settled()
	if now := s.tasks("/web"); len(now) != 1 || now[0] != task {
		s.Errorf("what was read and sent back replaced %s by %v", task, now)
	}
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 1}`)
	s.get("/v2/apps/web").has("app.resourceLimits", "null").has("app.executorResources", "null")
	s.settled()
	s.do(http.MethodPut, "/v2/apps/web", `{"id": "/web", "version": "`+a.text("app.version")+`"}`).is(http.StatusOK)
	s.get("/v2/apps/web").has("app.resourceLimits", `{"cpus":2,"mem":"unlimited"}`)
}

// api.md §2.3 and §2.6: dependencies between groups order the apps in them, and DELETE goes with no order.
func dependenciesOfGroups(s *session) {
	s.ok(http.MethodPost, "/v2/groups", `{"id": "/shop", "groups": [
		{"id": "front", "dependencies": ["../back", "/shop/mid"], "apps": [`+plain("web", 1)+`]},
		{"id": "mid", "dependencies": ["/shop/back"], "apps": [`+plain("logic", 1)+`]},
		{"id": "back", "apps": [`+plain("db", 1)+`]}]}`)
	a := s.get("/v2/deployments").is(http.StatusOK).has("0.totalSteps", "4").has("0.affectedApps", `["/shop/back/db","/shop/front/web","/shop/mid/logic"]`)
	for n, id := range []string{"/shop/back/db", "/shop/mid/logic", "/shop/front/web"} {
		a.has(fmt.Sprintf("0.steps.%d.actions", n+1), `[{"action":"ScaleApplication","app":"`+id+`"}]`)
	}
	a.has("0.steps.0.actions", `[{"action":"StartApplication","app":"/shop/back/db"},{"action":"StartApplication","app":"/shop/front/web"},`+
		`{"action":"StartApplication","app":"/shop/mid/logic"}]`)
	s.settled()
	s.get("/v2/groups/shop/front").has("dependencies", `["/shop/back","/shop/mid"]`)
	first, last := s.started("/shop/back/db"), s.started("/shop/front/web")
	if first >= last {
		s.Errorf("what is depended on began at %s, what depends on it at %s", first, last)
	}
	s.do(http.MethodPut, "/v2/groups/shop/back", `{"dependencies": ["/shop/front"]}`).is(http.StatusUnprocessableEntity)
	s.ok(http.MethodDelete, "/v2/groups/shop", "")
	s.settled()
}

// started is when the first task of an app began to run.
func (s *session) started(id string) string {
	s.Helper()
	return s.get("/v2/apps" + id + "/tasks").text("tasks.0.startedAt")
}

// api.md §3.6: the delay grows with each failure up to its limit; a new configuration, a restart and DELETE of the delay end
// it, scaling does not.
func backoffGrowsAndEnds(s *session) {
	const backoff = `"backoffSeconds": 20, "backoffFactor": 2, "maxLaunchDelaySeconds": 3000`
	s.runs(plain("/web", 1, backoff))
	fails := func() float64 {
		s.Helper()
		task := s.awaitTasks("/web", 1)[0]
		s.p.End(task, "TASK_FAILED", "out of luck")
		a := s.await("a delayed app", "/v2/queue", func(a reply) bool { return a.count("queue") == 1 })
		return a.has("queue.0.delay.overdue", "false").number("queue.0.delay.timeLeftSeconds")
	}
	first := fails()
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 2}`)
	a := s.get("/v2/queue").is(http.StatusOK)
	if a.at("queue.0.delay.overdue") != false {
		s.Errorf("scaling ended the delay: %s", a.body)
	}
	s.ok(http.MethodPut, "/v2/apps/web?force=true", `{"instances": 1}`)
	second := fails()
	if first < 10 || first > 45 || second < first+5 {
		s.Errorf("the delays are %v s and %v s", first, second)
	}
	s.do(http.MethodDelete, "/v2/queue//web/delay", "").is(http.StatusNoContent)
	s.p.Pass(5 * time.Second)
	fails()
	s.ok(http.MethodPost, "/v2/apps/web/restart?force=true", "")
	s.soon("/web")
	fails()
	s.ok(http.MethodPut, "/v2/apps/web?force=true", `{"env": {"X": "1"}}`)
	s.soon("/web")
}

// soon waits for one running task for less than any delay lasts.
func (s *session) soon(id string) {
	s.Helper()
	for range 50 {
		if len(s.tasks(id)) == 1 {
			return
		}
		s.p.Pass(100 * time.Millisecond)
	}
	s.Errorf("nothing of %s runs after 5 s: %s", id, s.get("/v2/queue").body)
}

// api.md §2.1, embeds: counts by the age of the configuration and of the last scaling.
func statisticsOfTasks(s *session) {
	s.runs(plain("/web", 2))
	s.p.Pass(3 * time.Second)
	s.ok(http.MethodPut, "/v2/apps/web", `{"instances": 3}`)
	s.settled()
	a := s.get("/v2/apps?embed=apps.taskStats").is(http.StatusOK)
	for part, running := range map[string]int{"totalSummary": 3, "withLatestConfig": 3, "startedAfterLastScaling": 1} {
		a.has("apps.0.tasksStats."+part+".stats.counts", fmt.Sprintf(`{"healthy":0,"running":%d,"staged":0,"unhealthy":0}`, running))
	}
	a.has("apps.0.tasksStats.withOutdatedConfig", "null")
	if average, median := a.number("apps.0.tasksStats.totalSummary.stats.lifeTime.averageSeconds"),
		a.number("apps.0.tasksStats.totalSummary.stats.lifeTime.medianSeconds"); average <= 0 || median < average {
		s.Errorf("the tasks live for %v s on average, the median is %v s", average, median)
	}
	s.ok(http.MethodPut, "/v2/apps/web", `{"cpus": 5000}`)
	s.get("/v2/apps/web?embed=apps.taskStats").has("app.taskStats.withOutdatedConfig.stats.counts.running", "3").
		has("app.taskStats.withLatestConfig", "null")
}

// api.md §2.1, filters: operators of label selectors, spaces, escapes, and what is none.
func labelSelectors(s *session) {
	s.ok(http.MethodPost, "/v2/apps", plain("/a", 0, `"labels": {"tier": "front end", "x,y": "1", "n": "7"}`))
	s.ok(http.MethodPost, "/v2/apps", plain("/b", 0, `"labels": {"tier": "back", "n": "8"}`))
	s.ok(http.MethodPost, "/v2/apps", plain("/c", 0))
	for selector, want := range map[string]string{
		"tier": "/a /b", "tier==back": "/b", "tier == back": "/b", `tier==front\ end`: "/a", `x\,y`: "/a", "tier!=back": "/a",
		"n in (7, 8)": "/a /b", "n notin (8)": "/a", "tier,n==8": "/b", "nobody": "", "n in (7),tier==back": "",
	} {
		a := s.get("/v2/apps?label=" + strings.NewReplacer(" ", "%20", `\`, "%5C").Replace(selector)).is(http.StatusOK)
		var got []string
		for n := range a.count("apps") {
			got = append(got, a.text(fmt.Sprintf("apps.%d.id", n)))
		}
		if strings.Join(got, " ") != want {
			s.Errorf("label=%s finds %v, want %s", selector, got, want)
		}
	}
	for _, wrong := range []string{"a==", "==b", "a%20in%20()", "a%20in%20(b", "a,,b"} {
		if a := s.get("/v2/apps?label=" + wrong).is(http.StatusUnprocessableEntity); a.text("message") == "" {
			s.Errorf("label=%s is refused without a word: %s", wrong, a.body)
		}
	}
}

// api.md §1: whatever starts a deployment names it in a header, the same as in the body.
func deploymentsAreNamed(s *session) {
	s.runs(plain("/shop/web", 2))
	names := map[string]bool{}
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPut, "/v2/apps/shop/web", `{"mem": 17}`},
		{http.MethodPatch, "/v2/apps/shop/web", `{"mem": 18}`},
		{http.MethodPut, "/v2/apps", `[{"id": "/shop/web", "mem": 19}]`},
		{http.MethodPost, "/v2/apps/shop/web/restart", ``},
		{http.MethodDelete, "/v2/apps/shop/web/tasks?scale=true", ``},
		{http.MethodPut, "/v2/apps/shop/new", `{"cmd": "work", "instances": 0}`},
		{http.MethodPut, "/v2/groups/shop", `{"scaleBy": 3}`},
		{http.MethodPost, "/v2/groups/shop", `{"id": "sub", "apps": []}`},
		{http.MethodPatch, "/v2/groups/shop", `{"enforceRole": true}`},
		{http.MethodDelete, "/v2/groups/shop/sub", ``},
		{http.MethodDelete, "/v2/apps/shop/new", ``},
	} {
		a := s.ok(c.method, c.path, c.body)
		id := a.header.Get("Marathon-Deployment-Id")
		if id == "" || id != a.text("deploymentId") || a.text("version") == "" || names[id] {
			s.Errorf("%s: the header says %q, the body %s", a.request, id, a.body)
		}
		names[id] = true
		s.settled()
	}
}

// api.md §2.1: what changes nothing is answered like a change, and no task, version or deployment comes of it. Of versions the
// newest fifty are kept.
func nothingDiffers(s *session) {
	s.runs(plain("/web", 1))
	before, task := s.get("/v2/apps/web"), s.tasks("/web")[0]
	s.p.Pass(time.Second)
	if a := s.ok(http.MethodPut, "/v2/apps/web", plain("/web", 1)); a.text("deploymentId") == "" {
		s.Errorf("PUT answers %s", a.body)
	}
	s.get("/v2/deployments").has("", "[]")
	after := s.get("/v2/apps/web")
	if after.text("app.version") != before.text("app.version") || s.tasks("/web")[0] != task {
		s.Errorf("the version was %s and is %s, the task was %s and is %s", before.text("app.version"), after.text("app.version"), task, s.tasks("/web")[0])
	}
	s.ok(http.MethodPost, "/v2/apps", plain("/idle", 0))
	for n := range 55 {
		s.ok(http.MethodPut, "/v2/apps/idle?force=true", fmt.Sprintf(`{"mem": %d}`, 100+n))
	}
	s.p.Pass(time.Second)
	if n := s.get("/v2/apps/idle/versions").count("versions"); n < 50 || n > 51 {
		s.Errorf("%d versions are kept, want 50", n)
	}
	s.get("/v2/apps/idle/versions/"+s.get("/v2/apps/idle/versions").text("versions.49")).is(http.StatusOK).has("id", `"/idle"`)
}

// api.md §3.6: a task that finishes well is one that ended too soon, too; one that was killed is not.
func finishedTasksWait(s *session) {
	s.runs(plain("/web", 1, `"backoffSeconds": 60`))
	task := s.tasks("/web")[0]
	s.do(http.MethodDelete, "/v2/apps/web/tasks/"+string(task), "").is(http.StatusOK)
	s.awaitTasks("/web", 1, task)
	s.p.End(s.tasks("/web")[0], "TASK_FINISHED", "")
	a := s.await("a delayed app", "/v2/queue", func(a reply) bool { return a.count("queue") == 1 })
	if left := a.has("queue.0.delay.overdue", "false").number("queue.0.delay.timeLeftSeconds"); left < 30 || left > 120 {
		s.Errorf("timeLeftSeconds is %v", left)
	}
}
