package ha

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// facts collects what was seen, in words.
type facts []Fact

func (f *facts) add(name, format string, args ...any) {
	*f = append(*f, Fact{name, fmt.Sprintf(format, args...)})
}

// addIf adds a fact only where there is something to say.
func (f *facts) addIf(there bool, name, format string, args ...any) {
	if there {
		f.add(name, format, args...)
	}
}

// viewFacts puts a view into words, the most general first.
func viewFacts(v View) []Fact {
	var f facts
	f.cluster(v)
	f.lease(v)
	f.server(v.Server)
	f.under(v)
	f.others(v)
	return f
}

func (f *facts) cluster(v View) {
	s, c := v.Settings, v.Cluster
	picture := "read from the DCS"
	if !v.Fresh {
		picture = "the last one that could be read: the DCS does not answer"
	}
	f.add("picture", "%s", picture)
	f.add("settings", "ttl %s, loop_wait %s, retry_timeout %s, maximum_lag_on_failover %s", Span(s.TTL), Span(s.LoopWait), Span(s.RetryTimeout),
		wal.Size(s.MaximumLagOnFailover))
	f.addIf(s.Pause, "pause", "on")
	f.addIf(s.FailsafeMode, "failsafe_mode", "on")
	f.addIf(s.Standby.Active(), "standby cluster", "on")
	f.add("leader", "%s", leaderWords(v))
	f.addIf(!c.Initialize.Known(), "initialize key", "holds no system identifier")
	f.addIf(c.Timeline() != 0, "cluster's timeline", "%d", c.Timeline())
	f.addIf(s.Sync() != cluster.SyncOff, "synchronous_mode", "%s, %d of them%s", s.Sync(), s.SynchronousNodes, choose(s.SynchronousStrict, ", strict", ""))
	f.addIf(c.Sync.Made(), "sync key", "%s", promiseWords(c.Sync))
	f.addIf(c.Status.Optime != 0, "leader's last known position", "%s", c.Status.Optime)
	if r := c.Failover; r.Requested() {
		f.add(r.Kind()+" key", "from %s to %s%s", orAny(r.Leader), orAny(r.Candidate), onSchedule(r.ScheduledAt))
	}
	for _, m := range c.Others(v.Self.Name) {
		f.add("member "+m.Name, "%s, %s", m.Role, c.StateOf(m))
	}
	f.addIf(len(v.Self.Tags) > 0, "own tags", "%s", tagWords(v.Self.Tags))
}

func leaderWords(v View) string {
	switch name := v.Cluster.Leader.Name; {
	case name == "":
		return "nobody"
	case v.leading():
		return name + ", this member"
	case v.stale():
		return name + ", this member in an earlier life"
	default:
		return name
	}
}

func orAny(name string) string {
	if name == "" {
		return "anyone"
	}
	return name
}

func onSchedule(schedule string) string {
	if schedule == "" {
		return ""
	}
	return " at " + schedule
}

func tagWords(tags cluster.Tags) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		words = append(words, fmt.Sprintf("%s: %v", name, tags[name]))
	}
	return strings.Join(words, ", ")
}

func (f *facts) lease(v View) {
	if v.Lease.ID == 0 {
		f.add("own lease", "none")
	} else {
		f.add("own lease", "ends %s, renewed %s", relative(v.Now, v.Lease.Deadline), relative(v.Now, v.Lease.Renewed))
	}
	fs := v.Failsafe
	f.addIf(!fs.Until.IsZero(), "all members' consent", "ends %s, asked %s", relative(v.Now, fs.Until), relative(v.Now, fs.Asked))
	f.addIf(fs.Leader != "", "agreed to", "%s goes on as the primary without the DCS, heard %s", fs.Leader, relative(v.Now, fs.Heard))
	if w := v.Watchdog; w.Wanted {
		f.add("watchdog", "%s, %s, %s", choose(w.Required, "required", "wanted"), choose(w.Usable, "usable", "not usable"),
			choose(w.Active, "active", "not active"))
	}
}

func choose(first bool, one, other string) string {
	if first {
		return one
	}
	return other
}

