package app

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Validate reports everything that makes a canonical definition impossible, as an [*InvalidError] in Marathon's words;
// nil when it can be.
func (a App) Validate() error {
	v := &validator{}
	v.command(a)
	v.amounts(a)
	v.strategies(a)
	v.environment(a)
	v.secrets(a)
	v.limits(a)
	v.generalCheck(a)
	v.networks(a)
	v.container(a)
	v.portDefinitions(a.PortDefinitions)
	v.healthChecks(a)
	v.readinessChecks(a)
	for i, c := range a.Constraints {
		v.constraint(fmt.Sprintf("/constraints(%d)", i), c)
	}
	for i, f := range a.Fetch {
		path := fmt.Sprintf("/fetch(%d)/uri", i)
		v.filled(path, f.URI)
		_, err := url.Parse(f.URI)
		v.check(err == nil, path, msgURI)
	}
	v.check(len(a.AcceptedResourceRoles) > 0, "/acceptedResourceRoles", msgEmpty)
	if len(v.details) == 0 {
		return nil
	}
	return &InvalidError{Details: v.details}
}

type validator struct{ details []Detail }

// check notes text at path unless ok.
func (v *validator) check(ok bool, path, text string) {
	if !ok {
		v.details = note(v.details, path, text)
	}
}

func (v *validator) filled(path, value string) { v.check(value != "", path, msgEmpty) }

// within notes a value outside its bounds, in the words of Marathon's "is greater than 1".
func within[T cmp.Ordered](v *validator, path string, value, low, high T) {
	v.check(value >= low, path, fmt.Sprintf("is less than %v", low))
	v.check(value <= high, path, fmt.Sprintf("is greater than %v", high))
}

func atLeast[T cmp.Ordered](v *validator, path string, value, low T) {
	v.check(value >= low, path, fmt.Sprintf("is less than %v", low))
}

func (v *validator) command(a App) {
	image := a.Container != nil && a.Container.Docker != nil
	cmd, args := a.Cmd != "", len(a.Args) > 0
	v.check(cmd != args || (!cmd && image), "/", msgCommand)
}

// maxInstances bounds the instances of one app. No fleet has room for so many, and a scheduler that plans for two billion, because
// a finger slipped, has no memory left and meets the same definition whenever it starts again.
const maxInstances = 100_000

func (v *validator) amounts(a App) {
	within(v, "/instances", a.Instances, 0, maxInstances)
	atLeast(v, "/cpus", a.CPUs, 0)
	atLeast(v, "/mem", a.Mem, 0)
	atLeast(v, "/disk", a.Disk, 0)
	atLeast(v, "/gpus", a.GPUs, 0)
	atLeast(v, "/backoffFactor", a.BackoffFactor, 1)
	atLeast(v, "/backoffSeconds", a.BackoffSeconds, 0)
	atLeast(v, "/maxLaunchDelaySeconds", a.MaxLaunchDelaySeconds, 0)
	if a.TaskKillGracePeriodSeconds != nil {
		atLeast(v, "/taskKillGracePeriodSeconds", *a.TaskKillGracePeriodSeconds, 0)
	}
	if a.GPUs > 0 {
		docker := a.Container != nil && a.Container.Type == ContainerDocker
		v.check(!docker, "/", msgGPUContainer)
	}
}

func (v *validator) strategies(a App) {
	const over, healthy = "/upgradeStrategy/maximumOverCapacity", "/upgradeStrategy/minimumHealthCapacity"
	within(v, over, a.UpgradeStrategy.MaximumOverCapacity, 0, 1)
	within(v, healthy, a.UpgradeStrategy.MinimumHealthCapacity, 0, 1)
	if a.singleInstance() {
		v.check(a.Instances <= 1, "/", msgSingleInstance)
		v.zero(over, a.UpgradeStrategy.MaximumOverCapacity)
		v.zero(healthy, a.UpgradeStrategy.MinimumHealthCapacity)
	}
	if a.persistent() {
		v.zero(over, a.UpgradeStrategy.MaximumOverCapacity)
		v.check(a.UnreachableStrategy.Disabled, "/", msgUnreachable)
	}
	v.check(a.Residency == nil || a.persistent(), "/residency", msgResidency)
	if a.Residency != nil {
		atLeast(v, "/residency/relaunchEscalationTimeoutSeconds", a.Residency.RelaunchEscalationTimeoutSeconds, 0)
	}
	u := a.UnreachableStrategy
	atLeast(v, "/unreachableStrategy/inactiveAfterSeconds", u.InactiveAfterSeconds, 0)
	v.check(u.InactiveAfterSeconds <= u.ExpungeAfterSeconds, "/unreachableStrategy/inactiveAfterSeconds", msgInactive)
}

func (v *validator) zero(path string, value float64) {
	v.check(value == 0, path, fmt.Sprintf("got %v, expected 0.0", value))
}

// environment refuses what no process can be given. Names are not limited further: real definitions carry dots.
func (v *validator) environment(a App) {
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		path, value := "/env/"+name, a.Env[name]
		v.check(name != "" && !strings.ContainsAny(name, "=\x00"), path, msgEnvName)
		v.check(!strings.Contains(value.Text, "\x00"), path, msgEnvValue)
		v.secretRef(a, path+"/secret", value.Secret)
	}
}

func (v *validator) networks(a App) {
	count := map[NetworkMode]int{}
	names := map[string]bool{}
	for _, n := range a.Networks {
		count[n.Mode]++
		v.check(n.Mode != NetworkHost || (n.Name == "" && len(n.Labels) == 0), "/networks", msgHostNetworkName)
		v.check(n.Mode != NetworkBridge || n.Name == "", "/networks", msgBridgeNetworkName)
		v.check(n.Mode != NetworkContainer || n.Name != "", "/networks", msgNetworkName)
		v.check(n.Name == "" || !names[n.Name], "/networks", msgNetworkTwice)
		names[n.Name] = true
	}
	single := len(a.Networks) == 1 || count[NetworkContainer] == len(a.Networks)
	v.check(single, "/networks", msgNetworkMix)
	docker := a.Container != nil && a.Container.Type == ContainerDocker
	v.check(!docker || count[NetworkContainer] <= 1, "/", msgOneDockerNetwork)
}

func (v *validator) constraint(path string, c Constraint) {
	v.check(c.Field != "", path, msgConstraintField)
	switch c.Operator {
	case OperatorUnique:
		v.check(c.Value == nil, path, msgConstraintUnused)
	case OperatorCluster:
		// With a value or without.
	case OperatorGroupBy:
		v.check(c.Value == nil || isNumber(*c.Value), path, msgConstraintNumber)
	case OperatorMaxPer:
		v.check(c.Value != nil && isNumber(*c.Value), path, msgConstraintNeedsN)
	case OperatorLike, OperatorUnlike:
		v.pattern(path, c.Value)
	case OperatorIs:
		v.check(c.Value != nil, path, msgConstraintValue)
	default:
		v.check(false, path, msgConstraintOperator)
	}
}

func (v *validator) pattern(path string, value *string) {
	if value == nil {
		v.check(false, path, msgConstraintRegexp)
		return
	}
	_, err := regexp.Compile(*value)
	v.check(err == nil, path, "'"+*value+"' is not a valid regular expression")
}

func isNumber(s string) bool {
	_, err := strconv.ParseInt(s, 10, 32)
	return err == nil
}
