package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

const (
	// directPace is the time between two rows, or between two questions to a standby.
	directPace = 5 * time.Millisecond
	// directTable is where the rows go.
	directTable = "pgbaton_bench"
)

// direct writes to every server itself, over a connection that stays on it: as a client does that does not notice that
// somebody else leads. While a server is a standby it is only asked whether it still is.
type direct struct {
	agents *chaos.Agents
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	sent  map[string]int64 // by server: the rows 1 to this number were sent
	acked map[row]bool
	spans []span
}

// row is a row by its server and number.
type row struct {
	server string
	id     int64
}

// span is a time in which a server certainly acknowledged writes: from its first acknowledgement on one connection, which
// a restart breaks, to the last request on it that was acknowledged.
type span struct {
	server   string
	from, to time.Time
}

// startDirect makes the table on the leader and begins.
func startDirect(ctx context.Context, a *chaos.Agents, leader string) (*direct, error) {
	if _, err := a.SQL(ctx, leader, "create table if not exists "+directTable+" (server text not null, id bigint not null)"); err != nil {
		return nil, fmt.Errorf("make a table: %w", err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	d := &direct{agents: a, stop: stop, sent: map[string]int64{}, acked: map[row]bool{}}
	for _, name := range a.Names() {
		d.done.Go(func() { d.write(life, name) })
	}
	return d, nil
}

// end ends all writers.
func (d *direct) end() {
	d.stop()
	d.done.Wait()
}

func (d *direct) write(ctx context.Context, server string) {
	ticker := time.NewTicker(directPace)
	defer ticker.Stop()
	for ctx.Err() == nil {
		d.session(ctx, server, ticker.C)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// session writes over one connection until that breaks.
func (d *direct) session(ctx context.Context, server string, tick <-chan time.Time) {
	limited, cancel := context.WithTimeout(ctx, answerWithin)
	conn, err := d.agents.Connect(limited, server)
	cancel()
	if err != nil {
		return
	}
	defer func() {
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		conn.Close(goodbye) //nolint:errcheck // it is broken or not needed any more
	}()
	standby, own := true, -1
	for err == nil {
		if standby, own, err = d.step(ctx, conn, server, standby, own); err != nil {
			return
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}

// step asks a standby, or writes a row. It returns what the server is now and the index of the connection's span.
func (d *direct) step(ctx context.Context, conn *pgx.Conn, server string, standby bool, own int) (stillStandby bool, span int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if standby {
		err = conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&standby)
		return standby, own, err
	}
	next := d.next(server)
	sent := time.Now()
	if _, err = conn.Exec(ctx, "insert into "+directTable+" values ($1, $2)", server, next.id); err != nil {
		return false, own, err
	}
	return false, d.note(next, own, sent, time.Now()), nil
}

func (d *direct) next(server string) row {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent[server]++
	return row{server, d.sent[server]}
}

// note remembers an acknowledged row, and begins a span or makes one longer.
func (d *direct) note(r row, own int, sent, answered time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acked[r] = true
	if own < 0 {
		d.spans = append(d.spans, span{r.server, answered, answered})
		return len(d.spans) - 1
	}
	d.spans[own].to = sent
	return own
}

// both is for how long two servers acknowledged writes at once.
func (d *direct) both() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return overlap(d.spans)
}

// overlap adds up the times that spans of different servers have in common. The spans of one server do not overlap, and
// of three servers no more than two are ever expected to.
func overlap(spans []span) time.Duration {
	var sum time.Duration
	for i, a := range spans {
		for _, b := range spans[:i] {
			from, to := a.from, a.to
			if b.from.After(from) {
				from = b.from
			}
			if b.to.Before(to) {
				to = b.to
			}
			if a.server != b.server && from.Before(to) {
				sum += to.Sub(from)
			}
		}
	}
	return sum
}

// lost counts the acknowledged rows that the leader does not have, of all that were acknowledged. All writers must have
// ended.
func (d *direct) lost(ctx context.Context, leader string) (lost, of int, err error) {
	conn, err := d.agents.Connect(ctx, leader)
	if err != nil {
		return 0, 0, fmt.Errorf("read the rows: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // only read
	rows, err := conn.Query(ctx, "select server, id from "+directTable)
	if err != nil {
		return 0, 0, fmt.Errorf("read the rows: %w", err)
	}
	there := map[row]bool{}
	var r row
	if _, err := pgx.ForEachRow(rows, []any{&r.server, &r.id}, func() error { there[r] = true; return nil }); err != nil {
		return 0, 0, fmt.Errorf("read the rows: %w", err)
	}
	for acked := range d.acked {
		if !there[acked] {
			lost++
		}
	}
	return lost, len(d.acked), nil
}
