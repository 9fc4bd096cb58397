package app

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxLabelEnv is the longest name and value of a label that becomes a variable.
const maxLabelEnv = 512

// EnvEnforceRole is the variable that tells a task whether its group enforces its role. [App.TaskEnv], which knows no
// groups, says "false".
const EnvEnforceRole = "MARATHON_APP_ENFORCE_GROUP_ROLE"

var notEnvName = regexp.MustCompile(`[^A-Z0-9_]+`)

// TaskEnv is the environment of a task: what Marathon generates, overruled by the app's own variables. host
// is the name clients reach the task at, ports are its host ports, one for each of [App.Ports] (0 where that port is not
// published). Values are literal: nothing is expanded. Variables that refer to a secret are left out.
func (a App) TaskEnv(id TaskID, host string, ports []int) map[string]string {
	env := map[string]string{
		"MESOS_TASK_ID":              string(id),
		"MARATHON_APP_ID":            string(a.ID),
		"MARATHON_APP_VERSION":       a.Version.String(),
		"MARATHON_APP_RESOURCE_CPUS": decimal(a.CPUs),
		"MARATHON_APP_RESOURCE_MEM":  decimal(a.Mem),
		"MARATHON_APP_RESOURCE_DISK": decimal(a.Disk),
		"MARATHON_APP_RESOURCE_GPUS": strconv.Itoa(a.GPUs),
		EnvEnforceRole:               "false",
		"HOST":                       host,
	}
	if a.Container != nil && a.Container.Docker != nil {
		env["MARATHON_APP_DOCKER_IMAGE"] = a.Container.Docker.Image
	}
	labelEnv(env, a.Labels)
	portEnv(env, a.Ports(), ports)
	for name, v := range a.Env {
		if v.Secret == "" {
			env[name] = v.Text
		}
	}
	return env
}

// decimal writes whole numbers with one fraction digit, as Marathon does: "2.0".
func decimal(x float64) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func labelEnv(env map[string]string, labels Labels) {
	names := make([]string, 0, len(labels))
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if len(label) > maxLabelEnv || len(labels[label]) > maxLabelEnv {
			continue
		}
		name := envName(label)
		names = append(names, name)
		env["MARATHON_APP_LABEL_"+name] = labels[label]
	}
	env["MARATHON_APP_LABELS"] = strings.Join(names, " ")
}

func envName(s string) string { return notEnvName.ReplaceAllString(strings.ToUpper(s), "_") }

func portEnv(env map[string]string, ports []Port, assigned []int) {
	all := make([]string, 0, len(ports))
	for i, p := range ports {
		number := p.ContainerPort
		if i < len(assigned) && assigned[i] != 0 {
			number = assigned[i]
		}
		n := strconv.Itoa(number)
		all = append(all, n)
		env["PORT"+strconv.Itoa(i)] = n
		env["PORT_"+strconv.Itoa(cmp.Or(p.ContainerPort, number))] = n
		if p.Name != "" {
			env["PORT_"+envName(p.Name)] = n
		}
	}
	if len(all) > 0 {
		env["PORT"], env["PORTS"] = all[0], strings.Join(all, ",")
	}
}
