package health

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// timeForm is how points in time are written in status documents.
const timeForm = "2006-01-02 15:04:05.000000-07:00"

// statusBody is the status document, fields in the order Patroni writes them; the last four are ours.
type statusBody struct {
	State            cluster.State `json:"state"`
	Started          string        `json:"postmaster_start_time,omitempty"`
	Role             cluster.Role  `json:"role"`
	ServerVersion    int           `json:"server_version,omitempty"`
	XLog             any           `json:"xlog,omitempty"`
	SyncStandby      bool          `json:"sync_standby,omitempty"`
	QuorumStandby    bool          `json:"quorum_standby,omitempty"`
	Timeline         any           `json:"timeline,omitempty"`
	ReplicationState string        `json:"replication_state,omitempty"`
	Replication      []Standby     `json:"replication,omitempty"`
	Pause            bool          `json:"pause,omitempty"`
	Unlocked         bool          `json:"cluster_unlocked,omitempty"`
	FailsafeActive   bool          `json:"failsafe_mode_is_active,omitempty"`
	DCSLastSeen      int64         `json:"dcs_last_seen"`
	Tags             cluster.Tags  `json:"tags,omitempty"`
	SystemID         wal.SystemID  `json:"database_system_identifier,omitempty"`
	PendingRestart   bool          `json:"pending_restart,omitempty"`
	Pending          any           `json:"pending_restart_reason,omitempty"`
	Patroni          agentBody     `json:"patroni"`
	Restart          any           `json:"scheduled_restart,omitempty"`
	WatchdogFailed   bool          `json:"watchdog_failed,omitempty"`
	LogQueued        int           `json:"logger_queue_size,omitempty"`
	LogLost          int           `json:"logger_records_lost,omitempty"`
	Declines         bool          `json:"declines_lead,omitempty"`
	Reason           string        `json:"reason,omitempty"`
	Progress         string        `json:"progress,omitempty"`
}

type agentBody struct {
	Version string `json:"version"`
	Scope   string `json:"scope"`
	Name    string `json:"name"`
}

type primaryXLog struct {
	Location wal.LSN `json:"location"`
}

type standbyXLog struct {
	Received   wal.LSN `json:"received_location"`
	Replayed   wal.LSN `json:"replayed_location"`
	ReplayedAt *string `json:"replayed_timestamp"`
	Paused     bool    `json:"paused"`
}

// usuallyQueued is how many lines of the log may wait without a word about it.
const usuallyQueued = 2

// Status is the status document. Of a snapshot it changes with Informed alone.
func Status(s Snapshot, now time.Time) []byte {
	b := statusBody{
		State: s.state(), Role: s.Role, Tags: s.Tags, SystemID: s.Server.SystemID, PendingRestart: len(s.Server.Pending) > 0,
		Unlocked: s.Seen.IsZero() || !s.Cluster.Locked(),
		Pause:    s.Settings.Pause, FailsafeActive: s.FailsafeActive, WatchdogFailed: s.WatchdogFailed,
		Patroni:  agentBody{s.AgentVersion, s.Scope, s.Name},
		Declines: now.Before(s.DeclinesUntil), Reason: s.Reason, Progress: s.Progress,
	}
	if s.LogQueued > usuallyQueued {
		b.LogQueued, b.LogLost = s.LogQueued, s.LogLost
	}
	if len(s.Server.Pending) > 0 {
		b.Pending = s.Server.Pending
	}
	if s.Restart != nil {
		restart := *s.Restart
		restart.Started = ""
		b.Restart = restart
	}
	if !s.Seen.IsZero() {
		b.DCSLastSeen = s.Seen.Unix()
	}
	if s.Server.Known && s.Server.Running {
		b.addServer(s.Server)
		role := s.syncRole(now)
		b.SyncStandby, b.QuorumStandby = role == cluster.RoleSyncStandby, role == cluster.RoleQuorumStandby
	}
	return render(b)
}

func (b *statusBody) addServer(s Server) {
	b.Started = s.Started.Format(timeForm)
	b.ServerVersion = s.Version
	b.Timeline = json.RawMessage("null")
	if s.Timeline != 0 {
		b.Timeline = s.Timeline
	}
	b.ReplicationState = s.ReplicationState
	b.Replication = s.Standbys
	if !s.InRecovery {
		b.XLog = primaryXLog{s.Written}
		return
	}
	x := standbyXLog{Received: received(s), Replayed: s.Replayed, Paused: s.ReplayPaused}
	if !s.ReplayedAt.IsZero() {
		at := s.ReplayedAt.Format(timeForm)
		x.ReplayedAt = &at
	}
	b.XLog = x
}

