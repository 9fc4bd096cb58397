// Package callback is the *adapter* to the operator's scripts that are told what happened to a server: a virtual address
// to move, a label to set, a monitor to inform.
//
// It knows how such a program is called (EVENT ROLE SCOPE after the configured words), that one runs at a time, and how
// to end one with all that it started. It refuses to know when an event happened: that is decided by the agent. Nothing
// that a script does, or does not do, reaches back: neither its exit code nor its duration holds anything up.
//
// # One at a time
//
// What a server is now counts and not what it was, so a script that still runs when the next event comes is killed with
// its process group before the next is started. Events come in order. on_reload tells of nothing that the others tell of,
// and has a lane of its own.
//
// A script may outlive the agent; only a newer event ends it.
//
// # Environment
//
// Scripts get the agent's environment without its configuration and without the service manager's socket, and not what
// names this member's credentials. What a script needs of the platform, such as the address of the API of Kubernetes,
// stays.
package callback
