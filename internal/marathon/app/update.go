package app

import "fmt"

// Update is a definition as a client sent it: the fields that were there, in canonical form. It makes a new app
// ([Update.New]) or changes one ([Update.Apply]).
type Update struct {
	fields  map[string]any // a JSON object that readFields has found no fault with
	given   int            // how many of its members readFields knows
	id      ID
	version Timestamp
}

// Parse reads one definition, whole or partial. Unknown fields are ignored, null counts as absent, legacy networking
// is translated. The error is a [*SyntaxError], a [*TypeError] or an [*InvalidError].
func Parse(data []byte) (Update, error) {
	tree, err := parseTree(data)
	if err != nil {
		return Update{}, err
	}
	f := &faults{}
	u := readUpdate(f, "", tree)
	return u, f.err()
}

// ParseList reads a list of definitions that all name their app.
func ParseList(data []byte) ([]Update, error) {
	tree, err := parseTree(data)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	items, ok := tree.([]any)
	if !ok {
		f.wrongType("/", msgWantList)
		return nil, f.err()
	}
	updates := make([]Update, 0, len(items))
	for i, item := range items {
		path := fmt.Sprintf("(%d)", i)
		u := readUpdate(f, path, item)
		if !u.Has("id") {
			f.wrongType(path+"/id", msgMissing)
		}
		updates = append(updates, u)
	}
	return updates, f.err()
}

// MissingID is the error for a definition that must name its app and does not.
func MissingID() error {
	return &TypeError{Details: []Detail{{Path: "/id", Errors: []string{msgMissing}}}}
}

// ID is the app the definition names, absolute.
func (u Update) ID() (ID, bool) { return u.id, u.id != "" }

// Rollback is the version an update asks to go back to; false when it asks for something else. It is an
// [*InvalidError] when it gives a version and other fields: clients that change an app they have read must leave the
// version out. New apps ignore the version.
func (u Update) Rollback() (Timestamp, bool, error) {
	if u.version != 0 && u.given > 0 {
		return 0, false, &InvalidError{Details: []Detail{{Path: "/", Errors: []string{msgVersionAlone}}}}
	}
	return u.version, u.version != 0, nil
}

// Has reports whether the definition gives a field, by its canonical name.
func (u Update) Has(field string) bool { return u.fields[field] != nil }

// New is the app the definition describes, every field it does not give at its default. It is not validated and has no
// version yet.
func (u Update) New(id ID) App { return u.NewAs(id, DefaultRole) }

// NewAs is New for an app whose role is that one unless it names another.
func (u Update) NewAs(id ID, role string) App {
	a := defaults()
	a.ID, a.Role = id, role
	readFields(u.object(), &a)
	if !u.Has("acceptedResourceRoles") && a.Role != DefaultRole {
		a.AcceptedResourceRoles = []string{DefaultRole, a.Role}
	}
	if !u.Has("upgradeStrategy") {
		a.UpgradeStrategy = a.defaultUpgrade()
	}
	if a.persistent() && !u.Has("unreachableStrategy") {
		a.UnreachableStrategy = UnreachableStrategy{Disabled: true}
	}
	complete(&a)
	return a
}

// Apply is old with every field the definition gives replaced as a whole. It is not validated and keeps the version.
//
// As in Marathon executorResources and resourceLimits are replaced also where the update does not give them; but not those of
// a PostgreSQL app, which would be restarted for it whenever somebody scales it.
func (u Update) Apply(old App) App {
	a := old.Clone()
	if !old.IsPostgres() {
		a.ExecutorResources, a.ResourceLimits = nil, nil
	}
	readFields(u.object(), &a)
	if !a.HostNetwork() && !u.Has("portDefinitions") {
		a.PortDefinitions = nil // of the host network the app has left
	}
	complete(&a)
	return a
}

// defaultUpgrade is the upgrade strategy of an app that says nothing about it.
func (a App) defaultUpgrade() UpgradeStrategy {
	switch {
	case a.singleInstance():
		return UpgradeStrategy{}
	case a.bound():
		return UpgradeStrategy{MaximumOverCapacity: 0, MinimumHealthCapacity: 0.5}
	}
	return UpgradeStrategy{MaximumOverCapacity: 1, MinimumHealthCapacity: 1}
}

