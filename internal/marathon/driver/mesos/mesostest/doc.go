// Package mesostest is the *laboratory* of the Mesos driver: a master and its agents in one process, behaving as the
// recordings of a real one say.
//
// It knows frameworks, offers, reservations, volumes, operations, statuses and what goes wrong with each: partitions, agents
// that restart, drain or are gone for good, masters that fail over, answers that are late or lost. It refuses to know who is
// asking: everything goes over HTTP, by the calls and events of package wire.
//
// Tasks are played: they start and end when the test says so. With [Config].Run they are processes of this machine, each in a
// sandbox with the files it has fetched and its volumes.
package mesostest
