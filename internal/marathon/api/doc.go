// Package api is the *shell* that serves Marathon's REST API over a scheduler.
//
// It knows requests: paths as clients really send them (doubled and trailing slashes, ids with slashes in them),
// methods, parameters, limits, and the status, headers and body Marathon answers with. What a definition means is
// package app's business, what becomes of it the [Scheduler]'s; every change is one call of [Scheduler.Apply] with a
// function that edits a copy of all definitions.
//
// It knows followers: where another scheduler leads, requests are passed on to it, event streams are sent there, and only
// what concerns this process is answered here.
//
// It refuses to know how apps are stored, placed or run, and it holds nothing that outlives a request but the streams of
// those who listen and numbers about the traffic: two servers over one scheduler answer alike. What Marathon has and this server
// has not is answered with 404 or 405 and a sentence that says so, never with an empty list.
//
//	door.go     whose pages may ask, who asks, how many at once
//	whence.go   whose request it was, before a follower passed it on
//	follow.go   answering for the leader
//	route.go    the table of paths
//	answer.go   status, headers and bodies, errors among them
//	backend.go  what is served, as interfaces
package api
