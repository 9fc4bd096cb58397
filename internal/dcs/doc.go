// Package dcs is the *adapter* that keeps the documents of one scope, and the lease of one member, in a
// kv store.
//
// It knows where each document lies, how a whole cluster is read at one revision, which condition each
// write needs, and when a lease was last renewed. It refuses to decide: when to acquire, renew, release
// or write is the agent's matter (package ha), and what the documents mean is package cluster's. It
// renews nothing by itself.
//
// # Layout
//
//	/<namespace>/<scope>/initialize       the system identifier, empty while somebody bootstraps
//	/<namespace>/<scope>/config           the dynamic configuration
//	/<namespace>/<scope>/leader           the name of the member that holds the lock     with its lease
//	/<namespace>/<scope>/members/<name>   what a member says of itself                   with its lease
//	/<namespace>/<scope>/status           the leader's last known positions
//	/<namespace>/<scope>/failover         the request for a switchover or failover, {} when there is none
//	/<namespace>/<scope>/sync             the promise about synchronous standbys
//	/<namespace>/<scope>/history          the timelines that ended
//	/<namespace>/<scope>/failsafe         the members to ask when the store is gone
//
// Everything else there is left alone, the numbered directories of Citus groups included. It is the
// layout of Patroni's etcd3 back end, so that both can share a cluster.
//
// # The lease
//
// A process has one lease, and binds its leader key and its member key to it. Lease.Deadline is the
// instant before the last successful renewal was sent, on the monotonic clock, plus ttl (rule S2). The
// member leads until then if, and only if, a Load showed its name in the leader key bound to this very
// lease; no method remembers that it leads.
//
// # Answers
//
// Errors wrap those of package kv. kv.ErrHeld and kv.ErrConflict mean that nothing was written,
// kv.ErrLost that there is no lease and therefore no key bound to it. kv.ErrUnavailable means that nobody
// knows (rule S8): Load before anything else. No write of the leader key is without a compare.
package dcs
