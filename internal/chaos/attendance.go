package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbaton/pgbaton/internal/up"
)

// Seat is where a server is found that has to be there, under a name of its own.
type Seat struct {
	Name, Address string
	Port          uint16
}

// Seats are those of servers at the usual port of their hosts.
func Seats(hosts []up.Place) []Seat {
	var all []Seat
	for _, host := range hosts {
		all = append(all, Seat{Name: host.Name, Address: host.Address.String(), Port: 5432})
	}
	return all
}

// Attendance counts all the time how many servers answer. A planned operation may take one member down at a time.
type Attendance struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu   sync.Mutex
	seen map[string]sighting
	// required is how many have to be there, fewest the fewest that were since then, samples how often that was counted.
	required, fewest, samples int
	// changed is closed and replaced when a server came or went.
	changed chan struct{}
}

// sighting is what a server was asked last.
type sighting struct {
	there bool
	at    time.Time
}

// fresh is how long a server that was not there counts as missing: it is asked again at once, and while the question is on its way
// nobody knows. A network that loses packets while it is changed has that take a second.
const fresh = 5 * watchEvery

// StartAttendance begins to count the servers. User and password are those of the URL.
func StartAttendance(ctx context.Context, seats []Seat, url string) (*Attendance, error) {
	cfg, err := plainConfig(url)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &Attendance{stop: stop, seen: map[string]sighting{}, changed: make(chan struct{})}
	for _, seat := range seats {
		own := cfg.Copy()
		own.Host, own.Port, own.ConnectTimeout = seat.Address, seat.Port, patience
		own.Fallbacks, own.ValidateConnect = nil, nil // no other server, and whatever this one accepts
		a.done.Go(func() { a.watch(life, seat.Name, own) })
	}
	return a, nil
}

// Stop ends the count.
func (a *Attendance) Stop() {
	a.stop()
	a.done.Wait()
}

// Require waits until so many servers are there, and begins anew: they have to be there from now on. One that was not asked
// yet is none that went.
func (a *Attendance) Require(ctx context.Context, servers int) error {
	for {
		a.mu.Lock()
		there, changed := a.count(), a.changed
		if there >= servers {
			a.required, a.fewest, a.samples = servers, there, 0
			a.mu.Unlock()
			return nil
		}
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d servers, %d are there: %w", servers, there, context.Cause(ctx))
		}
	}
}

// Lower has no more servers required than that.
func (a *Attendance) Lower(servers int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.required = min(a.required, servers)
}

// Down is how many of the required servers were missing at once, and in how many samples that was counted.
func (a *Attendance) Down() (most, samples int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(0, a.required-a.fewest), a.samples
}

// Changed is closed when the next server comes or goes.
func (a *Attendance) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func (a *Attendance) count() int {
	n := 0
	for _, s := range a.seen {
		if s.there {
			n++
		}
	}
	return n
}

// perhaps is how many servers are there, those that nobody knows of included.
func (a *Attendance) perhaps(now time.Time) int {
	n := 0
	for _, s := range a.seen {
		if s.there || now.Sub(s.at) > fresh {
			n++
		}
	}
	return n
}

func (a *Attendance) note(host string, there bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.seen[host].there != there {
		close(a.changed)
		a.changed = make(chan struct{})
	}
	a.seen[host] = sighting{there, now}
	a.samples++
	a.fewest = min(a.fewest, a.perhaps(now))
}

func (a *Attendance) watch(ctx context.Context, host string, cfg *pgx.ConnConfig) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		conn, err := pgx.ConnectConfig(ctx, cfg.Copy())
		switch {
		case err == nil:
			a.ask(ctx, host, conn, ticker.C)
		case turnedAway(err):
			a.note(host, false)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// turnedAway reports whether an error says that the server is not there, or comes or goes. One that is only slow is there.
func turnedAway(err error) bool {
	const cannotConnectNow = "57P03"
	e, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, syscall.ECONNREFUSED) || ok && e.Code == cannotConnectNow
}

// ask asks over one connection until that breaks.
func (a *Attendance) ask(ctx context.Context, host string, conn *pgx.Conn, tick <-chan time.Time) {
	defer func() {
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		conn.Close(goodbye) //nolint:errcheck // it is broken or not needed any more
		a.done.Go(func() { <-conn.PgConn().CleanupDone() })
	}()
	for {
		limited, cancel := context.WithTimeout(ctx, patience)
		_, err := conn.Exec(limited, "select 1")
		cancel()
		late, ok := errors.AsType[net.Error](err)
		if slow := ok && late.Timeout(); err != nil && !slow {
			a.note(host, false)
		}
		if err != nil {
			return
		}
		a.note(host, true)
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}
