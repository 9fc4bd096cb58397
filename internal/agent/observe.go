package agent

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

const (
	// dcsTimeout bounds one call to the DCS. The lease may leave less.
	dcsTimeout = 3 * time.Second
	// statusTimeout bounds one look at the server; its own timeouts are shorter.
	statusTimeout = 5 * time.Second
	// leastLook is what a look at the server gets when there is no time left: enough for one that is well.
	leastLook = 100 * time.Millisecond
)

// observe makes the view of this instant.
func (a *Agent) observe(ctx context.Context, now time.Time) ha.View {
	fresh := a.look(ctx, now)
	a.guardFirst(ctx)
	a.reconfigure(ctx)
	look, cancel := context.WithTimeout(ctx, a.patience(time.Now()))
	defer cancel()
	making := a.job.makesPrimary()
	st := a.pg.Status(look)
	running, ended := a.job.observe()
	lease := a.dcs.Lease()
	v := ha.View{
		Now: now, Self: a.self(), Settings: a.settings(),
		Cluster: a.seen.cluster, Fresh: fresh,
		Lease:    ha.Lease{ID: lease.ID, Deadline: a.bounded(lease.Deadline), Renewed: lease.Renewed, TTL: lease.TTL},
		Server:   a.serverFacts(st),
		Job:      running,
		Ended:    ended,
		Peers:    a.asked,
		Upstream: a.upstream,
		Failsafe: a.failsafe.look(),
		Watchdog: a.lookAtWatchdog(ctx),
		Leaving:  a.leaving,
		Outcomes: a.outcomes,
	}
	v.Failsafe.Until = a.bounded(v.Failsafe.Until)
	a.failsafe.settle(v)
	a.dropOutdated(ctx, st.PostmasterStarted)
	v.Requests = a.requests.pending()
	if a.leads(v) {
		v.Published = a.slotStatus(v)
	}
	a.server.crashed, a.server.status = a.server.fell(st, running.Kind, ended), st
	a.keepGuard(ctx, v, st, making)
	if ended != nil {
		a.finish(ctx, *ended)
	}
	return v
}

// self is what the member knows of itself without looking.
func (a *Agent) self() ha.Self {
	return ha.Self{
		Name: a.cfg.Name, Tags: a.cfg.Tags,
		CloneAfterRewindFailure: a.options.CloneAfterRewindFailure, CloneDiverged: a.options.CloneDiverged, CloneAlone: a.options.CloneAlone,
	}
}

// look reads the shared picture and makes sure there is a lease, in the time the own lease leaves. It reports
// whether the picture is fresh.
func (a *Agent) look(ctx context.Context, now time.Time) bool {
	budget := a.budget(now)
	if budget <= 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	c, err := a.dcs.Load(ctx)
	if err != nil {
		level := slog.LevelDebug
		if !a.seen.blind {
			level = slog.LevelWarn // once, not every tick
		}
		a.log.Log(ctx, level, "the DCS was not read", slog.Any("err", err))
		a.seen.blind = true
		return false
	}
	fresh := c.Config.Data != nil && (a.seen.at.IsZero() || c.Config.Version != a.seen.cluster.Config.Version)
	a.seen.cluster, a.seen.at, a.seen.blind = c, now, false
	if c.Config.Data != nil {
		a.seen.configure(c.Config.Data)
	}
	if fresh && a.cfg.Keep != nil {
		if err := a.cfg.Keep(a.seen.data); err != nil {
			a.log.WarnContext(ctx, "the next life will not know this configuration before it reads the DCS", slog.Any("err", err))
		}
	}
	if lease := a.dcs.Lease(); lease.ID == 0 || lease.TTL != a.settings().TTL {
		// After a change of ttl the keys move to the new lease by the rules for an earlier life's.
		if err := a.dcs.Grant(ctx, a.settings().TTL); err != nil {
			a.log.WarnContext(ctx, "no lease was granted", slog.Any("err", err))
		}
	}
	return true
}