// singleInstance reports whether the app says that two instances must never run at once.
func (a App) singleInstance() bool { return a.Labels["MARATHON_SINGLE_INSTANCE_APP"] == "true" }

func (u Update) object() object { return object{faults: &faults{}, fields: u.fields} }

func readUpdate(f *faults, path string, v any) Update {
	o, ok := f.object(path, v)
	if !ok {
		return Update{}
	}
	u := Update{fields: o.fields}
	read(o, "id", asID, &u.id)
	read(o, "version", asTimestamp, &u.version)
	translateLegacy(o)
	before := f.given
	readFields(o, &App{})
	u.given = f.given - before
	return u
}

// readFields overwrites the fields of a that o gives.
func readFields(o object, a *App) {
	read(o, "acceptedResourceRoles", listOf(asString), &a.AcceptedResourceRoles)
	read(o, "args", listOf(asString), &a.Args)
	read(o, "backoffFactor", asFloat, &a.BackoffFactor)
	read(o, "backoffSeconds", asInt, &a.BackoffSeconds)
	read(o, "check", pointerTo(asCheck), &a.Check)
	read(o, "cmd", asString, &a.Cmd)
	read(o, "constraints", listOf(asConstraint), &a.Constraints)
	read(o, "container", asContainer, &a.Container)
	read(o, "cpus", asFloat, &a.CPUs)
	read(o, "dependencies", listOf(asReference), &a.Dependencies)
	read(o, "disk", asFloat, &a.Disk)
	read(o, "env", asEnv, &a.Env)
	read(o, "executor", asString, &a.Executor)
	read(o, "executorResources", pointerTo(asExecutorResources), &a.ExecutorResources)
	read(o, "fetch", listOf(asFetch), &a.Fetch)
	read(o, "gpus", asInt, &a.GPUs)
	read(o, "healthChecks", listOf(asHealthCheck), &a.HealthChecks)
	read(o, "instances", asInt, &a.Instances)
	read(o, "killSelection", oneOf(YoungestFirst, OldestFirst), &a.KillSelection)
	read(o, "labels", asLabels, &a.Labels)
	read(o, "maxLaunchDelaySeconds", asInt, &a.MaxLaunchDelaySeconds)
	read(o, "mem", asFloat, &a.Mem)
	read(o, "networks", listOf(asNetwork), &a.Networks)
	read(o, "portDefinitions", listOf(asPortDefinition), &a.PortDefinitions)
	read(o, "readinessChecks", listOf(asReadinessCheck), &a.ReadinessChecks)
	read(o, "requirePorts", asBool, &a.RequirePorts)
	read(o, "residency", pointerTo(asResidency), &a.Residency)
	read(o, "resourceLimits", pointerTo(asResourceLimits), &a.ResourceLimits)
	read(o, "role", asString, &a.Role)
	read(o, "secrets", mapOf(asSecret), &a.Secrets)
	read(o, "taskKillGracePeriodSeconds", pointerTo(asInt), &a.TaskKillGracePeriodSeconds)
	read(o, "tty", pointerTo(asBool), &a.TTY)
	read(o, "unreachableStrategy", asUnreachableStrategy, &a.UnreachableStrategy)
	read(o, "upgradeStrategy", asUpgradeStrategy, &a.UpgradeStrategy)
	read(o, "user", asString, &a.User)
}

// defaults is the app that an empty definition describes, before what depends on
// its fields.
func defaults() App {
	return App{
		AcceptedResourceRoles: []string{DefaultRole},
		BackoffFactor:         1.15,
		BackoffSeconds:        1,
		CPUs:                  1,
		Instances:             1,
		KillSelection:         YoungestFirst,
		Labels:                Labels{},
		MaxLaunchDelaySeconds: 300,
		Mem:                   128,
		Role:                  DefaultRole,
	}
}

// DefaultRole is the role of resources nobody has reserved, and of apps that name none.
const DefaultRole = "*"
