package drivertest

// What the tasks of the suite do, for a POSIX shell. Machines that have none know a script by its text.
const (
	// Runs goes on until it is asked to end.
	Runs = `trap 'exit 0' TERM; echo up; while :; do sleep 1 & wait $!; done`
	// Ends ends well at once.
	Ends = `exit 0`
	// Fails ends badly and says why in its log.
	Fails = `echo the disk is made of cheese; exit 3`
	// Insists does not end when it is asked to.
	Insists = `trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done`
	// CountsStarts leaves one line for each start in its volume and goes on.
	CountsStarts = `echo started >>starts; echo kept >file; ` + Runs
	// StartedOnce ends well where CountsStarts was started exactly once.
	StartedOnce = `test "$(grep -c started starts)" = 1`
	// Keeps leaves a file in its volume.
	Keeps = `echo kept >file`
	// FindsKept ends well where Keeps was before, in the folder the platform says is its own.
	FindsKept = `test "$(cat file)" = kept && test "$PWD" = "$MESOS_SANDBOX"`
	// FindsNothing ends well in a volume without such a file.
	FindsNothing = `test ! -e file`
	// SaysFarewell leaves a file in its volume when it is asked to end.
	SaysFarewell = `trap 'echo bye >farewell; exit 0' TERM; while :; do sleep 1 & wait $!; done`
	// FindsFarewell ends well where SaysFarewell has ended in order.
	FindsFarewell = `test -f farewell`
	// SeesEnvironment ends well when it finds what was given to it.
	SeesEnvironment = `test "$GREETING" = "good morning" && test "$HOST" != ""`
	// Sickens passes the check IsWell for some seconds and then fails it, and goes on.
	Sickens = `touch well; sleep 4; rm well; ` + Runs
	// IsWell is the check of a task that runs Sickens.
	IsWell = `test -e well`
)
