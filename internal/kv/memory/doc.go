// Package memory is the *adapter* that keeps a kv store in the memory of this process: a real, small,
// linearizable store for tests and the simulator, not a mock.
//
// It knows versions, leases that end by the time package (so it lives inside a testing/synctest bubble)
// and watches that miss nothing. It refuses to know who its clients are: a second [Store.Client] is what
// a second machine would be, with its own faults.
//
// # Faults
//
// [Store.Disconnect] is the network taken away from one client: its watches break, and every call waits
// until its context ends and answers kv.ErrUnavailable without having reached the store. Other clients
// and the clocks of the leases go on. [Store.LoseNextAnswer] is the other half of rule S8: the write
// happens, and the client is told kv.ErrUnavailable at once.
package memory
