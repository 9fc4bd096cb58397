package guc

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Pair is one setting with its value.
type Pair struct{ Name, Value string }

// Endpoint is what a server is told about itself; it is never taken from configured parameters.
type Endpoint struct {
	ListenAddresses string
	Port            int
	ClusterName     string
}

// Plan is where each setting of a server goes.
type Plan struct {
	// Arguments go to the postmaster's command line, in the order that Patroni uses too.
	Arguments []Pair
	// File goes to the configuration file.
	File Settings
}

// Argument returns the value of one argument.
func (p Plan) Argument(name string) (string, bool) {
	i := slices.IndexFunc(p.Arguments, func(a Pair) bool { return a.Name == name })
	if i < 0 {
		return "", false
	}
	return p.Arguments[i].Value, true
}

// AtLeast raises arguments to the values a standby needs: those in force on the primary when it wrote
// the WAL that the standby must replay, as the control file tells. PostgreSQL refuses to start a hot
// standby with less ("Hot Standby: Administrator's Overview").
func (p Plan) AtLeast(needed map[string]int64) Plan {
	raised := Plan{Arguments: slices.Clone(p.Arguments), File: p.File}
	for i, a := range raised.Arguments {
		least, ok := needed[a.Name]
		if !ok {
			continue
		}
		if v, ok := ParseInteger(a.Value, ""); ok && v < least {
			raised.Arguments[i].Value = strconv.FormatInt(least, 10)
		}
	}
	return raised
}

// control is one controlled setting. accept returns the value as it is handed over, or false.
type control struct {
	name      string
	otherwise string
	accept    func(string) (string, bool)
}

// The greatest number of backends, workers or slots that PostgreSQL can count (MAX_BACKENDS).
const maxBackends = 262143

// controls is in the order of the command line.
var controls = []control{
	{"wal_level", "replica", walLevel},
	{"hot_standby", "on", func(s string) (string, bool) { v, ok := ParseBool(s); return "on", ok && v }},
	{"max_connections", "100", between(25, maxBackends)},
	{"max_wal_senders", "10", between(3, maxBackends)},
	{"max_prepared_transactions", "0", between(0, maxBackends)},
	{"max_locks_per_transaction", "64", between(32, 1<<31-1)},
	{"track_commit_timestamp", "off", onOff},
	{"max_replication_slots", "10", between(4, maxBackends)},
	{"max_worker_processes", "8", between(2, maxBackends)},
	{"wal_log_hints", "on", onOff},
}

func walLevel(s string) (string, bool) {
	switch strings.ToLower(s) {
	case "replica", "hot_standby":
		return "replica", true
	case "logical":
		return "logical", true
	}
	return "", false
}

func onOff(s string) (string, bool) {
	v, ok := ParseBool(s)
	if v {
		return "on", ok
	}
	return "off", ok
}

func between(least, most int64) func(string) (string, bool) {
	return func(s string) (string, bool) {
		n, ok := ParseInteger(s, "")
		return strconv.FormatInt(n, 10), ok && n >= least && n <= most
	}
}

// The settings that keep WAL for standbys: controlled, but reloadable and therefore in the file.
const (
	keepSegments = "wal_keep_segments" // before PostgreSQL 13
	keepSize     = "wal_keep_size"     // since PostgreSQL 13
)

// Controlled reports whether a setting belongs to the cluster: members take it from the dynamic
// configuration and ignore it in their own.
func Controlled(name string) bool {
	switch name = strings.ToLower(name); name {
	case "listen_addresses", "port", "cluster_name", keepSegments, keepSize:
		return true
	}
	return slices.ContainsFunc(controls, func(c control) bool { return c.name == name })
}

// Owned reports whether a setting says whom a server follows or where it lies; only the agent sets it.
func Owned(name string) bool {
	switch name = strings.ToLower(name); name {
	case "primary_conninfo", "primary_slot_name", "data_directory", "config_file":
		return true
	}
	return strings.HasPrefix(name, "recovery_target")
}

