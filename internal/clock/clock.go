package clock

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// reads is how often the clocks are read at most until nothing came between two readings, and still is how near to each
// other these are then.
const (
	reads = 10
	still = 100 * time.Microsecond
)

// Suspended is how long the machine has been suspended since it started (clock_gettime(2): CLOCK_BOOTTIME counts that
// time, CLOCK_MONOTONIC does not). It only grows. The two clocks are read one after the other, so less than a millisecond
// is left out; a process that is held up between the readings reads again, and goes by the nearest ones.
func Suspended() time.Duration {
	suspended, nearest := time.Duration(0), time.Duration(math.MaxInt64)
	for range reads {
		before := read(unix.CLOCK_MONOTONIC)
		boot := read(unix.CLOCK_BOOTTIME)
		if apart := read(unix.CLOCK_MONOTONIC) - before; apart < nearest {
			suspended, nearest = boot-before, apart
		}
		if nearest < still {
			break
		}
	}
	return suspended.Truncate(time.Millisecond)
}

// read reads one of the kernel's clocks that always can be.
func read(id int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts) // fails for unknown clocks only
	return time.Duration(ts.Nano())
}