func (f *facts) server(s Server) {
	f.add("data directory", "%s", dataWords(s))
	f.addIf(s.SystemID != "", "system identifier", "%s", s.SystemID)
	if s.Data != DataCluster {
		return
	}
	f.add("server", "%s", processWords(s))
	f.addIf(s.Timeline != 0, "own timeline", "%d", s.Timeline)
	f.addIf(s.Position != 0, "own position", "%s", s.Position)
	f.addIf(s.Process == Running && s.InRecovery, "replication", "%s", followWords(s))
	if s.Process == Stopped {
		c := s.Control
		f.add("control file", "%s, %s, timeline %d, ends at %s", choose(c.Clean, "shut down cleanly", "not shut down cleanly"),
			choose(c.Standby, "last ran as a standby", choose(c.Primary, "last ran as a primary", "marked as a standby")), c.Timeline, c.End)
	}
	f.addIf(s.NamesManaged, "commits wait for", "%s", choose(s.SyncNames.Empty(), "nobody", s.SyncNames.String()))
	for _, b := range s.Senders {
		f.add("standby "+b.Name, "%s, sent %s, flushed %s", b.SyncState, b.Sent, b.Flushed)
	}
	f.addIf(s.Held, "clients", "kept out since a crash")
	f.addIf(s.ReplayPaused, "replay", "held back: a setting is lower than the primary's")
	f.addIf(s.PendingRestart, "pending restart", "yes")
	f.addIf(s.Process == Stopped, "pg_rewind", "%s", choose(s.CanRewind, "possible", "not possible"))
	f.addIf(s.SetAside, "failed data directory", "an older one is kept beside this one")
}

func dataWords(s Server) string {
	switch s.Data {
	case DataEmpty:
		return "empty"
	case DataIncomplete:
		return "incomplete, never to be started"
	case DataCluster:
		return "a database cluster"
	case DataUnknown:
	}
	return "unknown: " + s.Trouble
}

func processWords(s Server) string {
	role := choose(s.InRecovery, "standby", "primary")
	switch s.Process {
	case Starting:
		return "starting"
	case Running:
		return "running as a " + role + choose(s.Answers, "", ", does not answer")
	case Stopping:
		return "stopping"
	case Stopped:
	}
	return "stopped"
}

func followWords(s Server) string {
	from := s.Follows
	switch {
	case s.FollowsRemote:
		from = "the source of the standby cluster"
	case from == "":
		from = "nobody"
	}
	return choose(s.Streaming, "streams", "does not stream") + ", follows " + from
}

// under is what is under way at this member.
func (f *facts) under(v View) {
	f.addIf(v.Leaving, "leaving", "the agent was told to end")
	f.addIf(v.Job.Kind != "", "job", "%s, begun %s", v.Job.Job, relative(v.Now, v.Job.Began))
	if e := v.Ended; e != nil {
		f.add("job that ended", "%s: %s", e.Job, choose(e.OK, "done", "failed: "+e.Trouble))
	}
	for _, r := range v.Requests {
		f.add("request "+strconv.Itoa(r.ID), "%s%s", requestWords(r.Kind), choose(r.At.IsZero(), "", ", due "+relative(v.Now, r.At)))
	}
	for _, o := range v.Outcomes {
		f.add("last action", "%s: %s", o.Action, o.Result)
	}
}

func requestWords(k RequestKind) string {
	switch k {
	case RequestRestart:
		return "restart"
	case RequestReinitialize:
		return "reinitialize"
	}
	return "request"
}

// others is what the other members and the upstream said.
func (f *facts) others(v View) {
	for _, name := range slices.Sorted(maps.Keys(v.Peers)) {
		f.add("answer of "+name, "%s, %s", peerWords(v.Peers[name]), relative(v.Now, v.Peers[name].At))
	}
	if u := v.Upstream; !u.At.IsZero() {
		f.add("upstream "+choose(u.Remote, "remote", u.Member), "%s, %s", choose(u.Reached,
			fmt.Sprintf("%s, timeline %d", choose(u.InRecovery, "standby", "primary"), u.Timeline), "no answer"), relative(v.Now, u.At))
	}
}

