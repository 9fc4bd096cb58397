// Package storm is part of the *laboratory*: random histories of people, machines and schedulers, in virtual time, each of
// which has to end well.
//
// A [History] is drawn from a seed: a few hosts, a few apps, and a list of things that people do (create, update, scale,
// restart, kill, drain, delete, cancel) and that go wrong (hosts, tasks, network, store, driver, scheduler). It is run by
// run.Scheduler over kv/memory and driver/simulated inside a testing/synctest bubble, so an hour costs milliseconds. It
// can be written down, read again and made smaller.
//
//	history.go     what a history is, its text, its smallest form
//	draw.go        a history for each seed
//	world.go       a scheduler with everything around it
//	verbs.go       what each line of a history does
//	blind.go       a scheduler without a network of its own
//	check.go       the rules, after every line and whenever the machines are asked for something
//	term.go        schedulers that freeze while others take over, and wake
//	settle.go      the rules when everything is over
//	mutants.go     deliberate mistakes, each of which has to break a rule
//	crash_test.go  a scheduler dies before and after each of its calls
//	bench_test.go  a thousand apps and ten thousand tasks
//
// # The rules
//
// Counts converge when the faults end. Constraints always hold. A plain app that is replaced never has fewer healthy
// instances than its strategy allows, nor more in all. The disruption gate is never passed by; the leader is stopped only
// after a switchover. No two tasks on one volume, no volume leaked or lost, none destroyed that was not to be. No deployment
// is forgotten, no change that was confirmed. A scheduler that hears nobody ends no task for its silence. A store that is empty or older than what runs leads to nobody's death.
package storm
