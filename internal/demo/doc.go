// Package main is part of the *laboratory*: it is the tour that `make demo` shows on a terminal. Package chaos does
// the work; this one says in plain words what is done, what happens, and how long a client could not write.
//
// It knows which acts there are and how they are told. It refuses to know how anything is broken, measured or
// checked. The exit code is 1 when something was not as promised, and nothing is left behind either way.
package main
