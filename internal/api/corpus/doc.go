// Package main is part of the *laboratory*: it records what the REST API of a real Patroni answers, as the corpus in
// internal/api/testdata/corpus that package api is compared with.
//
//	go run ./internal/api/corpus -program bin/pgbaton
//
// It knows the states in which a member can be, how a cluster of real agents with real servers gets there, and what is worth
// asking then. It refuses to know what the answers should be. Of each state it keeps the documents of the DCS and the
// status of all members, from which a snapshot can be made that knows what the member knew.
//
// One file is one state: its first line is the state, each further line a request with its answer. An answer whose body is
// the status document has "*" for it; an error page, which is Python's, has none.
package main
