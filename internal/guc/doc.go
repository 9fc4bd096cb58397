// Package guc is the *vocabulary* of PostgreSQL's settings ("grand unified configuration"): how a value
// is written, read, compared and rendered, and which settings belong to the cluster rather than to one
// member.
//
// It knows PostgreSQL's number syntax with units, the quoting of its configuration files, which settings
// the versions have and within what bounds, and those that all members must agree on, with their
// defaults and least values. It refuses to know where values come from. What its table does not know of a
// server, a fork's or a later version's settings, that server answers best.
//
// # Three places for a setting
//
//   - Controlled settings (wal_level, max_connections …) come from the cluster's configuration alone and
//     go to the postmaster's command line, where neither a file nor ALTER SYSTEM can change them.
//   - Owned settings (primary_conninfo, recovery_target…) say whom the server follows; only the agent
//     writes them, so a configured one is left out with a warning.
//   - Everything else goes to the configuration file as it was configured.
//
// Sources: PostgreSQL documentation, "Setting Parameters" and "pg_settings"; for the controlled ones,
// Patroni documentation, "PostgreSQL parameters controlled by Patroni".
package guc
