package chaos

import (
	"fmt"
	"maps"
	"time"
)

// Ack is a row of which the server said that it is committed, and when that was heard.
type Ack struct {
	ID int64
	At time.Time
}

// Gap is a time without acknowledged writes.
type Gap struct{ From, To time.Time }

// Length is how long it was.
func (g Gap) Length() time.Duration { return g.To.Sub(g.From) }

// longestGap finds the longest time between two acknowledgements that reaches into the window. The last gap is open
// when nothing was acknowledged until the window's end.
func longestGap(acks []Ack, since, until time.Time) Gap {
	longest := Gap{since, since}
	from := since
	for _, a := range acks {
		if !a.At.Before(until) {
			break
		}
		if g := (Gap{from, a.At}); a.At.After(since) && g.Length() > longest.Length() {
			longest = g
		}
		from = a.At
	}
	if g := (Gap{from, until}); g.Length() > longest.Length() {
		return g
	}
	return longest
}

// tail is how long before an outage acknowledged rows may have been written that did not reach a replica.
const tail = time.Second

// account compares what was acknowledged with what the leader holds, and remembers what is lost for good.
type account struct {
	lost map[int64]bool
}

// audit returns how many acknowledged rows are missing that were not missing before. A row that is there twice, one
// that came back after it was lost, and a loss that is not allowed are errors. Allowed is a loss of rows that were
// acknowledged right before the outage; nil allows none.
func (a *account) audit(acks []Ack, held []int64, allowed *Gap) (int, error) {
	there := make(map[int64]bool, len(held))
	for _, id := range held {
		if there[id] {
			return 0, fmt.Errorf("row %d is there twice", id)
		}
		if a.lost[id] {
			return 0, fmt.Errorf("row %d was missing on an earlier leader and is there again", id)
		}
		there[id] = true
	}
	missing := map[int64]bool{}
	for _, ack := range acks {
		if there[ack.ID] || a.lost[ack.ID] {
			continue
		}
		missing[ack.ID] = true
		if allowed == nil || ack.At.Before(allowed.From.Add(-tail)) || ack.At.After(allowed.From) {
			return 0, fmt.Errorf("acknowledged row %d of %s is missing on the leader", ack.ID, ack.At.Format(time.StampMilli))
		}
	}
	if a.lost == nil {
		a.lost = map[int64]bool{}
	}
	maps.Copy(a.lost, missing)
	return len(missing), nil
}
