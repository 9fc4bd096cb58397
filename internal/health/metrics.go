package health

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// metrics is the document of GET /metrics in Prometheus' text format. The names patroni_… and what they count are Patroni's,
// so that its dashboards and alerts go on; those that begin with pgbaton_ are ours. Positions are gauges: a rewind
// takes them back.
func metrics(s Snapshot, now time.Time) []byte {
	p := samples{labels: `{scope="` + label(s.Scope) + `",name="` + label(s.Name) + `"} `}
	role, known := s.syncRole(now), s.Server.Known && s.Server.Running
	p.text("patroni_version", "Version of Patroni that the API follows, two digits for each part.", paddedVersion(s.AgentVersion))
	p.flag("patroni_postgres_running", "1 if PostgreSQL runs.", s.state() == cluster.StateRunning)
	p.time("patroni_postmaster_start_time", "When PostgreSQL was started, in seconds since 1970, 0 if it does not run.", when0(known, s.Server.Started))
	p.flag("patroni_primary", "1 if the server of this member is a primary.", s.Role == cluster.RolePrimary)
	p.server(s, known)
	p.flag("patroni_standby_leader", "1 if this member leads a standby cluster.", s.Role == cluster.RoleStandbyLeader)
	p.flag("patroni_replica", "1 if this member is a replica.", s.Role == cluster.RoleReplica)
	p.flag("patroni_sync_standby", "1 if every commit waits for this member.", known && role == cluster.RoleSyncStandby)
	p.flag("patroni_quorum_standby", "1 if this member is one of those for which commits wait.", known && role == cluster.RoleQuorumStandby)
	p.flag("patroni_cluster_unlocked", "1 if nobody holds the leader key, or that is not known.", s.Seen.IsZero() || !s.Cluster.Locked())
	p.flag("patroni_failsafe_mode_is_active", "1 if members agreed on a primary without the DCS.", s.FailsafeActive)
	p.flag("patroni_failsafe_mode_enabled", "1 if failsafe_mode is on.", s.Settings.FailsafeMode)
	_, listed := s.Cluster.Failsafe[s.Name]
	p.flag("patroni_failsafe_member", "1 if this member is asked before a primary goes on without the DCS.", listed)
	p.time("patroni_dcs_last_seen", "When the DCS was read last, in seconds since 1970.", s.Seen.Truncate(time.Second))
	p.flag("patroni_pending_restart", "1 if settings wait for a restart of PostgreSQL.", len(s.Server.Pending) > 0)
	p.flag("patroni_is_paused", "1 if the cluster is paused.", s.Settings.Pause)
	p.state(s.state())
	p.number("patroni_failover_priority", "The tag failover_priority, 0 for a member that does not take over.", int64(s.Tags.FailoverPriority()))
	p.own(s, now)
	return p.out
}

// server are the metrics of the server itself, which are 0 where it does not answer.
func (p *samples) server(s Snapshot, known bool) {
	var of Server
	if known {
		of = s.Server
	}
	standby := of
	if !of.InRecovery {
		standby = Server{}
	} else {
		of.Written = 0
	}
	p.position("patroni_xlog_location", "Position that a primary has written, 0 on a standby.", uint64(of.Written))
	p.position("patroni_xlog_received_location", "Position that a standby has received, 0 on a primary.", uint64(received(standby)))
	p.position("patroni_xlog_replayed_location", "Position that a standby has replayed, 0 on a primary.", uint64(standby.Replayed))
	p.time("patroni_xlog_replayed_timestamp", "Commit time of the last transaction that a standby has replayed, in seconds since 1970.", standby.ReplayedAt)
	p.flag("patroni_xlog_paused", "1 if the replay is paused.", standby.ReplayPaused)
	if known {
		p.flag("patroni_postgres_streaming", "1 if the standby streams.", of.ReplicationState == cluster.ReplicationStreaming)
		p.flag("patroni_postgres_in_archive_recovery", "1 if the standby restores from an archive.", of.ReplicationState == cluster.ReplicationArchive)
	}
	p.number("patroni_postgres_server_version", "Version number of PostgreSQL, 0 if it does not answer.", int64(of.Version))
	p.number("patroni_postgres_timeline", "Timeline of PostgreSQL, 0 if it does not answer.", int64(of.Timeline))
}

