// Package lead is the *adapter* through which one of several schedulers becomes the one that acts: a key in a kv store, bound
// to a lease.
//
// It knows the key, the lease and its deadline. It refuses to know what is done with the lead: that is a function that is
// called for each term and gets a context that ends with it.
//
// # Rules
//
//   - A term is over a sixth of the ttl before the deadline, and the deadline counts from before the renewal was sent (rule
//     S2), time in which the machine was suspended included. So one term is over before the next one can begin.
//   - The key is only ever written where there is none, and deleted in the version that was written (rule S8). A write whose
//     answer was lost is read again: whoever finds its own name and lease there leads.
//   - The key is given up only after the work of the term has returned: its last writes come before the first of the next.
//   - A process that was frozen past its deadline may still have a request on the way. The store refuses it: each write
//     depends on [Campaign.Fence], the key in the version of its term.
//
// Followers watch the key: after an orderly end the next term begins at once, after a crash when the lease ends.
package lead
