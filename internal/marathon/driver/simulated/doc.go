// Package simulated is part of the *laboratory*: a driver whose hosts, tasks, volumes and databases exist in memory only.
//
// A [Fleet] is the machines. It outlives the drivers that are opened over it, as real machines outlive schedulers, and
// everything in it takes as long as it is told to take, on whatever clock there is: inside a testing/synctest bubble an
// hour passes at once. [Fleet.Open] connects a driver, [Fleet.Members] and [Fleet.Dial] are how a scheduler reaches the
// agents of databases and the health checks of tasks.
//
//	fleet.go     the machines and what they are made of
//	driver.go    the port: one connection of a scheduler
//	launch.go    a task begins, ends, is killed
//	volume.go    volumes are made and destroyed
//	agenda.go    what will happen, on one clock
//	status.go    what is told, when, in which order, and how often
//	host.go      power, partitions, loss for good
//	weather.go   what goes wrong by chance
//	member.go    databases: clones, elections, switchovers
//	agent.go     their REST API as the scheduler sees it
//	dial.go      health checks over a network that is not there
//	rules.go     the order of things that every scheduler is held to
//	store.go     what a scheduler has stored
//
// # What a scheduler is held to
//
// A fleet that can look into the scheduler's store ([Config.Store]) complains through [Config.Broken] when a task is
// launched that is not stored yet, when a status is acknowledged that is not, when two tasks would work on one volume,
// when a volume is destroyed of an instance that is still wanted, and when a PostgreSQL member is stopped that the
// disruption gate would have kept: the leader beside replicas, or a second member while another one is down.
package simulated
