// Package store is the *adapter* that keeps the scheduler's state in a kv store: definitions and deployments, instances,
// the framework's id.
//
// It knows keys, JSON documents and versions. It refuses to know what the documents mean for anybody, and it repeats no
// write: after any error the picture it has of the store may be wrong (rule S8), and every further write is refused with
// [ErrStale] until [Store.Load] has looked again.
//
//	<prefix>header          schema version and framework id; written first, never deleted
//	<prefix>definitions     all apps and the open deployments, one document: they change together or not at all
//	<prefix>instances/<id>  one document for each instance
//
// Every write compares the version it was made from, so a second writer is noticed at its first write, not later.
//
// A store that looks empty or older than it was must not lead to anybody's death: documents without a header are
// [ErrDamaged], a newer schema is [ErrSchema], a revision before one that was seen is [ErrOlder]. The errors of kv pass
// through.
package store
