// Package psql is the *adapter* for an operator's own statements on a member's server: it connects as libpq would, runs
// a text of statements and hands back the rows of the last one.
//
// It knows how PostgreSQL's values become those of a table, and tells what the server says against a statement from a
// connection that is lost. It refuses to know what the statements are for, and holds no transaction between them.
package psql
