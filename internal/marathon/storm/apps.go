package storm

import (
	"fmt"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// definitions are the apps of histories, by the last part of their id.
func definitions() map[string]string {
	return map[string]string{
		// The default strategy: all of it twice for a moment.
		"web": `{"cmd": "serve", "cpus": 0.1, "mem": 64, "portDefinitions": [{"port": 0}], "backoffFactor": 1.5}`,
		// One on each host, so that a replacement has to make room first.
		"spread": `{"cmd": "serve", "cpus": 0.1, "mem": 64, "constraints": [["hostname", "UNIQUE"]],
			"upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}}`,
		// Two in a zone, never fewer than three quarters, never more than a quarter in addition.
		"careful": `{"cmd": "serve", "cpus": 0.2, "mem": 128, "constraints": [["zone", "MAX_PER", "2"]],
			"upgradeStrategy": {"minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25},
			"unreachableStrategy": {"inactiveAfterSeconds": 20, "expungeAfterSeconds": 60}}`,
		// Each with a volume of its own.
		"resident": `{"cmd": "serve", "cpus": 0.2, "mem": 128, "container": {"type": "MESOS", "volumes":
			[{"containerPath": "data", "mode": "RW", "persistent": {"size": 100}}]},
			"upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}}`,
		// With a health check.
		"checked": `{"cmd": "serve", "cpus": 0.1, "mem": 64, "portDefinitions": [{"port": 0}], "healthChecks":
			[{"protocol": "HTTP", "path": "/", "portIndex": 0, "gracePeriodSeconds": 10, "intervalSeconds": 20, "timeoutSeconds": 5, "maxConsecutiveFailures": 2}],
			"upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5}}`,
		"pg": `{"cpus": 1, "mem": 1024, "container": {"type": "DOCKER", "docker": {"image": "patroni:latest"}, "portMappings":
			[{"containerPort": 5432, "hostPort": 0}, {"containerPort": 8008, "hostPort": 0}]},
			"networks": [{"mode": "container/bridge"}], "taskKillGracePeriodSeconds": 10}`,
	}
}

// define is the app of that name with a number of instances and a configuration.
func define(name string, instances, configuration int) (app.App, error) {
	text := strings.TrimPrefix(definitions()[name], "{")
	u, err := app.Parse(fmt.Appendf(nil, `{"instances": %d, "env": {"CONFIGURATION": "%d"}, %s`, instances, configuration, text))
	if err != nil {
		return app.App{}, err
	}
	a := u.New(id(name))
	return a, a.Validate()
}

// id is the app of a name.
func id(name string) app.ID { return app.ID("/storm/" + name) }

// limits is an app's constraint in a form of its own: at most so many instances with the same value. The zero value
// limits nothing. What holds is written down twice on purpose.
func limits(a app.ID) (zone bool, most int) {
	switch a {
	case id("spread"), id("pg"):
		return false, 1
	case id("careful"):
		return true, 2
	}
	return false, 0
}

// bounds are the fewest healthy and the most living instances while an app is replaced. Where both would be the same there
// may be one more, or one fewer where every instance has a volume.
func bounds(a app.ID, want int) (fewest, most int) {
	fewest, most = want, 2*want
	switch a {
	case id("spread"):
		fewest, most = half(want), want
	case id("resident"):
		return min(half(want), max(want-1, 0)), want
	case id("careful"):
		fewest, most = want-want/4, want+want/4
	case id("checked"):
		most = want + want/2
	}
	if fewest == most {
		most++
	}
	return fewest, most
}

// half is the larger half.
func half(n int) int { return (n + 1) / 2 }
