package cluster

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// Config is the dynamic configuration in the DCS.
type Config struct {
	// Data is the document as it stands; unknown options are kept. Nil when the key is absent or not
	// an object, which readers treat as "wiped": the last good configuration stays in force.
	Data    map[string]any
	Version Version
}

// ParseConfig reads the config key.
func ParseConfig(value string) Config {
	var data map[string]any
	if json.Unmarshal([]byte(value), &data) != nil {
		return Config{}
	}
	return Config{Data: data}
}

// JSON renders the document as it is stored.
func (c Config) JSON() string {
	if c.Data == nil {
		return "{}"
	}
	return compact(c.Data)
}

// Settings are the dynamic options the agent acts on, with their defaults and bounds applied.
type Settings struct {
	TTL          time.Duration
	LoopWait     time.Duration
	RetryTimeout time.Duration
	// MaximumLagOnFailover in bytes: a replica further behind the last known leader does not race.
	MaximumLagOnFailover uint64
	// PrimaryStartTimeout is how long a crashed primary may take to start before another member is
	// preferred; zero prefers another member at once.
	PrimaryStartTimeout time.Duration
	// PrimaryRaceBackoff is how long after the leader key was lost a member that still receives WAL waits before it
	// races: a primary that is alive may only be cut off from the DCS.
	PrimaryRaceBackoff time.Duration
	// Pause takes the agents' hands off: no failover, no demotion, nothing started or stopped by itself.
	Pause bool
	// FailsafeMode lets a primary go on without the DCS as long as every member agrees.
	FailsafeMode bool
	// Standby is the source of a standby cluster; its zero value for a cluster of its own.
	Standby StandbyCluster
	// MaxTimelinesHistory is how many lines of the history key are kept; zero keeps all.
	MaxTimelinesHistory int
	// Synchronous says whom commits wait for (synchronous_mode). See Sync.
	Synchronous SyncMode
	// SynchronousStrict lets commits wait even when there is no synchronous standby.
	SynchronousStrict bool
	// SynchronousNodes is how many standbys a commit waits for (synchronous_node_count), at least one.
	SynchronousNodes int
	// MaximumLagOnSyncNode in bytes: a standby further behind the best one does not become synchronous; zero sets no limit.
	MaximumLagOnSyncNode uint64
	// PrimaryStopTimeout is how long a primary may take to stop in synchronous mode before it is stopped by force; zero:
	// as long as it takes.
	PrimaryStopTimeout time.Duration
	// MemberSlotsTTL is how long the slot of a member that is away is kept; zero: not at all.
	MemberSlotsTTL time.Duration
	// Slots are the permanent slots, by name. IgnoreSlots are those that are somebody else's.
	Slots       map[string]Slot
	IgnoreSlots []Slot
	// Parameters are the PostgreSQL settings of the dynamic configuration.
	Parameters map[string]any
	UseSlots   bool
}

// SyncMode is synchronous_mode.
type SyncMode string

// The modes. With SyncOn every commit waits for the chosen standbys, with SyncQuorum for any SynchronousNodes of all that
// keep up.
const (
	SyncOff    SyncMode = ""
	SyncOn     SyncMode = "on"
	SyncQuorum SyncMode = "quorum"
)

// Sync is the mode in force: a standby cluster has none, because it accepts no writes.
func (s Settings) Sync() SyncMode {
	if s.Standby.Active() {
		return SyncOff
	}
	return s.Synchronous
}

// StandbyCluster says where a standby cluster gets its WAL from.
type StandbyCluster struct {
	// Host may be several, separated by commas.
	Host, Port            string
	PrimarySlotName       string
	RestoreCommand        string
	ArchiveCleanupCommand string
	RecoveryMinApplyDelay string
	CreateReplicaMethods  []string
}

// Active reports whether the cluster is a standby cluster.
func (s StandbyCluster) Active() bool { return s.Host != "" || s.Port != "" || s.RestoreCommand != "" }

// The defaults and least values of the timing options, in seconds (Patroni documentation, "Dynamic
// configuration settings").
const (
	defaultTTL, minTTL                   = 30, 20
	defaultLoopWait, minLoopWait         = 10, 1
	defaultRetryTimeout, minRetryTimeout = 10, 3
	defaultMaximumLag                    = 1 << 20
	defaultPrimaryStartTimeout           = 300
	defaultMemberSlotsTTL                = 1800
)

