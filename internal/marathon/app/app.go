package app

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// App is the definition of an app in canonical form: defaults filled in, ids absolute, networking in the words of
// Marathon 1.5 and later (networks, container.portMappings, portDefinitions). Its JSON is what Marathon answers; the
// documentation of Marathon 1.11 explains each field.
//
// Invariant of every App that passed [App.Validate]: Labels and Networks are not nil; on a host network PortDefinitions
// is not nil, on any other Container.PortMappings is not nil.
type App struct {
	ID                         ID                  `json:"id"`
	AcceptedResourceRoles      []string            `json:"acceptedResourceRoles,omitzero"`
	Args                       []string            `json:"args,omitempty"`
	BackoffFactor              float64             `json:"backoffFactor"`
	BackoffSeconds             int                 `json:"backoffSeconds"`
	Check                      *Check              `json:"check,omitempty"`
	Cmd                        string              `json:"cmd,omitempty"`
	Constraints                []Constraint        `json:"constraints,omitempty"`
	Container                  *Container          `json:"container,omitempty"`
	CPUs                       float64             `json:"cpus"`
	Dependencies               []ID                `json:"dependencies,omitempty"`
	Disk                       float64             `json:"disk"` // MiB of the sandbox, not a volume
	Env                        map[string]EnvValue `json:"env,omitempty"`
	Executor                   string              `json:"executor"`
	ExecutorResources          *ExecutorResources  `json:"executorResources,omitempty"`
	Fetch                      []Fetch             `json:"fetch,omitempty"`
	GPUs                       int                 `json:"gpus"`
	HealthChecks               []HealthCheck       `json:"healthChecks,omitempty"`
	Instances                  int                 `json:"instances"`
	KillSelection              KillSelection       `json:"killSelection"`
	Labels                     Labels              `json:"labels"`
	MaxLaunchDelaySeconds      int                 `json:"maxLaunchDelaySeconds"`
	Mem                        float64             `json:"mem"` // MiB
	Networks                   []Network           `json:"networks"`
	PortDefinitions            []PortDefinition    `json:"portDefinitions,omitzero"`
	ReadinessChecks            []ReadinessCheck    `json:"readinessChecks,omitempty"`
	RequirePorts               bool                `json:"requirePorts"`
	Residency                  *Residency          `json:"residency,omitempty"` // of apps with persistent volumes
	ResourceLimits             *ResourceLimits     `json:"resourceLimits,omitempty"`
	Role                       string              `json:"role"`
	Secrets                    map[string]Secret   `json:"secrets,omitempty"`
	TaskKillGracePeriodSeconds *int                `json:"taskKillGracePeriodSeconds,omitempty"`
	TTY                        *bool               `json:"tty,omitempty"`
	UnreachableStrategy        UnreachableStrategy `json:"unreachableStrategy"`
	UpgradeStrategy            UpgradeStrategy     `json:"upgradeStrategy"`
	User                       string              `json:"user,omitempty"`
	Version                    Timestamp           `json:"version,omitzero"`
	VersionInfo                VersionInfo         `json:"versionInfo,omitzero"`
}

// Clone is a copy that shares no memory with a.
func (a App) Clone() App {
	a.AcceptedResourceRoles = slices.Clone(a.AcceptedResourceRoles)
	a.Args = slices.Clone(a.Args)
	a.Check = a.Check.clone()
	a.Constraints = slices.Clone(a.Constraints)
	for i, c := range a.Constraints {
		a.Constraints[i].Value = clonePtr(c.Value)
	}
	a.Container = a.Container.clone()
	a.ExecutorResources, a.Residency, a.TTY = clonePtr(a.ExecutorResources), clonePtr(a.Residency), clonePtr(a.TTY)
	a.ResourceLimits = a.ResourceLimits.clone()
	a.Secrets = maps.Clone(a.Secrets)
	a.Dependencies = slices.Clone(a.Dependencies)
	a.Env = maps.Clone(a.Env)
	a.Fetch = slices.Clone(a.Fetch)
	a.HealthChecks = slices.Clone(a.HealthChecks)
	for i := range a.HealthChecks {
		a.HealthChecks[i] = a.HealthChecks[i].clone()
	}
	a.Labels = maps.Clone(a.Labels)
	a.Networks = slices.Clone(a.Networks)
	for i := range a.Networks {
		a.Networks[i].Labels = maps.Clone(a.Networks[i].Labels)
	}
	a.PortDefinitions = slices.Clone(a.PortDefinitions)
	for i := range a.PortDefinitions {
		a.PortDefinitions[i].Labels = maps.Clone(a.PortDefinitions[i].Labels)
	}
	a.ReadinessChecks = slices.Clone(a.ReadinessChecks)
	for i := range a.ReadinessChecks {
		a.ReadinessChecks[i].HTTPStatusCodesForReady = slices.Clone(a.ReadinessChecks[i].HTTPStatusCodesForReady)
	}
	a.TaskKillGracePeriodSeconds = clonePtr(a.TaskKillGracePeriodSeconds)
	return a
}

