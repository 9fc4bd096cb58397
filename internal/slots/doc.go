// Package slots is the *core* that decides which replication slots one server has: wanted × existing → steps.
//
//	memory, plan := slots.Next(memory, view)
//
// It knows who streams from whom, what is to be kept for a member that is away, how far a slot may be moved, and when a
// copied logical slot can be trusted. It refuses to know how a slot is made, when somebody looks, and who leads: that is
// package postgres, package agent and package ha. Slots are no decision of high availability: nothing here can make or
// unmake a leader.
//
// # Which slots there are
//
//	a member's     named after it; its standby streams through it from whichever server it follows. With member_slots_ttl
//	               every server has those of all members, so that after a switchover nobody waits for one
//	retained       a member's that is away: kept for member_slots_ttl after it was last seen, see Publish
//	permanent      of the dynamic configuration (slots), physical or logical
//	anybody's      everything else: dropped, unless ignore_slots says that it is somebody else's business
//
// Only the server that streams is told by its standbys how far they are. It publishes the positions, and everybody else
// moves the slots of the same name, never back and never past what it has replayed itself.
//
// A logical slot cannot be made on a standby of PostgreSQL before 16, and never at the right position: it is copied from
// the leader, moved like the others, and safe to be used after a promotion only from a certain moment on, see ready.go.
//
// The slot that a standby cluster uses on its remote is none of ours: there it is to be a permanent physical slot.
//
// # What is never dropped
//
// A slot in use, a temporary one, one that PostgreSQL 17 takes care of itself (failover), one that ignore_slots names. In
// pause only a slot that stands in the way of a wanted one of its name goes. Without a leader, and before the leader said
// what is retained, nobody knows what is wanted no longer.
//
// The rules hold for PostgreSQL 12 and newer, all of which can move slots of both kinds; what a version does not tell of
// its slots is a zero. The scenarios in testdata read like the specification; the laws are in laws_test.go.
package slots
