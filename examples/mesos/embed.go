// Package mesos holds the definitions that `pgbaton up` runs when it is given no others, exactly as they stand in
// the files beside this one.
package mesos

import _ "embed"

// App is a Marathon app: three PostgreSQL members.
//
//go:embed patroni-marathon.json
var App []byte

// Config is the configuration file of every task of that app.
//
//go:embed postgres0.yml
var Config []byte
