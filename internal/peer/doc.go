// Package peer is part of the *laboratory*: it lets tests work with real PostgreSQL. The product never
// imports it.
//
// It knows how to run a whole test binary as an unprivileged user, because PostgreSQL refuses root, and
// to see that nothing is left behind. It refuses to know what is tested.
//
// A peer that is not installed skips the test, with the reason; where the environment says
// PEERS=required it fails it instead, so that continuous integration never passes for want of a peer.
package peer
