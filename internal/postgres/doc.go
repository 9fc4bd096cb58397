// Package postgres is the *adapter* to one PostgreSQL server: its data directory, its processes and its
// answers. PostgreSQL 12 to 18.
//
// It knows how to find, start, stop, clone, promote and rewind a server, and what is true of it now. It
// refuses to know why: whether this member may be primary, whom it follows and when, is decided by
// package ha and asked for by the agent.
//
// # One server, one agent
//
// Open takes a kernel lock on DATADIR.lock and holds it until Close or the end of the process (rule S6).
// The postmaster outlives the agent, so the next Open finds it again and adopts it; Close never stops it.
// What belongs to a member lies beside its data directory and begins with its name, so that nothing
// depends on the content of a directory that may be set aside:
//
//	DATADIR             the cluster
//	DATADIR.lock        the volume lock; its content is the holder's process number
//	DATADIR.log         what the postmaster says, appended
//	DATADIR.run/        the socket (elsewhere when the path is too long for one)
//	DATADIR.pgpass      passwords for the server's own outgoing connections, 0600
//	DATADIR.service     passwords of encrypted keys for them, 0600; only where there are any
//	DATADIR.incomplete/ a bootstrap or clone that is not finished
//	DATADIR.filling/    exists while a program of the operator's fills the data directory, and works there
//	DATADIR.led         the timeline on which the data were last a primary's
//	DATADIR.rewinding   exists while pg_rewind works, and after one that left the directory unusable
//	DATADIR.failed.TIME a data directory that was set aside
//
// # Configuration
//
// The configuration files lie in the data directory or in Config.ConfigDir. Ours includes the original one and wins over
// it; a file that would say the same is not written, and the server is told to read its files only when one changed.
// Settings may differ with the role: they change when the server is promoted, is started as a standby, or follows another
// cluster. A value that PostgreSQL would refuse is left out with a warning, and never keeps a server from starting.
// Settings that a standby needs as its primary has them are at least as great as the control file says.
//
// Passwords are in DATADIR.pgpass and nowhere else. A new one is written there when the settings are reloaded, where the
// next connection finds it.
//
// The agent's own connections go over the socket, and over TCP only where the rules do not let the superuser in there.
//
// # Nothing half-done
//
// Bootstrap and Clone work in DATADIR.incomplete and rename it when everything is there: a data directory
// is either absent or whole. A program of the operator's fills the data directory itself, because restore programs
// know its path; until DATADIR.filling is removed, what lies there counts as nothing. An unfinished directory is of
// no use to anybody and is removed by the next attempt; a data directory is never removed.
//
// A new cluster that needs a running server to be finished, because it recovers from a backup or because of
// post_bootstrap, has one that nobody else can reach (rule S1).
//
// # Whom commits wait for, and who is kept out
//
// SetSyncNames writes synchronous_standby_names into a part of postgresql.conf of its own, where it wins over every other
// file and outlives server and agent, and returns when every process of the server goes by it. What one
// process shows, as in Status, says nothing of the others. Nothing that the agent itself does ever waits for a standby.
//
// A primary that is started with Hold lets in nobody but the agent's own roles until AdmitClients. pg_hba.unheld.conf in the
// data directory is then what pg_hba.conf will be again, and its being there is what says so.
//
// # Status and jobs
//
// Status tells what is true now and never fails: what cannot be known is a value (rule S7). Everything
// that changes the server is a job; there is one at a time (ErrBusy), each may be called again after it
// was cancelled or the agent died, and goes on from what it finds. Status may be called during a job, and Activity
// says what one is doing.
//
// When the postmaster ends, however it ends, its remaining processes are killed at once: a backend that
// lost its postmaster can still commit, after another member was promoted (rule S1), and keeps the next
// postmaster from starting. Exited tells of it after that.
package postgres
