package postgres

import (
	"sync"
	"time"
)

// activity is what a job is doing at the moment.
type activity struct {
	mu    sync.Mutex
	what  string
	since time.Time
}

// Activity says in a few words what the job under way is doing, and since when: "running the method wal_e". It is
// empty when nothing is under way that can take long. It may be called from any goroutine.
func (s *Server) Activity() (what string, since time.Time) {
	s.activity.mu.Lock()
	defer s.activity.mu.Unlock()
	return s.activity.what, s.activity.since
}

// doing begins an activity; the returned function ends it.
func (s *Server) doing(what string) (done func()) {
	s.activity.set(what, time.Now())
	return func() { s.activity.set("", time.Time{}) }
}

func (a *activity) set(what string, since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.what, a.since = what, since
}