// own are the metrics that Patroni does not have.
func (p *samples) own(s Snapshot, now time.Time) {
	p.flag("pgbaton_is_leader", "1 while the leader key is this member's by its own clock.", s.leads(now))
	p.seconds("pgbaton_lease_seconds_left", "How long the leader key is still this member's, 0 on others.", s.Lease(now))
	p.seconds("pgbaton_loop_seconds", "How long ago the last turn of the loop began.", now.Sub(s.Began))
	p.flag("pgbaton_job_running", "1 while a clone, a rewind, a promotion or the like is under way.", s.Progress != "")
	p.flag("pgbaton_watchdog_failed", "1 if the watchdog is required and cannot be used.", s.WatchdogFailed)
	p.number("pgbaton_members", "Members of the cluster as the DCS shows them.", int64(len(s.Cluster.Members)))
	streaming := 0
	for _, standby := range s.Server.Standbys {
		if standby.State == cluster.ReplicationStreaming {
			streaming++
		}
	}
	p.number("pgbaton_streaming_standbys", "Standbys that stream from this member's server.", int64(streaming))
}

// states are the names of the states in the order of their numbers.
func states() []string {
	return []string{
		"initdb", "initdb_failed", "custom_bootstrap", "custom_bootstrap_failed", "creating_replica", "running", "starting", "bootstrap_starting",
		"start_failed", "restarting", "restart_failed", "stopping", "stopped", "stop_failed", "crashed",
	}
}

// state is the number of the server's state, with what the numbers mean.
func (p *samples) state(state cluster.State) {
	names := map[cluster.State]string{
		cluster.StateInitializing: "initdb", cluster.StateInitdbFailed: "initdb_failed", "running custom bootstrap script": "custom_bootstrap",
		"custom bootstrap failed": "custom_bootstrap_failed", cluster.StateCreatingReplica: "creating_replica", cluster.StateRunning: "running",
		cluster.StateStarting: "starting", "starting after custom bootstrap": "bootstrap_starting", cluster.StateStartFailed: "start_failed",
		cluster.StateRestarting: "restarting", cluster.StateRestartFailed: "restart_failed", cluster.StateStopping: "stopping",
		cluster.StateStopped: "stopped", cluster.StateStopFailed: "stop_failed", cluster.StateCrashed: "crashed",
	}
	var values []string
	for i, name := range states() {
		values = append(values, strconv.Itoa(i)+"="+name)
	}
	p.help("patroni_postgres_state", "Number of the state of PostgreSQL, -1 if it is unknown.")
	p.line("# Values: " + strings.Join(values, ", "))
	p.sample("patroni_postgres_state", strconv.Itoa(slices.Index(states(), names[state])))
}

// samples writes the samples of one member, which all have the same labels.
type samples struct {
	labels string
	out    []byte
}

func (p *samples) line(text string) { p.out = append(append(p.out, text...), '\n') }

func (p *samples) help(name, help string) { p.line("# HELP " + name + " " + help) }

func (p *samples) sample(name, value string) {
	p.line("# TYPE " + name + " gauge")
	p.line(name + p.labels + value)
}

func (p *samples) text(name, help, value string) {
	p.help(name, help)
	p.sample(name, value)
}

func (p *samples) flag(name, help string, yes bool) {
	value := "0"
	if yes {
		value = "1"
	}
	p.text(name, help, value)
}

func (p *samples) number(name, help string, n int64) { p.text(name, help, strconv.FormatInt(n, 10)) }

func (p *samples) position(name, help string, n uint64) {
	p.text(name, help, strconv.FormatUint(n, 10))
}

func (p *samples) seconds(name, help string, d time.Duration) {
	p.text(name, help, strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
}

// time writes a point in time as seconds since 1970; 0 for none.
func (p *samples) time(name, help string, at time.Time) {
	since := 0.0
	if !at.IsZero() {
		since = float64(at.UnixMicro()) / 1e6
	}
	p.text(name, help, strconv.FormatFloat(since, 'f', -1, 64))
}

// when0 is the time where it is known.
func when0(known bool, at time.Time) time.Time {
	if !known {
		return time.Time{}
	}
	return at
}

// paddedVersion writes a version as Patroni does in its metrics: 4.1.0 is 040100.
func paddedVersion(version string) string {
	var out strings.Builder
	for part := range strings.SplitSeq(version, ".") {
		out.WriteString(strings.Repeat("0", max(2-len(part), 0)) + part)
	}
	return out.String()
}

// label escapes the value of a label.
func label(value string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value)
}
