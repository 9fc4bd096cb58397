// Package app is the *vocabulary* of the scheduler: what an app, a task and a deployment are, in Marathon's words and
// in Marathon's JSON.
//
// It knows how a definition is read (unknown fields are ignored, legacy networking becomes canonical, missing fields
// get Marathon's defaults), what makes one invalid and in which words Marathon says so, and how two definitions
// differ. It knows how to recognise an app that is a PostgreSQL cluster.
//
// It refuses to know how anything is stored, placed, started or served: it does no I/O, has no clock (the time is an
// argument) and imports nothing but the standard library.
//
// A definition takes this way:
//
//	JSON --Parse--> Update --New or Apply--> App --Validate, Revised--> stored --Diff(old, new)--> what a deployment does
package app
