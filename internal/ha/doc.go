// Package ha is the *core* of the agent: the pure function that decides what one member of a PostgreSQL
// cluster does next.
//
//	mem, decision := ha.Next(mem, view)
//
// A View holds everything that was seen at one instant: the shared picture from the DCS, the lease, the
// local server, the running job, the peers' answers. Memory holds the little that must survive from one
// decision to the next. A Decision holds the actions to carry out, in order, and one sentence that says
// why. Nothing else goes in and nothing else comes out: no clock, no network, no file, no log.
//
// # The owner's duties
//
// The agent (package agent) calls Next in a loop and promises:
//
//  1. View.Now is read once per tick, before anything else was observed.
//  2. View.Cluster is read at one revision; when that fails, View.Fresh is false and Cluster is the last
//     picture that could be read.
//  3. Actions are carried out in the order given. The result of each is an Outcome of the next View; an
//     answer that never came is Unknown, not Refused (rules S7, S8).
//  4. At most one job runs. StartJob while another one runs first cancels that one and waits for it.
//  5. After a Decision with Again set the next tick follows at once; otherwise at the latest after Wake.
//
// # The rules
//
// next.go lists the rules in order; the first that applies decides. Each situation has its file: fence,
// job, leave, nodcs, failsafe, request, paused, identity, bootstrap, stale, twin, down, race, leader, standby, manual,
// watchdog, replica, sync. The scenarios in testdata read like the specification and are named after the situations.
//
// The safety rules S1, S2, S4 to S8 of the design are named in the comments where they are kept.
//
// Package ha refuses to know how anything is done: which store holds the picture, how a server is
// stopped, what a request looked like on the wire.
package ha