// Settings applies defaults and bounds to the document.
func (c Config) Settings() Settings {
	ttl := min(max(c.int("ttl", defaultTTL), minTTL), math.MaxInt32)
	loopWait := max(c.int("loop_wait", defaultLoopWait), minLoopWait)
	retry := max(c.int("retry_timeout", defaultRetryTimeout), minRetryTimeout)
	loopWait, retry = fitInTTL(ttl, loopWait, retry)
	pg, _ := c.Data["postgresql"].(map[string]any)
	parameters, _ := pg["parameters"].(map[string]any)
	start := c.int("primary_start_timeout", c.int("master_start_timeout", defaultPrimaryStartTimeout))
	stop := c.int("primary_stop_timeout", c.int("master_stop_timeout", 0))
	return Settings{
		TTL:                  seconds(ttl),
		LoopWait:             seconds(loopWait),
		RetryTimeout:         seconds(retry),
		MaximumLagOnFailover: uint64(max(c.int("maximum_lag_on_failover", defaultMaximumLag), 0)),
		PrimaryStartTimeout:  seconds(max(start, 0)),
		PrimaryRaceBackoff:   seconds(max(c.int("primary_race_backoff", 0), 0)),
		Pause:                truthy(c.Data["pause"]),
		FailsafeMode:         truthy(c.Data["failsafe_mode"]),
		Standby:              c.standby(),
		MaxTimelinesHistory:  max(c.int("max_timelines_history", 0), 0),
		Synchronous:          syncMode(c.Data["synchronous_mode"]),
		SynchronousStrict:    truthy(c.Data["synchronous_mode_strict"]),
		SynchronousNodes:     max(c.int("synchronous_node_count", 1), 1),
		MaximumLagOnSyncNode: uint64(max(c.int("maximum_lag_on_syncnode", -1), 0)),
		PrimaryStopTimeout:   seconds(max(stop, 0)),
		MemberSlotsTTL:       c.span("member_slots_ttl", defaultMemberSlotsTTL),
		Slots:                c.slots(),
		IgnoreSlots:          c.ignoreSlots(),
		Parameters:           parameters,
		UseSlots:             pg["use_slots"] == nil || truthy(pg["use_slots"]),
	}
}

// syncMode reads synchronous_mode: a word or a boolean.
func syncMode(v any) SyncMode {
	if text, isText := v.(string); isText && strings.EqualFold(text, string(SyncQuorum)) {
		return SyncQuorum
	}
	if truthy(v) {
		return SyncOn
	}
	return SyncOff
}

func (c Config) standby() StandbyCluster {
	doc, _ := c.Data["standby_cluster"].(map[string]any)
	text := func(name string) string {
		switch v := doc[name].(type) {
		case string:
			return v
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		case int:
			return strconv.Itoa(v)
		}
		return ""
	}
	s := StandbyCluster{
		Host: text("host"), Port: text("port"), PrimarySlotName: text("primary_slot_name"), RestoreCommand: text("restore_command"),
		ArchiveCleanupCommand: text("archive_cleanup_command"), RecoveryMinApplyDelay: text("recovery_min_apply_delay"),
	}
	methods, _ := doc["create_replica_methods"].([]any)
	for _, m := range methods {
		if name, ok := m.(string); ok {
			s.CreateReplicaMethods = append(s.CreateReplicaMethods, name)
		}
	}
	return s
}

// fitInTTL keeps loop_wait + 2·retry_timeout ≤ ttl, so that a leader that meets one slow answer in each
// of two tries still renews in time.
func fitInTTL(ttl, loopWait, retry int) (int, int) {
	if minLoopWait+2*retry > ttl {
		return minLoopWait, (ttl - 1) / 2
	}
	if loopWait+2*retry > ttl {
		return ttl - 2*retry, retry
	}
	return loopWait, retry
}

// seconds is a time of at most 68 years: more would not fit into a Duration with what is added to it.
func seconds(n int) time.Duration { return time.Duration(min(n, math.MaxInt32)) * time.Second }

// maxNumber bounds the numbers of a document: beyond it their whole values are not exact.
const maxNumber = 1 << 53

func (c Config) int(name string, otherwise int) int {
	switch v := c.Data[name].(type) {
	case float64:
		return int(min(max(v, -maxNumber), maxNumber))
	case int:
		return v
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return min(max(n, -maxNumber), maxNumber)
		}
	}
	return otherwise
}

// span reads a time: a number of seconds, or a text with a unit that PostgreSQL knows.
func (c Config) span(name string, otherwise int) time.Duration {
	n := int64(c.int(name, otherwise))
	if text, isText := c.Data[name].(string); isText {
		if given, ok := guc.ParseInteger(text, "s"); ok {
			n = given
		}
	}
	return time.Duration(min(max(n, 0), math.MaxInt32)) * time.Second
}

func truthy(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return IsTrue(v)
	case float64:
		return v != 0
	case int:
		return v != 0
	}
	return false
}

// Patch applies a merge patch (RFC 7386: null deletes, objects merge, everything else replaces) and
// returns a new document; neither argument is changed.
func Patch(doc, patch map[string]any) map[string]any {
	out := maps.Clone(doc)
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range patch {
		object, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(out, key)
		case isObject:
			old, _ := out[key].(map[string]any)
			out[key] = Patch(old, object)
		default:
			out[key] = value
		}
	}
	return out
}

// SameConfig reports whether two documents say the same.
func SameConfig(a, b map[string]any) bool { return reflect.DeepEqual(a, b) }
