// Package store is the *adapter* that keeps the scheduler's state in a kv store: definitions and deployments, instances,
// the framework's id.
//
// It knows keys, JSON documents and versions. It refuses to know what the documents mean for anybody, and it repeats no
// write: after any error the picture it has of the store may be wrong (rule S8), and every further write is refused with
// [ErrStale] until [Store.Load] has looked again.
//
//	<prefix>header           schema version and framework id; written first, never deleted
//	<prefix>definitions      all apps, groups and open deployments, one document: they change together or not at all
//	<prefix>instances/<id>   one document for each instance
//	<prefix>draining/<host>  a host that is to become empty, and why
//
// Beside it, not below it, lies what a load must not read, the [Archive] of definitions that were (prefix without its slash):
//
//	<prefix>-archive/versions/<app>/<time>  an app; the newest 50 and those that its tasks run
//	<prefix>-archive/groups/<time>          all definitions; the newest 25
//
// Documents from 64 KiB on are compressed: etcd takes no value beyond 1.5 MiB. A schema older than the program's is brought to
// it by the first Load; see migrate.
//
// Every write compares the version it was made from, so a second writer is noticed at its first write, not later. Under a
// [Store.Fence] it compares the leader's key as well, so a former leader's last request, on its way for however long, comes to
// nothing.
//
// A store that looks empty or older than it was must not lead to anybody's death: documents without a header are
// [ErrDamaged], a newer schema is [ErrSchema], a revision before one that was seen is [ErrOlder]. The errors of kv pass
// through.
package store
