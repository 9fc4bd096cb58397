// Package supervise is the *shell* that owns goroutines: a group of named ones that live and end together.
//
// It knows how to start, cancel and wait, and which goroutine failed. It refuses to know what they do, and it
// restarts nothing: whoever needs that says when.
package supervise