// Labels are free text pairs. Clients break on "labels":null, so nil is written as {}.
type Labels map[string]string

// MarshalJSON writes an object, also for nil.
func (l Labels) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("{}"), nil
	}
	return verbatim(map[string]string(l))
}

// EnvValue is one environment value: text, or the name of a secret (never both).
type EnvValue struct {
	Text   string
	Secret string
}

// MarshalJSON writes text as a string and a secret as {"secret":"name"}.
func (v EnvValue) MarshalJSON() ([]byte, error) {
	if v.Secret != "" {
		return verbatim(map[string]string{"secret": v.Secret})
	}
	return verbatim(v.Text)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *EnvValue) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		var ref struct {
			Secret string `json:"secret"`
		}
		err := json.Unmarshal(b, &ref)
		*v = EnvValue{Secret: ref.Secret}
		return err
	}
	*v = EnvValue{}
	return json.Unmarshal(b, &v.Text)
}

// Fetch is a file the task finds in its sandbox.
type Fetch struct {
	URI        string `json:"uri"`
	Extract    bool   `json:"extract"`
	Executable bool   `json:"executable"`
	Cache      bool   `json:"cache"`
	DestPath   string `json:"destPath,omitempty"`
}

// KillSelection says which instance a plain app loses first when it shrinks.
type KillSelection string

// The two kill selections.
const (
	YoungestFirst KillSelection = "YOUNGEST_FIRST"
	OldestFirst   KillSelection = "OLDEST_FIRST"
)

// UpgradeStrategy bounds a rolling replacement, each value between 0 and 1 of the instance count.
type UpgradeStrategy struct {
	MaximumOverCapacity   float64 `json:"maximumOverCapacity"`
	MinimumHealthCapacity float64 `json:"minimumHealthCapacity"`
}

// UnreachableStrategy says when a task on a lost host is replaced (inactive) and forgotten (expunged).
type UnreachableStrategy struct {
	Disabled             bool // never replaced, never forgotten; the numbers are 0
	InactiveAfterSeconds int
	ExpungeAfterSeconds  int
}

type unreachableJSON struct {
	InactiveAfterSeconds int `json:"inactiveAfterSeconds"`
	ExpungeAfterSeconds  int `json:"expungeAfterSeconds"`
}

// MarshalJSON writes the string "disabled" or the object.
func (u UnreachableStrategy) MarshalJSON() ([]byte, error) {
	if u.Disabled {
		return []byte(`"disabled"`), nil
	}
	return json.Marshal(unreachableJSON{u.InactiveAfterSeconds, u.ExpungeAfterSeconds})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (u *UnreachableStrategy) UnmarshalJSON(b []byte) error {
	if string(bytes.TrimSpace(b)) == `"disabled"` {
		*u = UnreachableStrategy{Disabled: true}
		return nil
	}
	var v unreachableJSON
	err := json.Unmarshal(b, &v)
	*u = UnreachableStrategy{InactiveAfterSeconds: v.InactiveAfterSeconds, ExpungeAfterSeconds: v.ExpungeAfterSeconds}
	return err
}

// VersionInfo dates the last scaling and the last change of anything else. A task whose version is older than
// LastConfigChangeAt runs an outdated configuration.
type VersionInfo struct {
	LastScalingAt      Timestamp `json:"lastScalingAt"`
	LastConfigChangeAt Timestamp `json:"lastConfigChangeAt"`
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
