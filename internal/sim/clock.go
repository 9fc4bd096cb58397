package sim

import "time"

// clock is a member's own: it began at any time, and is a little too fast or too slow.
type clock struct {
	// rate is how fast it goes, about 1.
	rate float64
	// began is what it showed when the run began.
	began time.Duration
	// stood is how much of the run's time it missed while the machine was suspended.
	stood int64
	// step is how far the wall clock was set away from this one.
	step time.Duration
}

// local is what the clock shows at an instant of the run.
func (c *clock) local(at int64) time.Time {
	return time.Unix(0, int64(c.began)+int64(float64(at-c.stood)*c.rate)).UTC()
}

// global is how long something takes that takes d on this clock.
func (c *clock) global(d time.Duration) int64 { return int64(float64(d) / c.rate) }

// instant is when the clock shows that time.
func (c *clock) instant(local time.Time) int64 {
	return int64(float64(local.UnixNano()-int64(c.began))/c.rate) + c.stood
}
