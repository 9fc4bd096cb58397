// Package haproxytest is the *laboratory* of package haproxy: members without a database for tests with a real HAProxy.
//
// A Member answers the REST checks HAProxy makes and greets every connection with its name. It knows
// nothing of PostgreSQL, and the product never imports it.
package haproxytest
