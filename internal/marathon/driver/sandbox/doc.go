// Package sandbox is the *adapter* to the folder that a task works in, for drivers that make it themselves: what is made in
// there, and the files that a definition has fetched.
//
// It knows paths, owners, http, archives and a cache of what servers said may be kept. It refuses to know tasks, containers and
// processes. Nothing is written through a path that leads out of the folder, whatever a task has left there and whatever an
// archive says.
package sandbox