// budget is how long a call to the DCS may take: who has or gets a primary must be able to act on its lease's end in
// time, so it has what is left until then, and nothing afterwards. Only a loop that was late, and not cut off, gets a
// part of the margin for one last try.
func (a *Agent) budget(now time.Time) time.Duration {
	limit := min(dcsTimeout, a.settings().RetryTimeout)
	left, bound := a.left(now)
	if !bound {
		return limit
	}
	if late := left + a.margin(); left <= 0 && late > 0 && !a.seen.blind {
		left = late / 4
	}
	return min(limit, left)
}

// patience is how long a look at the server may take: the lease ends whether it answers or not. Whoever accepts writes
// without the leader key on the own lease has no time at all.
func (a *Agent) patience(now time.Time) time.Duration {
	left, bound := a.left(now)
	switch leader := a.seen.cluster.Leader; {
	case a.server.primary && (leader.Name != a.cfg.Name || leader.Lease != a.dcs.Lease().ID):
		return leastLook
	case bound:
		return min(statusTimeout, max(left, leastLook))
	}
	return statusTimeout
}

// left is the time until a server that accepts writes, or may at any moment, has to be stopped. The bool is false
// when there is none.
func (a *Agent) left(now time.Time) (time.Duration, bool) {
	lease := a.dcs.Lease()
	// In pause a primary goes on whatever the lease does.
	if lease.ID == 0 || a.settings().Pause || !a.server.primary && !a.job.makesPrimary() {
		return 0, false
	}
	return a.writeDeadline(!a.seen.blind).Add(-a.margin()).Sub(now), true
}

// margin is how long before its lease ends a primary begins to stop: see ha.View.
func (a *Agent) margin() time.Duration {
	return ha.Lease{TTL: a.dcs.Lease().TTL}.Shortest(a.settings().TTL) / 6
}

// reconfigure hands the settings of the dynamic configuration to the server when they changed. It returns whether a
// server was told to read them.
func (a *Agent) reconfigure(ctx context.Context) bool {
	version := cluster.Config{Data: a.seen.data}.JSON()
	if version == a.applied {
		return false
	}
	a.options = a.cfg.Options(a.seen.data)
	changed, err := a.pg.Reload(ctx, a.cfg.Postgres(a.seen.data))
	if err != nil {
		a.log.WarnContext(ctx, "the settings of the server were not applied", slog.Any("err", err))
		return false
	}
	a.applied = version
	if changed {
		a.reloaded()
	}
	return changed
}

// lastServer is what the agent remembers of the server between observations.
type lastServer struct {
	status postgres.Status
	// primary, timeline and position are of the last answer.
	primary  bool
	timeline wal.Timeline
	position wal.LSN
	standby  bool
	// follows is the member and address that the server was last told to follow.
	follows string
	address string
	remote  bool
	// upstream is all that the server was last told of whom it follows; zero in a new life.
	upstream postgres.Upstream
	// senders and syncNames are of the last answer.
	senders   []ha.Sender
	syncNames guc.SyncNames
	// crashed is true while the server is down without having been told to stop.
	crashed bool
}

// fell reports whether the server, as it is seen now, is down without having been told to.
func (s *lastServer) fell(now postgres.Status, running ha.JobKind, ended *ha.EndedJob) bool {
	if now.Process != postgres.ProcessNone || takesDown(running) {
		return false
	}
	if ended != nil && takesDown(ended.Kind) {
		return ended.Kind == ha.JobRestart && !ended.OK
	}
	return s.crashed || s.status.Process != postgres.ProcessNone || ended != nil && ended.Kind == ha.JobStart && !ended.OK
}

// takesDown reports whether a job ends the server, for good or for a while.
func takesDown(job ha.JobKind) bool {
	switch job {
	case ha.JobStop, ha.JobRestart, ha.JobRewind, ha.JobReinitialize, ha.JobReplace, ha.JobCopySlots:
		return true
	case ha.JobBootstrap, ha.JobClone, ha.JobStart, ha.JobPromote, ha.JobFollow, ha.JobCheckpoint:
	}
	return false
}

