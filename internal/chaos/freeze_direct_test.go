package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// directPace is the time between two rows at one server.
const directPace = 10 * time.Millisecond

// stubborn are clients that each write to one server all the time, whatever anybody says of who leads: a server that
// takes their rows accepts writes. They remember what was acknowledged by whom.
type stubborn struct {
	a    *Agents
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	next   int64
	rows   []directRow
	shifts []Shift
}

// directRow is an acknowledged row.
type directRow struct {
	Ack

	Server string
}

// writeDirectly makes the table at the leader and begins.
func writeDirectly(ctx context.Context, t *testing.T, a *Agents, leader string) *stubborn {
	t.Helper()
	if _, err := a.SQL(ctx, leader, "create table direct (id bigint not null)"); err != nil {
		t.Fatal(err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &stubborn{a: a, stop: stop}
	for _, name := range a.Names() {
		s.done.Go(func() { s.write(life, name) })
	}
	t.Cleanup(s.end)
	return s
}

func (s *stubborn) end() {
	s.stop()
	s.done.Wait()
}

func (s *stubborn) write(ctx context.Context, server string) {
	ticker := time.NewTicker(directPace)
	defer ticker.Stop()
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, patience)
		if conn, err := s.a.Connect(limited, server); err == nil {
			s.insert(ctx, server, conn, ticker.C)
		}
		cancel()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// insert writes over one connection until that breaks. A standby refuses every row.
func (s *stubborn) insert(ctx context.Context, server string, conn *pgx.Conn, tick <-chan time.Time) {
	defer func() {
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		conn.Close(goodbye) //nolint:errcheck // it is broken or not needed any more
		s.done.Go(func() { <-conn.PgConn().CleanupDone() })
	}()
	shift := -1
	for !conn.IsClosed() {
		s.mu.Lock()
		s.next++
		id := s.next
		s.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, patience)
		sent := time.Now()
		_, err := conn.Exec(limited, "insert into direct values ($1)", id)
		cancel()
		if err == nil {
			shift = s.note(server, shift, id, sent)
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}

// note remembers a row that was acknowledged just now. The connection's shift lasts from its first acknowledgement to the
// last row that was sent and acknowledged.
func (s *stubborn) note(server string, shift int, id int64, sent time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.rows = append(s.rows, directRow{Ack: Ack{ID: id, At: now}, Server: server})
	if shift < 0 {
		s.shifts = append(s.shifts, Shift{Host: server, From: now, To: now})
		return len(s.shifts) - 1
	}
	s.shifts[shift].To = sent
	return shift
}

// last is when a server acknowledged its last row; zero when it never did.
func (s *stubborn) last(server string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var at time.Time
	for _, r := range s.rows {
		if r.Server == server {
			at = r.At
		}
	}
	return at
}

// after waits for the first row that another server than this one acknowledges after an instant, and says when and whose
// that was.
func (s *stubborn) after(ctx context.Context, since time.Time, not string) (directRow, error) {
	ticker := time.NewTicker(directPace)
	defer ticker.Stop()
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.rows, func(r directRow) bool { return r.Server != not && r.At.After(since) })
		var found directRow
		if i >= 0 {
			found = s.rows[i]
		}
		s.mu.Unlock()
		if i >= 0 {
			return found, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return directRow{}, fmt.Errorf("nobody but %s takes rows: %w", not, context.Cause(ctx))
		}
	}
}

// longestSilence is the longest time since then in which no server acknowledged a row.
func (s *stubborn) longestSilence(since time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var acks []Ack
	for _, r := range s.rows {
		acks = append(acks, r.Ack)
	}
	return longestGap(acks, since, time.Now()).Length()
}

// together is how long two servers took rows at once.
func (s *stubborn) together() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return overlap(s.shifts)
}

func overlap(shifts []Shift) time.Duration {
	var sum time.Duration
	for _, pair := range together(shifts) {
		sum += earlier(pair[0].To, pair[1].To).Sub(later(pair[0].From, pair[1].From))
	}
	return sum
}

// losses are acknowledged rows that are gone.
type losses struct {
	// all of them, and those that were acknowledged so long before their server's end that replicas must have had them.
	all, late int
}

// audit counts the rows at the leader. Replication is asynchronous: what a server acknowledged right before its end may
// be lost.
func (s *stubborn) audit(ctx context.Context, leader string) (losses, error) {
	s.mu.Lock()
	rows := slices.Clone(s.rows)
	ends := map[string][]time.Time{}
	for _, shift := range s.shifts {
		ends[shift.Host] = append(ends[shift.Host], shift.To)
	}
	s.mu.Unlock()
	held, err := s.held(ctx, leader)
	if err != nil {
		return losses{}, err
	}
	var l losses
	for _, r := range rows {
		if held[r.ID] {
			continue
		}
		l.all++
		if !slices.ContainsFunc(ends[r.Server], func(end time.Time) bool { return r.At.After(end.Add(-tail)) && !r.At.After(end.Add(patience)) }) {
			l.late++
		}
	}
	return l, nil
}

func (s *stubborn) held(ctx context.Context, leader string) (held map[int64]bool, err error) {
	conn, err := s.a.Connect(ctx, leader)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, "select id from direct")
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	held = make(map[int64]bool, len(ids))
	for _, id := range ids {
		if held[id] {
			err = errors.Join(err, fmt.Errorf("row %d is there twice", id))
		}
		held[id] = true
	}
	return held, err
}