func peerWords(p Peer) string {
	if !p.Reached {
		return "none"
	}
	words := fmt.Sprintf("%s %s, timeline %d at %s", p.State, choose(p.InRecovery, "standby", "primary"), p.Timeline, p.Position)
	return words + choose(p.NoFailover, ", nofailover", "") + choose(p.WatchdogFailed, ", watchdog failed", "") + choose(p.Declines, ", stays out of races", "")
}

// memoryFacts puts into words what is remembered; what is not set is left out.
func memoryFacts(m Memory, now time.Time) []Fact {
	var f facts
	times := func(name string, t time.Time) { f.addIf(!t.IsZero(), name, "%s", relative(now, t)) }
	yes := func(name string, set bool) { f.addIf(set, name, "yes") }
	times("agent began", m.Born)
	yes("data directory was looked at", m.Looked)
	yes("documents were gone since the leader key is vacant", m.Wiped)
	f.addIf(m.Identity != "", "system identifier of the cluster", "%s", m.Identity)
	f.addIf(m.LastLeader != "", "last leader", "%s", m.LastLeader)
	times("leader key vacant since", m.VacantSince)
	times("server down since", m.StoppedSince)
	yes("server ran at the last decision", m.Ran)
	yes("server was taken down by this agent", m.Ours)
	f.addIf(len(m.Crashes) > 0, "crashes lately", "%d", len(m.Crashes))
	f.addIf(m.Position != 0, "own position at the last decision", "%s", m.Position)
	f.addIf(m.Lead.Name != "", "leader key as it was last seen", "of %s, version %d", m.Lead.Name, m.Lead.Version)
	times("answers of the upstream count since", m.UpstreamSince)
	if h := m.Handover; h.active() {
		f.add("handover", "%s to %s, given up %s, shutdown checkpoint %s", h.Kind, orAny(h.Candidate), relative(now, h.Until),
			choose(h.Checkpoint == 0, "not known yet", "at "+h.Checkpoint.String()))
	}
	times("leader key given up", m.ReleasedAt)
	times("no race until", m.NoRaceUntil)
	f.addIf(m.StartFailures > 0, "failed starts in a row", "%d", m.StartFailures)
	times("next try after a failure", m.RetryAt)
	yes("pg_rewind failed", m.RewindFailed)
	yes("own timeline is a twin of the cluster's", m.Twin)
	f.addIf(m.Led != 0, "last a primary on timeline", "%d", m.Led)
	f.addIf(m.Promise.Made(), "promise about synchronous standbys", "%s", promiseWords(m.Promise))
	f.addIf(m.Quorum.Begun, "synchronous standbys", "%s", choose(m.Quorum.Settled(), "hold every acknowledged commit", "may lack acknowledged commits"))
	yes("the promise is certain", m.PromiseSure)
	yes("server goes by its synchronous_standby_names", m.NamesSure)
	yes("server could not be told its synchronous_standby_names", m.NamesFailed)
	times("asking to be no synchronous standby since", m.ReleaseSince)
	yes("asked to be no synchronous standby at the last decision", m.Releasing)
	f.addIf(m.Checkpointed != 0, "checkpoint after the promotion", "done on timeline %d", m.Checkpointed)
	yes("bootstrapping the cluster", m.Bootstrap)
	yes("bootstrap has made the data directory", m.Bootstrapped)
	return f
}

// promiseWords is a promise about synchronous standbys.
func promiseWords(p cluster.Sync) string {
	if len(p.Voters) == 0 {
		return "only " + p.Leader + " may lead"
	}
	return fmt.Sprintf("%s, or one of %s that %d others confirm", p.Leader, list(p.Voters), p.Quorum)
}

// relative says how far a point in time lies from now.
func relative(now, t time.Time) string {
	if d := t.Sub(now); d > 0 {
		return "in " + Span(d)
	}
	if now.Equal(t) {
		return "now"
	}
	return Span(now.Sub(t)) + " ago"
}

// Span writes a duration with the precision that people care for.
func Span(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second), " 0 s")
	case d >= time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
}
