// Package dcstest is the *laboratory* part of package dcs: the suite that says what the document layer
// does on any kv store.
//
// It knows the methods of dcs.Store and, through the kv port, the keys below them, so that it can act as
// another program that shares the cluster.
package dcstest
