package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Two servers can begin timelines of the same number: one is promoted and cut off before it can say so in the history
// key, and another one, which never heard of that timeline, is promoted after it. PostgreSQL takes such twins for
// equal, pg_rewind sees nothing to do, and a standby would stream WAL onto data that it does not belong to.
//
// Only the one that was the primary of a timeline began it. So a member that was the primary of a timeline that the
// history key says another one began holds a twin: it neither follows nor leads with it, and clones anew.

// twin reports whether the own data are on a twin of the cluster's timeline.
func twin(mem *Memory, v View) bool {
	by := beganBy(v, mem.Led)
	// Once known it stays known until the data are replaced: the history key may be lost, and with it who began what.
	mem.Twin = mem.Twin || by != "" && by != v.Self.Name
	return mem.Twin
}

// beganBy is the member that began a timeline, as the history key tells; empty when that is not known.
func beganBy(v View, tl wal.Timeline) string {
	for _, l := range v.Cluster.History.Lines {
		if l.Timeline+1 == tl {
			return l.Leader
		}
	}
	return ""
}

// remember notes the timeline on which the server is, or last was, a primary.
func remember(mem *Memory, s Server) {
	switch {
	case s.Primary() && s.Timeline != 0:
		mem.Led = s.Timeline
	case s.Process == Stopped && s.Control.Primary:
		mem.Led = s.Control.Timeline
	case mem.Led == 0:
		mem.Led = s.Led // of an earlier life
	}
}

// unrecorded reports whether the server was a primary on a timeline that the history key did not know when it was last
// read. Whether that is a twin shows once it can be read again; until then its control file is the only witness.
func unrecorded(v View) bool {
	known, own := v.Cluster.Timeline(), v.Server.Control
	return own.Primary && own.Timeline > max(known, 1)
}

// twinDown replaces the data of a twin. The old ones are kept (rule S6).
func twinDown(v View, leader cluster.Member) (Decision, bool) {
	why := "another member began the timeline that this one was the primary of"
	switch {
	case leader.Role != cluster.RolePrimary || !leader.Running():
		return do(why + ": waiting until leader " + leader.Name + " can be cloned").wake(handoverWait), true
	case !v.Self.CloneDiverged:
		return do(why + ": reinitialize this member, or set remove_data_directory_on_diverged_timelines").wake(time.Minute), true
	}
	return replace(v, why, source{member: leader.Name}, true)
}
