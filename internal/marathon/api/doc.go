// Package api is the *shell* that serves Marathon's REST API over a scheduler.
//
// It knows requests: paths as clients really send them (doubled and trailing slashes, ids with slashes in them),
// methods, parameters, limits, and the status, headers and body Marathon answers with. What a definition means is
// package app's business, what becomes of it the [Scheduler]'s; every change is one call of [Scheduler.Apply] with a
// function that edits a copy of all definitions.
//
// It refuses to know how apps are stored, placed or run, and it holds no state of its own: two servers over one
// scheduler answer alike. What Marathon has and this server has not is answered with 404 or 405 and a sentence that
// says so, never with an empty list.
package api
