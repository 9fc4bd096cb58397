// Package kv is the *adapter port* through which everything shared is stored: a small, strongly
// consistent key-value store with versions, leases and watches.
//
// It knows keys, values, versions and leases. It refuses to know what the values mean (that is
// package dcs for the agent's documents and marathon/store for the scheduler's) and it renews
// nothing by itself: a lease lives exactly as long as its owner keeps calling Renew (rule S2).
//
// The implementations are sub-packages named after what they wrap: etcd3, embedded, memory. All of
// them pass the contract suite in kvtest.
//
// # Answers
//
// Five errors cover everything a caller may branch on, and the difference between them is the
// difference between safe and unsafe (rules S7 and S8):
//
//   - ErrHeld: a create-if-absent found the key. Definite: nothing was written.
//   - ErrConflict: a compare-and-swap found another version, or no key. Definite: nothing was written.
//   - ErrFenced: a write that depends on another key (Condition.While) found that one changed or gone. Definite:
//     nothing was written.
//   - ErrLost: the lease is gone. Definite: every key bound to it is gone or going.
//   - ErrUnavailable: no answer in time. NOT definite: the write may have been applied. Re-read the
//     key before doing anything else; never repeat the write blindly.
package kv
