// Package mesosfleet is part of the *laboratory*: the machines of package simulated as the agents of the master of package
// mesostest. What runs and how databases behave is simulated; offers, resources, reservations, volumes and statuses are the
// master's. So whatever is tried on simulated machines can be tried over Mesos too, in virtual time.
package mesosfleet
