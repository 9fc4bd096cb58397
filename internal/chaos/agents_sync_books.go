package chaos

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// fate is what came of a row that was sent.
type fate int

const (
	// pending rows have no answer yet, unanswered ones get none any more: they may be there or not.
	pending fate = iota
	unanswered
	// acknowledged rows must be there from then on, whoever leads.
	acknowledged
	// denied rows must never be there: the server said that it is none that takes writes.
	denied
)

// books are everything that several clients sent. The number of a row is its place in them, from one on.
type books struct {
	mu    sync.Mutex
	fates []fate
	// heard is when the answer to a row came.
	heard []time.Time
	acks  []Ack
	next  chan struct{} // closed at the next acknowledgement
	// weak are the times in which nobody promised that an acknowledged row stays: synchronous mode was off.
	weak []Gap
	// checked is the row up to which every row was found as it must be, unless it disappears again.
	checked int64
}

func newBooks() *books { return &books{next: make(chan struct{})} }

// send gives the next row its number.
func (b *books) send() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fates = append(b.fates, pending)
	b.heard = append(b.heard, time.Time{})
	return int64(len(b.fates))
}

// note writes down what came of a row just now.
func (b *books) note(id int64, f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.fates[id-1], b.heard[id-1] = f, now
	if f != acknowledged {
		return
	}
	b.acks = append(b.acks, Ack{ID: id, At: now})
	close(b.next)
	b.next = make(chan struct{})
}

// heldRow is a row as a server has it.
type heldRow struct {
	ID   int64
	What string
}

// content is what a row says: it is told from any other row, and from one that nobody sent.
func content(id int64) string { return fmt.Sprintf("%016x", uint64(id)*0x9e3779b97f4a7c15) } //nolint:gosec // any bits do

// Account is the result of a comparison of what was sent with what the leader has.
type Account struct {
	Acknowledged, Unknown int
	// Lost are acknowledged rows that are missing. Let are those among the missing ones that nobody had promised to keep.
	Lost, Let int
	// Unexpected are rows that were never sent, were denied, say something else, or are there twice.
	Unexpected int
	// Examples name some of the lost and the unexpected ones.
	Examples []string
}

// expectation is what must be there at one moment: it is taken before the rows are read.
type expectation struct {
	after, until int64
	fates        []fate
	weak         []bool
}

// expect is what the rows must be that are read from now on; of all rows, or of those that were not checked yet.
func (b *books) expect(all bool) expectation {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := expectation{after: b.checked, until: int64(len(b.fates))}
	if all {
		e.after = 0
	}
	e.fates = slices.Clone(b.fates[e.after:])
	for _, at := range b.heard[e.after:] {
		e.weak = append(e.weak, slices.ContainsFunc(b.weak, func(g Gap) bool { return !at.Before(g.From) && (g.To.IsZero() || !at.After(g.To)) }))
	}
	return e
}

// audit compares the rows after expectation.after with what was expected, and remembers which of them need no second look
// soon. Rows that were sent since are nothing unexpected.
func (b *books) audit(e expectation, held []heldRow) Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	var acc Account
	wrong := func(count *int, format string, args ...any) {
		if *count++; len(acc.Examples) < 10 {
			acc.Examples = append(acc.Examples, fmt.Sprintf(format, args...))
		}
	}
	there := map[int64]bool{}
	for _, r := range held {
		switch {
		case there[r.ID]:
			wrong(&acc.Unexpected, "row %d is there twice", r.ID)
		case r.ID < 1 || r.ID > int64(len(b.fates)) || r.What != content(r.ID):
			wrong(&acc.Unexpected, "row %d %q was never sent", r.ID, r.What)
		case b.fates[r.ID-1] == denied:
			wrong(&acc.Unexpected, "row %d was refused", r.ID)
		}
		there[r.ID] = true
	}
	settled := e.until
	for i, f := range e.fates {
		id := e.after + int64(i) + 1
		switch {
		case f == pending:
			settled = min(settled, id-1)
		case f == unanswered:
			acc.Unknown++
		case f == acknowledged && there[id]:
			acc.Acknowledged++
		case f == acknowledged && e.weak[i]:
			acc.Let++
		case f == acknowledged:
			wrong(&acc.Lost, "row %d, acknowledged at %s, is missing", id, b.heard[id-1].Format(time.StampMilli))
		}
	}
	b.checked = max(b.checked, settled)
	return acc
}

// weaken begins a time in which nothing is promised, and ends the one before; strengthen ends it.
func (b *books) weaken() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.weak); n == 0 || !b.weak[n-1].To.IsZero() {
		b.weak = append(b.weak, Gap{From: time.Now()})
	}
}

func (b *books) strengthen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.weak); n > 0 && b.weak[n-1].To.IsZero() {
		b.weak[n-1].To = time.Now()
	}
}

// outage is the longest time without an acknowledgement since then.
func (b *books) outage(since time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return longestGap(b.acks, since, time.Now()).Length()
}

// counts is how many rows got their answer since then, and how many never will.
func (b *books) counts(since time.Time) (acks, unknown int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, at := range b.heard {
		if at.Before(since) {
			continue
		}
		switch b.fates[i] {
		case acknowledged:
			acks++
		case unanswered:
			unknown++
		case pending, denied:
		}
	}
	return acks, unknown
}