// Merge lays a member's own parameters over those of the cluster. Names are folded to lower case, as
// PostgreSQL compares them; controlled settings of the member are dropped.
func Merge(dynamic, local map[string]any) map[string]any {
	merged := map[string]any{}
	for name, v := range dynamic {
		merged[strings.ToLower(name)] = v
	}
	for name, v := range local {
		if !Controlled(name) {
			merged[strings.ToLower(name)] = v
		}
	}
	return merged
}

// Prepare says where each of the configured parameters goes, for a server of the given major version
// (12 or later). Values that cannot be used are replaced by defaults or left out, and each such case is
// one sentence of warnings: a mistake in the cluster's configuration must not keep every member from
// starting.
func Prepare(parameters map[string]any, self Endpoint, major int) (plan Plan, warnings []string) {
	given, warnings := texts(parameters)
	plan.Arguments = append(plan.Arguments,
		Pair{"listen_addresses", self.ListenAddresses},
		Pair{"port", strconv.Itoa(self.Port)},
		Pair{"cluster_name", self.ClusterName})
	for _, c := range controls {
		value, warning := c.choose(given)
		plan.Arguments = append(plan.Arguments, Pair{c.name, value})
		warnings = append(warnings, warning...)
	}
	plan.File = Settings{}
	name, value, warning := keepWAL(given, major)
	warnings = append(warnings, warning...)
	plan.File[name] = value
	for name, value := range given {
		if !Controlled(name) {
			plan.File[name] = value
		}
	}
	return plan, warnings
}

// texts folds names and renders values, leaving out what is no setting of the user's.
func texts(parameters map[string]any) (Settings, []string) {
	given := Settings{}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		v := parameters[name]
		text, ok := Text(v)
		switch {
		case v == nil:
		case !ValidName(name):
			warnings = append(warnings, fmt.Sprintf("parameter %q is left out: this is not a name PostgreSQL accepts", name))
		case !ok:
			warnings = append(warnings, fmt.Sprintf("parameter %s is left out: its value is neither text, number nor boolean", name))
		case Owned(name):
			warnings = append(warnings, fmt.Sprintf("parameter %s is left out: it is set by the agent alone", name))
		default:
			given[strings.ToLower(name)] = text
		}
	}
	return given, warnings
}

func (c control) choose(given Settings) (string, []string) {
	text, set := given[c.name]
	if !set {
		return c.otherwise, nil
	}
	if value, ok := c.accept(text); ok {
		return value, nil
	}
	return c.otherwise, []string{refused(c.name, text, c.otherwise)}
}

func refused(name, value, instead string) string {
	return fmt.Sprintf("parameter %s = %.80s cannot be used in a cluster, %s is used instead", name, value, instead)
}

// The WAL of one segment in megabytes, and how much of it is kept unless configured.
const (
	segmentMB   = 16
	defaultKeep = 8 // segments
)

// keepWAL returns the WAL retention under the name that the version has, converting from the other name
// when only that is configured: a cluster keeps its configuration across major versions.
func keepWAL(given Settings, major int) (name, value string, warnings []string) {
	mb, warnings := keepGiven(given, major)
	if major < 13 {
		return keepSegments, strconv.FormatInt((mb+segmentMB/2)/segmentMB, 10), warnings
	}
	return keepSize, strconv.FormatInt(mb, 10) + "MB", warnings
}

// keepGiven returns the retention in megabytes.
func keepGiven(given Settings, major int) (int64, []string) {
	size, hasSize := given[keepSize]
	count, hasCount := given[keepSegments]
	if hasSize && (major >= 13 || !hasCount) {
		if mb, ok := ParseInteger(size, "MB"); ok && mb >= segmentMB {
			return mb, nil
		}
		return defaultKeep * segmentMB, []string{refused(keepSize, size, "128MB")}
	}
	if hasCount {
		if n, ok := ParseInteger(count, ""); ok && n >= 1 && n <= (1<<31-1)/segmentMB {
			return n * segmentMB, nil
		}
		return defaultKeep * segmentMB, []string{refused(keepSegments, count, "8")}
	}
	return defaultKeep * segmentMB, nil
}
