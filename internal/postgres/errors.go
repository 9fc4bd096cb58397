package postgres

import (
	"errors"
	"fmt"
)

// What callers branch on. Test with errors.Is.
var (
	// ErrRoot: PostgreSQL refuses to run as root, and so does this package.
	ErrRoot = errors.New("PostgreSQL does not run as root: run the agent as an unprivileged user such as postgres, or set PGBATON_RUN_AS=postgres")
	// ErrLocked: another live agent works on the data directory.
	ErrLocked = errors.New("another agent works on this data directory")
	// ErrBusy: another job is under way.
	ErrBusy = errors.New("another job is under way")
	// ErrRunning: the job needs a server that is stopped.
	ErrRunning = errors.New("PostgreSQL is running")
	// ErrNotRunning: the job needs a running server.
	ErrNotRunning = errors.New("PostgreSQL is not running")
	// ErrNoCluster: the data directory holds no database cluster that can be used; Status says why.
	ErrNoCluster = errors.New("the data directory holds no usable database cluster")
	// ErrOccupied: the data directory must be empty for the job, and is not.
	ErrOccupied = errors.New("the data directory is not empty")
	// ErrForeign: the other server, or the data directory, belongs to another cluster (rule S6).
	ErrForeign = errors.New("system identifiers differ, it is another cluster")
	// ErrSourceUnreachable: the other server cannot serve now. The data directory is as it was; try again.
	ErrSourceUnreachable = errors.New("the other server cannot serve now")
	// ErrNoMethod: none of the configured methods can make the clone.
	ErrNoMethod = errors.New("no configured method can make the clone")
	// ErrRefused: the operator's program pre_promote does not want the promotion.
	ErrRefused = errors.New("pre_promote refuses the promotion")
	// ErrStillStarting: the server did not take connections in the time it was given. It goes on starting.
	ErrStillStarting = errors.New("the server is still starting")
	// ErrBroken: the job failed after it had changed the data directory, which must not be started any more.
	ErrBroken = errors.New("the data directory is not whole any more")
	// ErrNotRewindable: pg_rewind cannot work on this data directory; clone it anew.
	ErrNotRewindable = errors.New("the data directory cannot be rewound")
	// ErrVersion: no PostgreSQL of the needed major version is installed.
	ErrVersion = errors.New("no fitting PostgreSQL is installed")
)

// ExitError is a program of PostgreSQL that failed.
type ExitError struct {
	// Op is what it was run for: "run pg_rewind".
	Op string
	// Outcome is "exit status 1" or "signal: killed".
	Outcome string
	// Tail is the last lines the program wrote, without secrets: none are ever given to programs where
	// they could print them.
	Tail string
}

// Error is one sentence and the program's own last words.
func (e *ExitError) Error() string {
	if e.Tail == "" {
		return e.Op + ": " + e.Outcome
	}
	return fmt.Sprintf("%s: %s: %s", e.Op, e.Outcome, e.Tail)
}
