// Package wal is the *vocabulary* of PostgreSQL's write-ahead log: positions (LSN), timelines, system
// identifiers and the history that says where one timeline left another.
//
// It knows the textual forms PostgreSQL prints and the arithmetic of ancestry. It refuses to know where
// a value came from, and it reads no file: callers hand it the text.
//
// Sources: PostgreSQL documentation, "pg_lsn Type", "Timelines" and "pg_controldata".
package wal
