package ha

import (
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// leader acts while this member holds the leader key and its server runs.
func leader(mem *Memory, v View) (Decision, bool) {
	if !v.leading() {
		return Decision{}, false
	}
	switch {
	case v.Settings.Standby.Active() && (!v.Settings.Pause || v.Server.InRecovery):
		return standbyLeader(mem, v)
	case v.Server.InRecovery:
		return promote(mem, v)
	}
	if d, ok := activateWatchdog(v); ok {
		return d, true
	}
	chores := upkeep(v)
	if d, ok := manual(mem, v); ok {
		// The history goes first: the next leader must know of this timeline.
		d.Do = append(chores, d.Do...)
		return withCheckpoint(mem, v, synchronous(mem, v, d)), true
	}
	mem.Handover = Handover{}
	d := doubtQuorum(v, withStatus(v, do("leading")).with(chores...))
	return withCheckpoint(mem, v, synchronous(mem, v, d)), true
}

// withCheckpoint adds the checkpoint after the promotion to a decision that leaves room for it: others wait for it before
// they rewind.
func withCheckpoint(mem *Memory, v View, d Decision) Decision {
	done := mem.Checkpointed == v.Server.Timeline || !v.Server.Answers || v.Now.Before(mem.RetryAt)
	if done || d.Again || contains[StartJob](d) || contains[WriteHistory](d) {
		return d
	}
	return d.with(StartJob{Job: Job{Kind: JobCheckpoint}})
}

// promote makes the standby of the key's holder the primary (rule S4): the key is held by
// compare-and-swap, the identity was checked, the timeline is not older than the cluster's.
func promote(mem *Memory, v View) (Decision, bool) {
	switch {
	case behind(v, v.Server.Timeline):
		return giveUp(mem, v, "this member is on an older timeline than the cluster")
	case !v.mayWrite():
		return do("the lease is too old to promote on").wake(time.Second), true
	case promised(v):
		// The key came late: after its request had no answer this member agreed to another primary.
		return do("holding the leader key, but " + v.Failsafe.Leader + " goes on as the primary without the DCS").wake(time.Second), true
	case v.Now.Before(mem.NoRaceUntil):
		return giveUp(mem, v, "the promotion failed a moment ago")
	case watchdogMissing(v) && v.Watchdog.Usable && outcome[ActivateWatchdog](v) == 0:
		return activation(v, "holding the leader key: the watchdog before the promotion"), true
	case watchdogMissing(v) && v.Watchdog.Required:
		return giveUp(mem, v, "the watchdog is required and could not be activated")
	}
	if d, ok := inherit(mem, v); ok {
		return d, true
	}
	return job("holding the leader key: promoting", Job{Kind: JobPromote}), true
}

// upkeep are the documents that the leader puts right.
func upkeep(v View) []Action {
	var chores []Action
	if !v.Cluster.Initialize.Known() && v.Server.SystemID.Valid() {
		chores = append(chores, WriteInitialize{v.Server.SystemID, v.Cluster.Initialize.Version})
	}
	if v.Cluster.Config.Data == nil {
		chores = append(chores, WriteConfig{v.Cluster.Config.Version})
	}
	if members := failsafeMembers(v.Cluster); v.Settings.FailsafeMode && !maps.Equal(members, v.Cluster.Failsafe) {
		chores = append(chores, PromiseFailsafe{members})
	}
	if v.Settings.Standby.Active() && v.Cluster.Sync.Made() {
		chores = append(chores, DeleteSync{v.Cluster.Sync.Version}) // nothing is committed here any more
	}
	// What a standby cluster's history was before it followed the remote is over.
	borrowed := v.Settings.Standby.Active() && v.Cluster.Timeline() != v.Server.Timeline
	if v.Server.Answers && (borrowed || v.Server.Primary() && v.Cluster.Timeline() < v.Server.Timeline) {
		chores = append(chores, WriteHistory{})
	}
	return chores
}

// withStatus adds the leader's position, and those of the slots, where they moved and the lease is renewed anyway.
func withStatus(v View, d Decision) Decision {
	serves := v.Server.Primary() || v.Settings.Standby.Active() && v.Server.Process == Running
	position := max(v.Server.Position, v.Cluster.Status.Optime)
	if v.Server.Primary() && v.Server.Answers {
		position = v.Server.Position // It counts also where it is less than a former one's, whose last WAL was lost.
	}
	moved := position != v.Cluster.Status.Optime
	said := v.Published.Positions == nil || maps.Equal(v.Published.Positions, v.Cluster.Status.Slots) && slices.Equal(v.Published.Retain, v.Cluster.Status.RetainSlots)
	if v.Fresh && v.leading() && serves && (moved || !said) && (v.renewDue() || v.Cluster.Status.Optime == wal.LSN(0)) {
		return d.with(WriteStatus{Optime: position})
	}
	return d
}
