package guard

import (
	"time"

	"golang.org/x/sys/unix"
)

// instant is a reading of CLOCK_BOOTTIME in nanoseconds: it never jumps and goes on while the machine is suspended.
type instant int64

// now is the present instant.
func now() instant { return read(unix.CLOCK_BOOTTIME) }

// read reads one of the kernel's clocks that always can be.
func read(clock int32) instant {
	var ts unix.Timespec
	_ = unix.ClockGettime(clock, &ts) // fails for unknown clocks only
	return instant(ts.Nano())
}

// add is the instant that much later.
func (i instant) add(d time.Duration) instant { return i + instant(d) }

// sub is how long the instant lies after the other one.
func (i instant) sub(other instant) time.Duration { return time.Duration(i - other) }
