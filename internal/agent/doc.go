// Package agent is the *shell* around the HA decisions of one member: the loop that observes, asks package ha
// what to do, does it, and publishes what came of it.
//
// It knows goroutines, deadlines and the order of things. It refuses to decide: every reason is in the
// decision, and a wake-up carries none.
//
// # One tick
//
//	observe   the time once; the shared picture, within a deadline that the lease leaves; the server; the job
//	decide    ha.Next
//	act       one call on one port for each action, in order; its result is an outcome of the next view
//	publish   a snapshot for the REST API, and the member document when it changed
//
// Timer, changes in the DCS, the end of the postmaster, the end of a job and requests of operators only wake
// the loop.
//
// # What calls may not do
//
// Calls of the REST API change nothing of the loop's. They leave a request (request.go, restart.go), or promise another
// member not to lead (failsafe.go); that promise and everything by which this member could lead exclude each other.
//
// # Goroutines
//
// Run owns them all and returns when they have ended: the loop itself, one watcher of the DCS, one reader of the
// configuration file when it is asked for again, at most one job, and at most three errands for replication slots
// (slots.go), which neither delay nor fail a tick. Nothing here stops PostgreSQL but a job that was decided on.
package agent
