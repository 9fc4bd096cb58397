// Package sandboxtest is part of the *laboratory*: a server with files to fetch, and archives, for tests of whoever has tasks'
// files fetched.
//
// It knows what servers say and what archives can say. It refuses to know who fetches.
package sandboxtest
