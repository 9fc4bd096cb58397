package ha

import (
	"maps"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Without the DCS a primary cannot know whether another member was elected. With failsafe_mode it asks them all: whoever
// agrees does not race for a ttl from then on. When all members that may race agree, none of them wins before that time
// is over, so the consent of all counts like the lease (rule S1). Those that may race are the members of the failsafe key,
// as it was last read: a member that is not in it does not race, which the race rule sees to.

// failsafe asks all members while the DCS is silent. The bool is false where the mode is off, or cannot help.
func failsafe(mem *Memory, v View) (Decision, bool) {
	if !v.Settings.FailsafeMode || !v.leading() || v.Cluster.Failsafe[v.Self.Name] == "" {
		return Decision{}, false
	}
	left := v.deadline().Add(-v.margin()).Sub(v.Now)
	if next := v.Failsafe.Asked.Add(v.renewEvery()).Sub(v.Now); next > 0 && v.Failsafe.Asked.After(later(v.Lease.Renewed, mem.StoppedSince)) {
		why := "the DCS does not answer: staying primary while the lease lasts; not all members agreed to more"
		if v.Now.Before(v.Failsafe.Until) {
			why = "the DCS does not answer: staying primary, all members agree"
		}
		return do(why).wake(min(left, next)), true
	}
	others := maps.Clone(v.Cluster.Failsafe)
	delete(others, v.Self.Name)
	why := "the DCS does not answer: asking all members whether this primary may go on"
	return do(why, AskFailsafe{Members: others}).wake(min(left, v.renewEvery())), true
}

// vouched reports whether a server that is down may be started as a primary without the DCS: while the lease lasts, or when
// all members agreed since it went down. An older word is not enough, for a member that asks whether this server is a
// primary now is told that it is none.
func vouched(mem *Memory, v View) bool {
	agreed := v.Failsafe.Until.Add(-v.Settings.TTL)
	return v.Now.Before(v.Lease.Deadline.Add(-v.margin())) || agreed.After(mem.StoppedSince)
}

// failsafeMembers are the members to ask when the DCS is gone, by their REST addresses.
func failsafeMembers(c cluster.Cluster) map[string]string {
	members := map[string]string{}
	for _, m := range c.Members {
		if m.APIURL != "" {
			members[m.Name] = m.APIURL
		}
	}
	return members
}

// failsafeChecks are the conditions of failsafe_mode for taking a vacant key: whoever leads without the DCS counts on
// them.
func failsafeChecks(mem *Memory, v View) []Check {
	// A member that is not asked may race all the same when those that are all say that they are no primary.
	named := len(v.Cluster.Failsafe) == 0 || v.Cluster.Failsafe[v.Self.Name] != "" || allAnswered(mem, v)
	heard := promised(v)
	checks := []Check{
		check("failsafe", named, "this member is asked when the DCS is gone", "this member is not in the failsafe key: a primary without the DCS does not ask it"),
		check("failsafe leader", !heard, "no primary goes on without the DCS", v.Failsafe.Leader+" goes on as the primary without the DCS"),
	}
	// What an earlier life agreed to is forgotten, and counts for a ttl. Those that answer would tell of a primary.
	fresh := forgetful(mem, v) && !allAnswered(mem, v)
	return append(checks, check("failsafe memory", !fresh, "an earlier life can have agreed to no primary",
		"this agent began less than a ttl ago, and an earlier life may have agreed to a primary without the DCS"))
}

// promised reports whether this member agreed to another primary less than a ttl ago.
func promised(v View) bool {
	return v.Settings.FailsafeMode && v.Failsafe.Leader != "" && v.Now.Sub(v.Failsafe.Heard) < v.Settings.TTL
}

// forgetful reports whether an earlier life of this agent may have agreed to a primary without the DCS.
func forgetful(mem *Memory, v View) bool {
	return v.Settings.FailsafeMode && v.Now.Sub(mem.Born) < v.Settings.TTL
}

// allAnswered reports whether every other member of the failsafe key answered since the leader key is vacant, and is no
// primary. One without a document cannot be asked.
func allAnswered(mem *Memory, v View) bool {
	for name := range v.Cluster.Failsafe {
		if name == v.Self.Name {
			continue
		}
		_, known := v.Cluster.Member(name)
		p := v.Peers[name]
		if !known || !p.Reached || p.At.Before(mem.VacantSince) || !p.InRecovery && p.State == cluster.StateRunning {
			return false
		}
	}
	return true
}