// serverFacts translates what the adapter saw. While the server lives but does not answer, what it last said of its
// positions stands (rule S7). Its role shows without an answer: a promotion takes the mark of a standby away before the
// first write.
func (a *Agent) serverFacts(st postgres.Status) ha.Server {
	s := ha.Server{
		Data: dataOf(st.Data), Trouble: st.DataReason, SystemID: st.SystemID, Process: processOf(st.Process), Answers: st.Answers,
		Streaming: st.ReplicationState == postgres.ReplicationStreaming,
		Control:   controlOf(st),
		CanRewind: a.options.UseRewind && st.Control.Rewindable(),
		SetAside:  len(a.pg.Kept()) > 0,
		Started:   st.PostmasterStarted, Version: st.ServerVersion, PendingRestart: len(st.PendingRestart) > 0,
		ReplayPaused: st.ReplayPaused, Led: st.Led, Held: st.Held,
	}
	a.server.sync(&s, st)
	if st.Err != nil && s.Data == ha.DataCluster && !s.SystemID.Valid() {
		s.Data, s.Trouble = ha.DataUnknown, st.Err.Error()
	}
	if st.Answers {
		a.server.standby, a.server.timeline = st.InRecovery, st.Timeline
		a.server.position = max(st.Written, st.Received, st.Replayed)
	}
	switch {
	case st.Process == postgres.ProcessNone:
		a.server.timeline, a.server.position = 0, 0
	case !st.Answers:
		a.server.standby = st.Standby
	}
	s.InRecovery, s.Timeline, s.Position = a.server.standby, a.server.timeline, a.server.position
	if s.Data != ha.DataUnknown {
		a.server.primary = s.Primary() // what cannot be seen is not gone (rule S7): its deadline stands
	}
	s.Follows, s.FollowsRemote, s.MissingSlots = a.follows(st), a.followsRemote(st), a.slotsMissing(st)
	return s
}

// follows is the name of the member the server follows: whoever it really receives from, else whom it was told
// to follow, as long as that member is still at that address. Whoever follows in another way than is wanted now, with
// another slot, say, or was told by an earlier life, follows nobody: it is told once more, which changes what differs.
func (a *Agent) follows(st postgres.Status) string {
	if st.Upstream.Known() {
		for _, m := range a.seen.cluster.Members {
			if host, port, ok := m.Endpoint(); ok && host == st.Upstream.Host && port == st.Upstream.Port && a.server.upstream == a.upstreamOf(m.Name, false) {
				return m.Name
			}
		}
		return ""
	}
	if m, ok := a.seen.cluster.Member(a.server.follows); ok && m.ConnURL == a.server.address {
		return m.Name
	}
	return ""
}

// followsRemote reports whether the server follows the source of the standby cluster: whoever it really receives from is
// that, or it was told to and does not receive.
func (a *Agent) followsRemote(st postgres.Status) bool {
	remote := a.settings().Standby
	if st.Upstream.Known() && remote.Host != "" {
		return slices.Contains(strings.Split(remote.Host, ","), st.Upstream.Host) && a.follows(st) == ""
	}
	return a.server.remote
}

func dataOf(d postgres.Data) ha.Data {
	switch d {
	case postgres.DataEmpty:
		return ha.DataEmpty
	case postgres.DataCluster:
		return ha.DataCluster
	case postgres.DataIncomplete:
		return ha.DataIncomplete
	case postgres.DataUnreadable:
	}
	return ha.DataUnknown
}

func processOf(p postgres.Process) ha.Process {
	switch p {
	case postgres.ProcessStarting:
		return ha.Starting
	case postgres.ProcessRunning:
		return ha.Running
	case postgres.ProcessStopping:
		return ha.Stopping
	case postgres.ProcessNone:
	}
	return ha.Stopped
}

func controlOf(st postgres.Status) ha.Control {
	state := st.Control.State
	return ha.Control{
		Clean:    state.Clean(),
		Standby:  state == postgres.StateShutDownInRecovery || state == postgres.StateInArchiveRecovery || st.Standby && state.Clean(),
		Primary:  !st.Standby && state.Primary(),
		Timeline: max(st.End.Timeline, st.Control.CheckpointTimeline, st.Control.MinRecoveryEndTimeline),
		End:      st.End.LSN,
	}
}
