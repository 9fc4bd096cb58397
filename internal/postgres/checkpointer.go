package postgres

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// checkpointerLook tells from looks at the checkpointer, all of them after the last signal was sent to it, whether it has
// handled that signal. A process that sleeps with no signal pending has taken note of all, and before the checkpointer
// waits again for something to do it handles what it took note of: in its main loop, and in its pauses during a
// checkpoint that is spread over time (CheckpointerMain and CheckpointWriteDelay in checkpointer.c). So it must be found
// asleep, and then in such a wait.
//
// Before PostgreSQL 14 the pauses have no name. Then it must be found asleep where it says nothing, twice, and longer
// apart than it ever sleeps at a time.
type checkpointerLook struct {
	major int
	// asleep is the process that was found asleep when last looked at, zero for none.
	asleep int
	// silent is when it was first found asleep where it says nothing.
	silent time.Time
}

// longestNap is more than the checkpointer sleeps at a time where it says nothing: a second after an error.
const longestNap = 1100 * time.Millisecond

// found takes note of what the kernel says.
func (l *checkpointerLook) found(pid int, asleep bool) {
	l.asleep = 0
	if asleep {
		l.asleep = pid
	}
}

// done judges what the server says after that.
func (l *checkpointerLook) done(n notice, now time.Time) bool {
	if l.asleep == 0 || l.asleep != n.checkpointer {
		return false
	}
	switch {
	case n.event == "CheckpointerMain" || n.event == "CheckpointWriteDelay":
		return true
	case n.event != "" || l.major >= 14:
		return false
	case l.silent.IsZero():
		l.silent = now
	}
	return now.Sub(l.silent) >= longestNap
}

// idle reports whether a process sleeps, and no SIGHUP waits for it to wake (proc(5), /proc/pid/status).
func idle(pid int) bool {
	if pid == 0 {
		return false
	}
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	const hangup = 1 << (unix.SIGHUP - 1)
	asleep, pending := false, false
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "State":
			asleep = strings.HasPrefix(value, "S")
		case "SigPnd", "ShdPnd":
			mask, err := strconv.ParseUint(value, 16, 64)
			pending = pending || err != nil || mask&hangup != 0
		}
	}
	return asleep && !pending
}
