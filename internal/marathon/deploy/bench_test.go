package deploy

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// fleetOf is a state in which everything runs as it should: apps with ten instances each, every tenth of them PostgreSQL.
func fleetOf(apps int) State {
	s := emptyState()
	for n := range apps {
		id := app.ID(fmt.Sprintf("/group%d/app%d", n%20, n))
		a := app.App{
			ID: id, Instances: 10, BackoffSeconds: 1, BackoffFactor: 1.15, MaxLaunchDelaySeconds: 300, Version: app.At(noon),
			VersionInfo:     app.VersionInfo{LastConfigChangeAt: app.At(noon), LastScalingAt: app.At(noon)},
			UpgradeStrategy: app.UpgradeStrategy{MinimumHealthCapacity: 1, MaximumOverCapacity: 1},
			HealthChecks:    []app.HealthCheck{{Protocol: app.ProtocolHTTP}},
		}
		if n%10 == 0 {
			a.Labels = app.Labels{"PGBATON_POSTGRES": "true"}
		}
		s.Apps[id] = a
		for k := range a.Instances {
			i := Staged(Instance{ID: app.InstanceID(fmt.Sprintf("%s.instance-%d", id.Safe(), k)), App: id, Host: fmt.Sprintf("node%d", (n+k)%500)}, a, noon)
			i = Observe(i, Report{State: app.TaskRunning}, noon.Add(time.Second))
			s.Instances = append(s.Instances, i)
			s.Health[i.ID] = Health{Healthy: true}
		}
	}
	return s
}

// BenchmarkNothingToDo is a plan for a fleet in which all is well: 10 000 instances of 1 000 apps.
func BenchmarkNothingToDo(b *testing.B) {
	for _, apps := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d_instances", apps*10), func(b *testing.B) {
			s, now := fleetOf(apps), noon.Add(time.Hour)
			for b.Loop() {
				if plan := Next(s, now); len(plan.Actions) > 0 || len(plan.Waits) > 0 {
					b.Fatal(printPlan(plan))
				}
			}
		})
	}
}

// BenchmarkScaleToNothing is a plan that stops 10 000 instances of one app.
func BenchmarkScaleToNothing(b *testing.B) {
	s, now := fleetOf(1000), noon.Add(time.Hour)
	const id = app.ID("/group1/app1")
	for n := range s.Instances {
		s.Instances[n].App, s.Instances[n].Postgres = id, false
	}
	a := s.Apps[id]
	a.Instances = 0
	s.Apps = map[app.ID]app.App{id: a}
	for b.Loop() {
		if plan := Next(s, now); len(plan.Actions) != 10000 {
			b.Fatalf("%d actions", len(plan.Actions))
		}
	}
}

// BenchmarkEverythingToDo is a plan for a new fleet of which nothing runs, in one deployment.
func BenchmarkEverythingToDo(b *testing.B) {
	s, now := fleetOf(1000), noon.Add(time.Hour)
	s.Instances = nil
	steps := Steps(app.Definitions{}, app.Definitions{Apps: s.Apps})
	s.Deployments = []app.Deployment{{ID: "d", Version: app.At(noon), Steps: steps, AffectedApps: Affected(steps), CurrentStep: 2}}
	for b.Loop() {
		if plan := Next(s, now); len(plan.Actions) < 10000 {
			b.Fatalf("%d actions", len(plan.Actions))
		}
	}
}
