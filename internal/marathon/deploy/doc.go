// Package deploy is the *core* of the scheduler: wanted definitions × instances × deployments × roles of the members ×
// now → what to do next, and why nothing more is done.
//
//	Next(State, now) Plan          what to launch, stop, switch over and finish; what is waited for and until when
//	Observe(Instance, Report)      what a status of the driver makes of an instance
//	Judge(HealthCheck, …)          what the results of a health check mean
//	Steps(old, next)               the steps of a deployment
//
// Next is asked after every event and answers from what is there, not from what it said before: a plan that was carried
// out in part, or not at all, is followed by the plan for what came of it. It refuses to know how anything is launched,
// stored or asked, and it has no clock: now is an argument.
//
// # One file per situation
//
//	plain.go      a plain app: as many instances as wanted, Marathon's order
//	rolling.go    a plain app replaces its instances after a change of its configuration
//	postgres.go   a PostgreSQL app: the order of the situations below, and what they share
//	grow.go       more members are wanted; suspended ones return to their volumes first
//	shrink.go     fewer are wanted; the leader is never among the victims
//	stop.go       none is wanted: replicas first, leader last
//	restart.go    members take up a new configuration one at a time, the leader last and after a switchover
//	relaunch.go   a task ended by itself: the same instance again, after a pause that grows
//	progress.go   the steps of deployments and when one is done
//
// # Rules
//
// Unknown is not dead (S7): where a decision about a PostgreSQL app needs the role of a member and the member does not
// answer, the decision waits and says so. The scheduler never makes a leader (S9): it asks for a switchover and waits
// for its result. At most one member of a PostgreSQL app is being stopped by us at any time. Tasks the store does not
// know of mean that the store is older than reality: nothing of that app is started or stopped.
//
// The scenarios are in testdata, the laws in laws_test.go.
package deploy
