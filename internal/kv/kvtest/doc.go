// Package kvtest is the *laboratory* part of the kv port: the contract suite that every implementation
// of kv.Store passes. Each test is one sentence of the port's comments.
//
// It knows nothing but the port, so it cannot see which implementation it runs against; time passes for
// real in it, because time is what a lease is about.
package kvtest
