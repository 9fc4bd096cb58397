// Package main is part of the *laboratory*: it is what `make bench-failover` runs. It measures how long a client cannot
// write when something happens to a cluster, and what an agent costs while nothing happens, for pgbaton and for Patroni
// in the same way: by the same steps, in turns, on one machine.
//
// It knows the subjects from outside only: processes, SQL, the REST interface that both have, and etcd's own metrics. It
// refuses to know how either decides, and it judges nothing: a budget that is not reached is said and is no failure.
//
//	subject   a program that can be an agent, and what its configuration file needs
//	lab       three members of one subject with an etcd, from package chaos
//	step      something that is done to a lab and measured, in the order of one run
//	metric    one figure with its unit and its budget
//	direct    a writer to each server itself: two that acknowledge writes at once are seen by it
//	report    medians of all runs as a table, as Markdown or as JSON
package main
