package cluster

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Role is what a member's server is in its cluster.
type Role string

// The roles as they stand in member documents and REST answers.
const (
	RolePrimary       Role = "primary"
	RoleStandbyLeader Role = "standby_leader"
	RoleReplica       Role = "replica"
	RoleDemoted       Role = "demoted"
	RoleUninitialized Role = "uninitialized"
	// RolePromoted is a server told to promote that still replays.
	RolePromoted Role = "promoted"
)

// State is what a member's server is doing.
type State string

// The states as they stand in member documents and REST answers.
const (
	StateInitializing    State = "initializing new cluster"
	StateInitdbFailed    State = "initdb failed"
	StateCreatingReplica State = "creating replica"
	StateRunning         State = "running"
	StateStarting        State = "starting"
	StateStartFailed     State = "start failed"
	StateRestarting      State = "restarting"
	StateRestartFailed   State = "restart failed"
	StateStopping        State = "stopping"
	StateStopped         State = "stopped"
	StateStopFailed      State = "stop failed"
	StateCrashed         State = "crashed"
	StateUnknown         State = "unknown"
)

// How a standby gets its WAL, as pg_stat_wal_receiver tells.
const (
	ReplicationStreaming = "streaming"
	ReplicationArchive   = "in archive recovery"
)

// Member is what one member says of itself in the DCS.
type Member struct {
	Name string `json:"-"`
	// Lease is the lease the document is bound to, as the store names it.
	Lease   int64   `json:"-"`
	Version Version `json:"-"`

	ConnURL string `json:"conn_url,omitempty"`
	APIURL  string `json:"api_url,omitempty"`
	State   State  `json:"state,omitempty"`
	Role    Role   `json:"role,omitempty"`
	// AgentVersion is the version of the agent, comparable with Patroni's.
	AgentVersion string `json:"version,omitempty"`
	// ProxyURL is where a connection pool in front of the server is reached.
	ProxyURL string `json:"proxy_url,omitempty"`
	// CheckpointAfterPromote is only ever false: the leader has not finished the checkpoint that
	// makes its control file safe to rewind from. Nil says it has, or the member is no leader.
	CheckpointAfterPromote *bool `json:"checkpoint_after_promote,omitempty"`
	Tags                   Tags  `json:"tags,omitempty"`
	PendingRestart         bool  `json:"pending_restart,omitempty"`
	// Pending are the settings that need a restart, by name.
	Pending map[string]Pending `json:"pending_restart_reason,omitempty"`
	// Location is the position of the member's WAL in bytes: written by a primary, received or
	// replayed (whichever is more) by a standby.
	Location         wal.LSN      `json:"xlog_location,omitempty"`
	Replayed         wal.LSN      `json:"replay_lsn,omitempty"`
	Received         wal.LSN      `json:"receive_lsn,omitempty"`
	ReplicationState string       `json:"replication_state,omitempty"`
	Timeline         wal.Timeline `json:"timeline,omitempty"`
	// Restart is the restart that is scheduled, if any.
	Restart *ScheduledRestart `json:"scheduled_restart,omitempty"`
	Pause   bool              `json:"pause,omitempty"`
	// Progress says how far a clone or a bootstrap is; other agents do not know it and leave it alone.
	Progress string `json:"progress,omitempty"`
}

// Pending is a setting's value as it is and as it is wanted, in units people read.
type Pending struct {
	Old string `json:"old_value"`
	New string `json:"new_value"`
}

// Tags are a member's tags as configured.
type Tags map[string]any

// Bool reports whether a tag is set and true; YAML's and Patroni's spellings of true count.
func (t Tags) Bool(name string) bool {
	switch v := t[name].(type) {
	case bool:
		return v
	case string:
		return IsTrue(v)
	}
	return false
}

// IsTrue reports whether the text is one of Patroni's spellings of true.
func IsTrue(s string) bool {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		return true
	}
	return false
}

// NoFailover reports whether the member must never become leader: the tag nofailover decides where it is given, even as
// false, else a failover_priority below one.
func (t Tags) NoFailover() bool {
	if _, given := t["nofailover"]; given {
		return t.Bool("nofailover")
	}
	return t.priority("failover_priority") <= 0
}

// FailoverPriority orders members that have received the same WAL: the highest takes the lead. Zero never does.
func (t Tags) FailoverPriority() int {
	if t.NoFailover() {
		return 0
	}
	return max(t.priority("failover_priority"), 1)
}

func (t Tags) priority(name string) int {
	switch v := t[name].(type) {
	case float64:
		return int(v)
	case int:
		return v
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
	}
	return 1
}

// NoSync reports whether the member must never become a synchronous standby: the tag nosync decides where it is given, even
// as false, else a sync_priority below one.
func (t Tags) NoSync() bool {
	if _, given := t["nosync"]; given {
		return t.Bool("nosync")
	}
	return t.priority("sync_priority") <= 0
}

// SyncPriority orders the members for the choice of synchronous standbys, the highest first. Zero never becomes one.
func (t Tags) SyncPriority() int {
	if t.NoSync() {
		return 0
	}
	return max(t.priority("sync_priority"), 1)
}

// CloneFrom reports whether the member asks to be the source of base backups.
func (t Tags) CloneFrom() bool { return t.Bool("clonefrom") }

// NoStream reports whether the member gets its WAL from the archive alone.
func (t Tags) NoStream() bool { return t.Bool("nostream") }

// ReplicateFrom is the member to stream from instead of the leader; empty for the leader.
func (t Tags) ReplicateFrom() string {
	name, _ := t["replicatefrom"].(string)
	return name
}

// ParseMember reads a member document. Of a document, or a part of one, that cannot be read nothing is known, which is
// never an error: another agent may be newer than this one. Very old ones wrote the address of their server with that of
// their REST API as its application_name.
func ParseMember(name, value string) Member {
	var m Member
	if u, err := url.Parse(value); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		m.APIURL = u.Query().Get("application_name")
		u.RawQuery = ""
		m.ConnURL = u.String()
	}
	// Parts that are of another type than expected are left out, and all others are read nevertheless.
	json.Unmarshal([]byte(value), &m) //nolint:errcheck // see above
	m.Name = name
	if m.State == "" {
		m.State = StateUnknown
	}
	if m.Role == "master" {
		m.Role = RolePrimary
	}
	return m
}

// JSON renders the document as it is stored.
func (m Member) JSON() string { return compact(m) }

// Endpoint returns the host and port of the member's server. The bool is false when it announced none.
func (m Member) Endpoint() (host string, port int, ok bool) {
	u, err := url.Parse(m.ConnURL)
	if err != nil || u.Hostname() == "" {
		return "", 0, false
	}
	port, err = strconv.Atoi(u.Port())
	if err != nil {
		port = 5432
	}
	return u.Hostname(), port, true
}

// API returns the member's REST address with another path than the announced /patroni: "/restart".
func (m Member) API(path string) string {
	u, err := url.Parse(m.APIURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + path
}

// Running reports whether the member says that its server accepts connections.
func (m Member) Running() bool { return m.State == StateRunning }

// Streaming reports whether the member says that it follows a leader by streaming.
func (m Member) Streaming() bool {
	return m.Running() && m.ReplicationState == ReplicationStreaming
}

// Older reports whether the member announces an agent of an earlier major version. One that announces none is of any.
func (m Member) Older(major int) bool {
	text, _, _ := strings.Cut(m.AgentVersion, ".")
	n, err := strconv.Atoi(text)
	return err == nil && n < major
}

// HostPort joins a host and a port, with brackets where the host is an IPv6 address.
func HostPort(host string, port int) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
