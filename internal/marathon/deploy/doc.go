// Package deploy is the *core* of the scheduler: wanted definitions × instances × deployments × roles of the members ×
// now → what to do next, and why nothing more is done.
//
//	Next(State, now) Plan          what to launch, stop, switch over and finish; what is waited for and until when
//	Gate(State, app, now)          which members of a PostgreSQL app may be stopped now, and why the others may not
//	Queue(State, now)              what is to be launched, since when and after which pause
//	Observe(Instance, Report)      what a status of the driver makes of an instance
//	Judge(HealthCheck, …)          what the results of a health check mean
//	Steps(old, next)               the steps of a deployment
//
// Next is asked after every event and answers from what is there, not from what it said before: a plan that was carried
// out in part, or not at all, is followed by the plan for what came of it. The breaker alone is remembered, and given back
// with the next question. It refuses to know how anything is launched,
// stored or asked, and it has no clock: now is an argument.
//
// # One file per situation
//
//	plain.go      a plain app: as many instances as wanted, Marathon's order, pauses and unreachable strategy
//	rolling.go    a plain app replaces its instances after a change of its configuration, or moves off a host
//	postgres.go   a PostgreSQL app: the order of the situations below, and what they share
//	gate.go       the disruption gate: whether a member may be stopped now, and who may take over from a leader
//	kill.go       a person or a health check wants a task ended
//	breaker.go    how many tasks are ended for failed health checks, and none when it is the scheduler that is cut off
//	hearing.go    what the scheduler hears of tasks over its own network
//	grow.go       more members are wanted; suspended ones return to their volumes first
//	rescue.go     nobody who is wanted has data, and somebody who was given up has
//	shrink.go     fewer are wanted; the leader is never among the victims
//	drain.go      a host is to become empty: its members stop one at a time and come back when that ends
//	stop.go       none is wanted: replicas first, leader last
//	restart.go    members take up a new configuration one at a time, the leader last and after a switchover
//	relaunch.go   a task ended by itself, or its volume is being made: the same instance again, after a pause that grows
//	wipe.go       volumes that are to be destroyed, after the tasks that used them
//	ready.go      readiness checks hold a deployment up
//	progress.go   the steps of deployments and when one is done
//	queue.go      what waits to be launched, for people who ask
//
// # Rules
//
// Unknown is not dead (S7): where a decision about a PostgreSQL app needs the role of a member and the member does not
// answer, the decision waits and says so; and a scheduler that does not hear most tasks is cut off rather than they are
// dead. The scheduler never makes a leader (S9): it asks for a switchover and waits
// for its result. Whatever stops a member of a PostgreSQL app passes the gate, so that at most one is away by us at any
// time; only force and the end of all members do not. A volume is destroyed when somebody asked for that, or when nothing
// ever ran in it, and never before the task that used it has ended. Tasks the store does not
// know of mean that the store is older than reality: nothing of that app is started or stopped.
//
// The scenarios are in testdata, the laws in laws_test.go.
package deploy
