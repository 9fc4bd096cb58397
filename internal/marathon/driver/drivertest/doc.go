// Package drivertest is part of the *laboratory*: the contract suite of the driver port, what every driver has to do, in the words of
// its package comment, tested against real tasks. It belongs to the laboratory and is imported by tests only.
package drivertest
