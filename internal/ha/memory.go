package ha

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/quorum"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Memory is what one decision leaves for the next. It is a plain value: printing it shows everything the
// agent remembers.
type Memory struct {
	// Bootstrap is true from winning the initialize key until the new cluster has its leader.
	Bootstrap bool
	// Bootstrapped is true once the bootstrap job has made the data directory.
	Bootstrapped bool
	// VacantSince is when the leader key was first seen vacant; zero while somebody holds it.
	VacantSince time.Time
	// Born is when the first decision was made.
	Born time.Time
	// Looked is true once the data directory could be looked at.
	Looked bool
	// Identity is the system identifier of the cluster as it was last known.
	Identity wal.SystemID
	// Wiped is true when the documents were gone at any time since the leader key is vacant.
	Wiped bool
	// LastLeader is the last member that held the leader key.
	LastLeader string
	// StoppedSince is when the server was first seen stopped since it ran or a job ended; zero while it runs.
	StoppedSince time.Time
	// Ran is true when the server ran at the last decision.
	Ran bool
	// Ours is true while the server is down because this agent took it down, not somebody else.
	Ours bool
	// Crashes are when the server crashed lately while this member led.
	Crashes []time.Time
	// Position is where the own WAL ended at the last decision.
	Position wal.LSN
	// Lead is the leader key as it was last seen.
	Lead cluster.Leader
	// UpstreamSince is from when on an answer of the upstream counts: since then the leader key has not changed hands, and the
	// server has received nothing. What the same member said before may be of an older timeline than the own one.
	UpstreamSince time.Time
	// Handover is the switchover in flight on the side of the leader that gives up.
	Handover Handover
	// ReleasedAt is when the leader key was last given up on purpose.
	ReleasedAt time.Time
	// NoRaceUntil keeps a member out of the race after its promotion failed.
	NoRaceUntil time.Time
	// StartFailures counts failed starts in a row.
	StartFailures int
	// RetryAt is when a failed clone, start or rewind is tried again.
	RetryAt time.Time
	// RewindFailed is true after pg_rewind failed although the leader could be reached.
	RewindFailed bool
	// Led is the timeline on which the own data were last a primary's; zero when they are another member's copy.
	Led wal.Timeline
	// Twin is true once the own data turned out to be on a twin of the cluster's timeline.
	Twin bool
	// Promise is the last one that was seen about synchronous standbys. Quorum is what the leader knows of whom its commits
	// wait for.
	Promise cluster.Sync
	Quorum  quorum.Memory
	// NamesSure is true once every process of the server goes by the names it was told last, NamesFailed when the last
	// telling was in vain.
	NamesSure, NamesFailed bool
	// PromiseSure is true once this leader has written the sync key and knows it. Before, and after a write whose answer was
	// lost, another one may come into force late, of this life or an earlier one; but not over a later version (rule S8).
	PromiseSure bool
	// ReleaseSince is since when this synchronous standby asks the leader to do without it; Releasing is true when it did so
	// at the last decision.
	ReleaseSince time.Time
	Releasing    bool
	// Checkpointed is the timeline on which the checkpoint after the promotion is done.
	Checkpointed wal.Timeline
}

// Handover is a switchover from this member to another one.
type Handover struct {
	// Kind is the word for it in sentences; empty when none is in flight.
	Kind string
	// Candidate is the wanted next leader; empty when any will do.
	Candidate string
	// Until is when the leader takes its server up again because nobody was ready.
	Until time.Time
	// Checkpoint is where the shutdown checkpoint begins, once known: whoever wins must have received more.
	Checkpoint wal.LSN
}

func (h Handover) active() bool { return h.Kind != "" }

// answering are the names without those that were silent when they were asked for this handover, because every
// question to a silent member holds up the answers of the others; all names when all were.
func (h Handover) answering(v View, names []string) []string {
	var out []string
	for _, name := range names {
		p := v.Peers[name]
		if silent := !p.Reached && p.At.After(h.Until.Add(-handoverLimit-time.Second)); !silent {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return names
	}
	return out
}

// step is the time until the candidates are asked again: often at first, and less often the longer it takes.
func (h Handover) step(now time.Time) time.Duration {
	return handoverStep + now.Sub(h.Until.Add(-handoverLimit))/handoverEase
}

// complete are the members that received the shutdown checkpoint, and with it everything that was ever written here.
func (h Handover) complete(v View, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		p := v.Peers[name]
		return !p.Reached || !p.InRecovery || p.NoFailover || h.Checkpoint == 0 || p.Position <= h.Checkpoint
	})
}
