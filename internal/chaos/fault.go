package chaos

import (
	"context"
	"fmt"
	"time"
)

// Fault is something that happens to a platform.
type Fault struct {
	// Name is a headline in plain words.
	Name string
	// Loses is true where the last rows that were acknowledged before the outage may be lost: replication is
	// asynchronous, and the only server that held them is not asked any more.
	Loses bool
	// Moves is true where another member leads afterwards, on a timeline of its own. Where it is false the leader key
	// must not change at any time, and all stay on their timeline.
	Moves bool
	// Limit bounds the write outage, generously.
	Limit time.Duration

	// strike does it, and says what it did to whom.
	strike func(ctx context.Context, p *Platform, before Picture) (string, error)
	// promise says what is not as it must be afterwards. Nil promises nothing beyond the above.
	promise func(before, after Picture) error
}

// kept says why the picture after a fault is not what the fault promises.
func (f Fault) kept(before, after Picture) error {
	was, is := before.Led().Timeline, after.Led().Timeline
	switch {
	case f.Moves && before.Leader == after.Leader:
		return fmt.Errorf("%s leads as before, another member must", after.Leader)
	case f.Moves && is != was+1:
		return fmt.Errorf("the timeline went from %d to %d", was, is)
	case !f.Moves && before.Leader != after.Leader:
		return fmt.Errorf("%s leads instead of %s", after.Leader, before.Leader)
	case !f.Moves && is != was:
		return fmt.Errorf("the timeline went from %d to %d without a new leader", was, is)
	}
	if f.promise == nil {
		return nil
	}
	return f.promise(before, after)
}

// Result is what a fault did.
type Result struct {
	Fault Fault
	// Deed says what was done to whom.
	Deed          string
	Before, After Picture
	// Outage is the longest time without an acknowledged write.
	Outage time.Duration
	// Lost is the number of acknowledged rows that are gone.
	Lost int
	// Took is the time until all was whole again.
	Took time.Duration
}
