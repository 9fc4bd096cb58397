// Package acceptance is part of the *laboratory*: what a client of Marathon may rely on, asked over HTTP of a running
// scheduler.
//
// It knows Marathon's API as its documentation and its clients describe it, and the endpoints below /pg/v1. Each scenario
// names in a comment the section of the fact sheet of Marathon's REST API (api.md) or of its clients (clients.md) that it
// holds the scheduler to. It refuses to know how the scheduler is made: all it has is a [Platform], so that the same
// scenarios run over any driver, in virtual time or in real time.
//
//	platform.go     what a platform is, the list of scenarios
//	session.go      requests, answers, waiting
//	apps.go         apps: create, change, versions, restart, delete
//	errors.go       the table of errors
//	reads.go        filters, embeds, paths as clients send them
//	tasks.go        tasks and what killing them means
//	checks.go       health and readiness checks
//	deployments.go  deployments, rollback
//	locks.go        locks and force, lists of updates, dependencies, backoff, statistics, selectors
//	upgrade.go      rolling upgrades, scaling down, volumes
//	queue.go        what waits, and why
//	resources.go    secrets, gpus, roles
//	places.go       constraints, ports, environment, ids
//	definitions.go  legacy forms, definitions that are refused
//	groups.go       groups
//	events.go       the event stream
//	stories.go      what events and metrics tell
//	about.go        info, leader, ping, metrics and their like
//	clients.go      what clients of Marathon send and read
//	python.go       Python's client, which is strict
//	postgres.go     databases
package acceptance
