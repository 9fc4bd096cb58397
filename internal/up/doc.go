// Package up is the *shell* of `pgbaton up`, everything on one machine: the state directory, the addresses of the
// virtual hosts, the etcd members, and what a person is told while it all comes up.
//
// It knows how a fleet is laid out on loopback addresses and what must lie where on disk. It refuses to know how
// PostgreSQL is led, apps are scheduled or connections routed; cmd/pgbaton brings those together with this.
//
// Nothing here is needed on a real fleet: there the hosts, etcd and the state of each part are elsewhere, and the
// same app, API and keys work with them.
package up
