package acceptance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// known checks that an object has no members but those of a list.
func (s *session) known(what string, v any, names string) {
	s.Helper()
	object, is := v.(map[string]any)
	if !is {
		s.Errorf("%s is %v, want an object", what, v)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(strings.Fields(names), name) {
			s.Errorf("%s has the member %s, which Python's client refuses", what, name)
		}
	}
}

// Members that the classes of Python's client (marathon 0.13) take; it fails on every other one.
const (
	pythonApp = `acceptedResourceRoles args backoffFactor backoffSeconds cmd constraints container cpus dependencies deployments disk env
		executor healthChecks id role instances killSelection labels lastTaskFailure maxLaunchDelaySeconds mem ports requirePorts tasks
		tasksRunning tasksStaged tasksHealthy taskKillGracePeriodSeconds tasksUnhealthy upgradeStrategy unreachableStrategy uris user version
		versionInfo ipAddress fetch taskStats readinessChecks readinessCheckResults secrets portDefinitions residency gpus networks`
	pythonTask = `appId healthCheckResults host id ports servicePorts slaveId stagedAt startedAt version ipAddresses state localVolumes region
		zone role`
	pythonHealth     = `alive consecutiveFailures firstSuccess lastFailure lastSuccess taskId lastFailureCause instanceId`
	pythonFailure    = `appId host message taskId instanceId slaveId state timestamp version`
	pythonQueued     = `app overdue count delay since processedOffersSummary lastUnusedOffers`
	pythonDeployment = `affectedApps currentActions currentStep id steps totalSteps version affectedPods`
	pythonAction     = `action app apps type readinessCheckResults pod`
	pythonGroup      = `apps dependencies groups id pods version`
	pythonInfo       = `eventSubscriber frameworkId httpConfig http_config leader marathon_config name version elected zookeeper_config buildref`
	pythonConfig     = `checkpoint executor failover_timeout framework_name ha hostname leader_proxy_connection_timeout_ms
		leader_proxy_read_timeout_ms local_port_min local_port_max maintenance_mode master mesos_leader_ui_url mesos_role mesos_user
		new_group_enforce_role webui_url reconciliation_initial_delay reconciliation_interval task_launch_timeout marathon_store_timeout
		task_reservation_timeout features access_control_allow_origin decline_offer_duration default_network_name env_vars_prefix
		launch_token launch_token_refresh_interval max_instances_per_offer mesos_bridge_name min_revive_offers_interval`
)

// clients.md §8, Python's client: a class for each object, which fails on members that it does not know.
func clientPython(s *session) {
	next, end := s.listen("?event_type=deployment_info")
	defer end()
	s.runs(plain("/py/web", 1, `"healthChecks": [{"protocol": "HTTP", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 5, "timeoutSeconds": 1}]`))
	failed := s.tasks("/py/web")[0]
	plan, _ := s.until(next, "deployment_info")["plan"].(map[string]any)
	s.known("a plan", plan, "original target steps id version")
	if plan["original"] == nil || plan["target"] == nil || plan["steps"] == nil {
		s.Errorf("a plan that Python's client takes apart is %v", plan)
	}
	s.p.End(failed, app.TaskFailed, "out of luck")
	s.awaitTasks("/py/web", 1, failed)
	s.await("a healthy task after a failure", "/v2/apps/py/web", func(a reply) bool { return a.number("app.tasksHealthy") == 1 })
	a := s.get("/v2/apps?embed=apps.tasks&embed=apps.counts&embed=apps.deployments&embed=apps.readiness&embed=apps.lastTaskFailure&embed=apps.failures").is(http.StatusOK)
	s.known("an app in a list", a.at("apps.0"), pythonApp)
	one := s.get("/v2/apps/py/web")
	s.known("an app", one.at("app"), pythonApp)
	s.known("a task", one.at("app.tasks.0"), pythonTask)
	s.known("a result of a check", one.at("app.tasks.0.healthCheckResults.0"), pythonHealth)
	s.known("a failure", one.at("app.lastTaskFailure"), pythonFailure)
	s.known("a version", s.get("/v2/apps/py/web/versions/"+one.text("app.version")).at(""), pythonApp)
	s.known("what was posted", s.ok(http.MethodPost, "/v2/apps", plain("/py/big", 1, tooBig)).at(""), pythonApp)
	q := s.await("the queue", "/v2/queue?embed=lastUnusedOffers", func(a reply) bool { return a.count("queue.0.lastUnusedOffers") > 0 })
	s.known("what is queued", q.at("queue.0"), pythonQueued)
	s.known("a delay", q.at("queue.0.delay"), "timeLeftSeconds overdue")
	s.known("the app that is queued", q.at("queue.0.app"), pythonApp)
	d := s.get("/v2/deployments").is(http.StatusOK)
	s.known("a deployment", d.at("0"), pythonDeployment)
	s.known("an action", d.at("0.currentActions.0"), pythonAction)
	g := s.get("/v2/groups").is(http.StatusOK)
	s.known("the root", g.at(""), pythonGroup)
	s.known("a group at the top", g.at("groups.0"), pythonGroup)
	s.known("an app of a group", g.at("groups.0.apps.0"), pythonApp)
	info := s.get("/v2/info").is(http.StatusOK)
	s.known("info", info.at(""), pythonInfo)
	s.known("the configuration", info.at("marathon_config"), pythonConfig)
	s.do(http.MethodPut, "/v2/apps/py/big?force=True", `{"cpus": 0.1}`).is(http.StatusOK)
	s.settled()
	tasks := s.get("/v2/tasks", "Accept: application/json").is(http.StatusOK)
	for n := range tasks.count("tasks") {
		s.known("a task in a list", tasks.at(fmt.Sprintf("tasks.%d", n)), pythonTask)
	}
}
