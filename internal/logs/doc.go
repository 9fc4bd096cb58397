// Package logs is the *adapter* to wherever the program's log goes: standard error, or a file that is renamed when it has
// grown.
//
// It knows Patroni's layouts, plain and JSON, with its format, its levels and its limits. It refuses to know what is logged:
// it is a slog.Handler. And nobody waits for it: a line goes into a queue of bounded length, and what does not fit is
// counted and lost, because an agent whose disk or terminal is stuck has to go on renewing its lease.
//
// # Layouts
//
// A plain line is made by log.format, whose places are written as for Python's logging, %(levelname)-8s; without it the
// line is
//
//	2026-01-02 03:04:05,678 INFO: the sentence key=value key="another value"
//
// The attributes of a record follow its sentence and are part of %(message)s. A line is always one line: what would break it
// is escaped. In JSON the attributes are fields of their own, after the wanted ones.
//
// Places about threads say what a program with one thread would: there are none that a reader could tell apart.
// %(name)s is the part of the program that speaks: pgbaton.agent, pgbaton.postgres.
package logs
