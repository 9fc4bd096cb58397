package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/up"
)

// watchEvery is the pause between two questions to a server.
const watchEvery = 20 * time.Millisecond

// Watchman asks all servers themselves, not through HAProxy, whether they accept writes.
type Watchman struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	shifts []Shift
	asked  int
}

// Shift is a time in which a server certainly accepted writes. It is what one connection saw: a server goes from
// accepting writes to not accepting them only through a restart, which breaks every connection.
type Shift struct {
	Host string
	// From is after the first answer, To before the last question.
	From, To time.Time
}

// StartWatchman begins to watch. The password is the one of the URL.
func StartWatchman(ctx context.Context, hosts []up.Place, url string) (*Watchman, error) {
	cfg, err := plainConfig(url)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &Watchman{stop: stop}
	for _, host := range hosts {
		own := cfg.Copy()
		own.Host, own.Port, own.ConnectTimeout = host.Address.String(), 5432, patience
		own.Fallbacks, own.ValidateConnect = nil, nil // no other server, and whatever this one accepts
		w.done.Go(func() { w.watch(life, host.Name, own) })
	}
	return w, nil
}

// Stop ends the watch. What was seen stays known.
func (w *Watchman) Stop() {
	w.stop()
	w.done.Wait()
}

func (w *Watchman) watch(ctx context.Context, host string, cfg *pgx.ConnConfig) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if conn, err := pgx.ConnectConfig(ctx, cfg.Copy()); err == nil {
			w.ask(ctx, host, conn, ticker.C)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// ask asks over one connection until that breaks.
func (w *Watchman) ask(ctx context.Context, host string, conn *pgx.Conn, tick <-chan time.Time) {
	defer func() {
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		conn.Close(goodbye) //nolint:errcheck // it is broken or not needed any more
		w.done.Go(func() { <-conn.PgConn().CleanupDone() })
	}()
	shift := -1
	for {
		limited, cancel := context.WithTimeout(ctx, patience)
		standby, sent := true, time.Now()
		err := conn.QueryRow(limited, "select pg_is_in_recovery()").Scan(&standby)
		cancel()
		if err != nil {
			return
		}
		if !standby {
			shift = w.note(host, shift, sent, time.Now())
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}

// note begins a shift, or makes the one with the index longer, and returns its index.
func (w *Watchman) note(host string, shift int, sent, answered time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if shift < 0 {
		w.shifts = append(w.shifts, Shift{Host: host, From: answered, To: answered})
		return len(w.shifts) - 1
	}
	w.shifts[shift].To = sent
	return shift
}

// Report says when two servers accepted writes at once, as an error; nil says that none was seen to.
func (w *Watchman) Report() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == 0 {
		return errors.New("the watchman saw nobody accept writes: it saw nothing")
	}
	var lines []string
	for _, pair := range together(w.shifts) {
		a, b := pair[0], pair[1]
		from, to := later(a.From, b.From), earlier(a.To, b.To)
		lines = append(lines, fmt.Sprintf("%s and %s accepted writes at once for %s from %s on", a.Host, b.Host, to.Sub(from), from.Format(time.StampMilli)))
	}
	if len(lines) > 0 {
		return errors.New(strings.Join(lines, "; "))
	}
	return nil
}

// together finds the pairs of shifts of different servers that overlap.
func together(shifts []Shift) [][2]Shift {
	var pairs [][2]Shift
	for i, a := range shifts {
		for _, b := range shifts[:i] {
			if a.Host != b.Host && later(a.From, b.From).Before(earlier(a.To, b.To)) {
				pairs = append(pairs, [2]Shift{b, a})
			}
		}
	}
	return pairs
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
