package acceptance

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Platform is a scheduler with machines below it, at least four with room for some small tasks each. It has nothing to run
// yet. Exactly one of the machines has GPUs, two of them; exactly one has something reserved for a role: a cpu and 512 MiB for
// the role "shop", beside what is nobody's. A task with the variable STUBBORN does not end before somebody ends it by force.
type Platform struct {
	// URL is the root of the API, and Client reaches it.
	URL    string
	Client *http.Client
	// Pass lets some time pass. Whatever has to happen in it has happened when it returns.
	Pass func(d time.Duration)
	// End ends a running task by itself, SetPassing decides whether it passes its health checks.
	End        func(task app.TaskID, state app.TaskState, message string)
	SetPassing func(task app.TaskID, passes bool)
	// SetHealthy is what the checks say once that run beside a task, and what they go on saying where nobody asks them again.
	SetHealthy func(task app.TaskID, healthy bool)
	// Given is the environment that a running task was started with.
	Given func(task app.TaskID) map[string]string
	// KeepSecret puts a secret where the scheduler looks for the source of that name.
	KeepSecret func(source, text string)
	// Lose takes a host off the network, Find brings it back.
	Lose, Find func(host string)
	// Leader is the instance that leads a PostgreSQL app, empty when none does.
	Leader func(id app.ID) app.InstanceID
}

// Run holds a platform to everything. enter makes one and calls test with it, perhaps in a bubble of virtual time, and ends
// it when test returns. Scenarios that are named by but are left out.
func Run(t *testing.T, enter func(t *testing.T, test func(*testing.T, Platform)), but ...string) {
	t.Helper()
	for _, s := range scenarios() {
		if slices.Contains(but, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			enter(t, func(t *testing.T, p Platform) { s.run(&session{T: t, p: p}) })
		})
	}
}

type scenario struct {
	name string
	run  func(*session)
}

