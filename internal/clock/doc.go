// Package clock is an *adapter*: it knows the one thing about the machine's clocks that the standard library does not
// tell, how long the machine was suspended. Go's monotonic readings stand still meanwhile, leases do not.
//
// It refuses to know what the time is used for.
package clock
