// Package service is the *adapter* to whatever started the agent's process: a service manager that wants to be told how
// it is getting on, or nothing at all, as in a container, where the process is number 1 and has the duties of one.
//
// It knows systemd's notification protocol (sd_notify) and what the kernel expects of process 1. It refuses to know what
// the agent does: it is told.
//
// # Process 1
//
// Orphans of the whole container become children of process 1, which must wait for them, or they stay as zombies for
// ever. The agent waits for children of its own, such as the postmaster, and would lose their exit codes to a wait for
// just any child. So there are two processes: Parent starts the real one, hands it every signal that a container's
// manager sends, waits for whatever ends, and ends as the real one did.
package service