// scenarios are all of them, in the order of the fact sheet.
func scenarios() []scenario {
	return []scenario{
		{"WorkedExample", workedExample},
		{"HeadersOnEveryAnswer", headersOnEveryAnswer},
		{"PathsAsClientsSendThem", pathsAsClientsSendThem},
		{"CompressedWhenAsked", compressedWhenAsked},
		{"ErrorsOfBodies", errorsOfBodies},
		{"ErrorsOfUnknownThings", errorsOfUnknownThings},
		{"AppsPostConflict", appsPostConflict},
		{"AppIsLockedByItsDeployment", appIsLockedByItsDeployment},
		{"ContentTypeDoesNotMatter", contentTypeDoesNotMatter},
		{"AppsCreateRunDelete", appsCreateRunDelete},
		{"AppsListFilters", appsListFilters},
		{"AppsEmbeds", appsEmbeds},
		{"AppsPutCreates", appsPutCreates},
		{"AppsPartialAndWholeUpdates", appsPartialAndWholeUpdates},
		{"AppsListsOfUpdates", appsListsOfUpdates},
		{"AppsPatchNeverCreates", appsPatchNeverCreates},
		{"AppsNullsAreAbsent", appsNullsAreAbsent},
		{"AppsScaleOrRestart", appsScaleOrRestart},
		{"AppsRestart", appsRestart},
		{"AppsVersionsAndRollback", appsVersionsAndRollback},
		{"AppsBelowAGroup", appsBelowAGroup},
		{"TasksLists", tasksLists},
		{"TasksAsText", tasksAsText},
		{"TasksKill", tasksKill},
		{"TasksKillAndScale", tasksKillAndScale},
		{"TasksKillAll", tasksKillAll},
		{"TasksKillListed", tasksKillListed},
		{"TasksKillThroughAMangledPath", tasksKillThroughAMangledPath},
		{"TaskFailureIsShown", taskFailureIsShown},
		{"HealthOfTasks", healthOfTasks},
		{"DeploymentsShape", deploymentsShape},
		{"DeploymentsRollback", deploymentsRollback},
		{"DeploymentsAbandoned", deploymentsAbandoned},
		{"DependenciesComeFirst", dependenciesComeFirst},
		{"QueueSaysWhy", queueSaysWhy},
		{"QueueDelay", queueDelay},
		{"InfoAndLeader", infoAndLeader},
		{"PingAndMetrics", pingAndMetrics},
		{"PluginsAndPods", pluginsAndPods},
		{"GroupsTree", groupsTree},
		{"GroupsCreateUpdateDelete", groupsCreateUpdateDelete},
		{"GroupsDryRunAndScale", groupsDryRunAndScale},
		{"GroupsVersions", groupsVersions},
		{"GroupsRefusals", groupsRefusals},
		{"GroupsEnforceTheirRole", groupsEnforceTheirRole},
		{"EventsNeedTheirAccept", eventsNeedTheirAccept},
		{"EventsOfALife", eventsOfALife},
		{"EventsFiltered", eventsFiltered},
		{"EventsCompressed", eventsCompressed},
		{"PostgresClusters", postgresClusters},
		{"PostgresSwitchover", postgresSwitchover},
		{"PostgresPause", postgresPause},
		{"PostgresLabelsRestartNothing", postgresLabelsRestartNothing},
		{"PostgresMajorIsRefused", postgresMajorIsRefused},
		{"PostgresStaysOne", postgresStaysOne},
		{"PostgresLeaderHandsOverFirst", postgresLeaderHandsOverFirst},
		{"PostgresDataOutlivesItsApp", postgresDataOutlivesItsApp},
		{"HostsAreDrained", hostsAreDrained},
		{"HostsAreLostAndFound", hostsAreLostAndFound},
		{"DeploymentsWaitForReadiness", deploymentsWaitForReadiness},
		{"DeploymentsAreLimited", deploymentsAreLimited},
		{"SecretsBecomeVariables", secretsBecomeVariables},
		{"GPUsAreMatched", gpusAreMatched},
		{"ReservedForARole", reservedForARole},
		{"ChecksBesideTheTask", checksBesideTheTask},
		{"ChecksHaveDefaults", checksHaveDefaults},
		{"TasksHaveTheirGrace", tasksHaveTheirGrace},
		{"ChecksKillLate", checksKillLate},
		{"ReadinessIsShown", readinessIsShown},
		{"UpgradesKeepTheirBounds", upgradesKeepTheirBounds},
		{"UpgradesAreTold", upgradesAreTold},
		{"KillSelectionChooses", killSelectionChooses},
		{"UnreachableStrategies", unreachableStrategies},
		{"VolumesStayUntilWiped", volumesStayUntilWiped},
		{"VolumesAreFixed", volumesAreFixed},
		{"LocksOfAllKinds", locksOfAllKinds},
		{"ForcedDeploymentsAreTold", forcedDeploymentsAreTold},
		{"AppsListsAreWholeOrNothing", appsListsAreWholeOrNothing},
		{"AppsSentBack", appsSentBack},
		{"DependenciesOfGroups", dependenciesOfGroups},
		{"BackoffGrowsAndEnds", backoffGrowsAndEnds},
		{"StatisticsOfTasks", statisticsOfTasks},
		{"LabelSelectors", labelSelectors},
		{"DeploymentsAreNamed", deploymentsAreNamed},
		{"NothingDiffers", nothingDiffers},
		{"FinishedTasksWait", finishedTasksWait},
		{"ResidentsRestartInPlace", residentsRestartInPlace},
		{"ConstraintsPlace", constraintsPlace},
		{"ConstraintsRefused", constraintsRefused},
		{"EnvironmentOfTasks", environmentOfTasks},
		{"PortsAreAssigned", portsAreAssigned},
		{"IDsAndTimes", idsAndTimes},
		{"LegacyNetworking", legacyNetworking},
		{"DefinitionsRefused", definitionsRefused},
		{"TypesRefused", typesRefused},
		{"EventsOfHealth", eventsOfHealth},
		{"EventsOfPosts", eventsOfPosts},
		{"EventsOfStreams", eventsOfStreams},
		{"MetricsByName", metricsByName},
		{"ClientMarathonLB", clientMarathonLB},
		{"ClientBlueGreen", clientBlueGreen},
		{"ClientGoMarathonApps", clientGoMarathonApps},
		{"ClientGoMarathonRest", clientGoMarathonRest},
		{"ClientPrometheus", clientPrometheus},
		{"ClientTraefikAndConsul", clientTraefikAndConsul},
		{"ClientUserInterface", clientUserInterface},
		{"ClientsInTheWild", clientsInTheWild},
		{"ClientPython", clientPython},
	}
}