type pictureBody struct {
	Members   []memberBody   `json:"members"`
	Pause     bool           `json:"pause,omitempty"`
	Scheduled *scheduledBody `json:"scheduled_switchover,omitempty"`
	Scope     string         `json:"scope"`
	Leader    string         `json:"leader,omitempty"`
}

type scheduledBody struct {
	At   string `json:"at"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

type memberBody struct {
	Name           string       `json:"name"`
	Role           string       `json:"role"`
	State          string       `json:"state"`
	APIURL         *string      `json:"api_url"`
	Host           string       `json:"host,omitempty"`
	Port           int          `json:"port,omitempty"`
	Timeline       wal.Timeline `json:"timeline,omitempty"`
	PendingRestart bool         `json:"pending_restart,omitempty"`
	Pending        any          `json:"pending_restart_reason,omitempty"`
	Restart        any          `json:"scheduled_restart,omitempty"`
	Tags           cluster.Tags `json:"tags,omitempty"`
	ReceiveLag     any          `json:"receive_lag,omitempty"`
	ReceiveLSN     any          `json:"receive_lsn,omitempty"`
	ReplayLag      any          `json:"replay_lag,omitempty"`
	ReplayLSN      any          `json:"replay_lsn,omitempty"`
	Lag            any          `json:"lag,omitempty"`
	LSN            any          `json:"lsn,omitempty"`
}

// picture is the document of GET /cluster: the whole cluster as the DCS shows it. The field leader is ours.
func picture(s Snapshot) []byte {
	b := pictureBody{Members: []memberBody{}, Pause: s.Settings.Pause, Scope: s.Scope, Leader: s.Cluster.Leader.Name}
	for _, m := range s.Cluster.Members {
		b.Members = append(b.Members, member(s.Cluster, m))
	}
	if f := s.Cluster.Failover; f.ScheduledAt != "" {
		b.Scheduled = &scheduledBody{f.ScheduledAt, f.Leader, f.Candidate}
	}
	return render(b)
}

func member(c cluster.Cluster, m cluster.Member) memberBody {
	b := memberBody{Name: m.Name, Role: c.RoleOf(m), State: c.StateOf(m), Timeline: m.Timeline, PendingRestart: m.PendingRestart, Tags: m.Tags}
	if len(m.Pending) > 0 {
		b.Pending = m.Pending
	}
	if m.Restart != nil {
		b.Restart = m.Restart
	}
	if m.APIURL != "" {
		b.APIURL = &m.APIURL
	}
	if host, port, known := m.Endpoint(); known {
		b.Host, b.Port = host, port
	}
	if m.Name == c.Leader.Name {
		return b
	}
	b.ReceiveLag, b.ReceiveLSN = lag(c, m.Received)
	b.ReplayLag, b.ReplayLSN = lag(c, m.Replayed)
	b.Lag, b.LSN = lag(c, m.Location)
	return b
}

// lag is a position and how far it lies behind the leader's, both "unknown" when the position is.
func lag(c cluster.Cluster, at wal.LSN) (behind, position any) {
	if at == 0 {
		return "unknown", "unknown"
	}
	return at.Behind(c.Status.Optime), at.String()
}

// document answers a document of the DCS as it stands, or a sentence where it holds none.
func document(there bool, doc []byte, otherwise string) Answer {
	if !there {
		return Answer{badGateway, text(otherwise), typeHTML}
	}
	return Answer{ok, doc, typeJSON}
}

// history is the document of GET /history: the timelines that ended.
func history(s Snapshot) []byte {
	if !s.Cluster.History.Present {
		return []byte("[]")
	}
	return spaced([]byte(s.Cluster.History.JSON()))
}

// Document writes a JSON document as those of the API are written.
func Document(v any) []byte { return render(v) }

func text(sentence string) []byte { return []byte(sentence + "\n") }

// render writes JSON with a blank after each comma and colon and with characters beyond ASCII escaped, as every Patroni
// agent does: scripts that cut answers apart with text tools rely on it.
func render(v any) []byte {
	var compact bytes.Buffer
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("health: a document cannot be rendered: " + err.Error())
	}
	return spaced(bytes.TrimSuffix(compact.Bytes(), []byte("\n")))
}

// spaced puts the blanks into compact JSON, and escapes what is beyond ASCII; that stands in quotes only.
func spaced(compact []byte) []byte {
	out := make([]byte, 0, len(compact)+len(compact)/8)
	quoted, escaped := false, false
	for i := 0; i < len(compact); {
		c := compact[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(compact[i:])
			out = escape(out, r)
			i += size
			continue
		}
		out = append(out, c)
		i++
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}

// escape writes a character the way JSON can in ASCII: as one UTF-16 unit or two.
func escape(out []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
