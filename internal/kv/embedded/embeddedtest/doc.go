// Package embeddedtest is the *laboratory* part of package embedded: members for the tests of other
// packages, on free loopback ports and in temporary directories, gone when the test ends.
//
// It knows how to start and describe members. It refuses to outlive a test: nothing here keeps data.
package embeddedtest
