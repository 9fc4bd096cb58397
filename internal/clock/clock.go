package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Suspended is how long the machine has been suspended since it started (clock_gettime(2): CLOCK_BOOTTIME counts that
// time, CLOCK_MONOTONIC does not). It only grows. The two clocks are read one after the other, so less than a millisecond
// is left out.
func Suspended() time.Duration {
	return (read(unix.CLOCK_BOOTTIME) - read(unix.CLOCK_MONOTONIC)).Truncate(time.Millisecond)
}

// read reads one of the kernel's clocks that always can be.
func read(id int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts) // fails for unknown clocks only
	return time.Duration(ts.Nano())
}
