// Package sim is the *laboratory* in which the decisions of package ha run against a hostile world: several members,
// each with the real ha.Next, in virtual time.
//
// It knows models of everything around the decisions: an executor like package agent, a coordination store with leases,
// watches and compare-and-swap, PostgreSQL servers with timelines and WAL, a guard beside each of them, clients, clocks
// that drift, and a network that loses messages. One seed fixes a whole run, because one goroutine turns one queue of
// events. It refuses to know real time, real processes and real files; those are for packages agent, postgres and chaos.
//
// # A run
//
// A Setup says how many members there are and with which timing; a list of Faults says what happens to them, and when.
// Both are drawn from the seed (schedule.go) or read from a scenario file (scenario.go). Run turns the events, and after
// each of them the rules of the design are checked (invariants.go); the first one that is broken ends the run. When all
// faults are over, a leader and streaming standbys have to come back in time (liveness.go).
//
// # The executor
//
// life.go, observe.go, act.go, tell.go, job.go, ask.go and publish.go follow the files of the same names in package agent, line by
// line where order matters: what is looked at first, how long a call to the store may take, what counts as unknown. Each
// task of an agent, its loop and its job, is a coroutine, so this code is as straight as the one it stands for.
//
// # Synchronous replication
//
// Half of the seeds have it. names.go and senders.go are the server's part of it: for whom commits wait, and what is known of
// the standbys. promise.go holds rule S5 for it. The other seeds draw and do what they would without.
//
// # Mutants
//
// mutants.go and mutants_sync.go hold deliberate mistakes in what the decisions see, in what they decide and in how it is done. A test
// shows that each is found within a bounded number of seeds: that is what the invariants are worth.
package sim
