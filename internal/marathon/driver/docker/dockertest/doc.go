// Package dockertest is part of the *laboratory*: a Docker daemon for tests, in a network, a process table and mounts of its own.
//
// It knows how to start and end dockerd and what a test needs inside its network. It refuses to touch a daemon that it has
// not started, or the machine's network: whatever it starts ends with the test program, however that ends.
package dockertest
