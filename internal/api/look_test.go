package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/health"
)

// counting is an agent that counts the looks that are taken for requests, each of which takes a while.
type counting struct {
	*fakeAgent

	mu    sync.Mutex
	looks int
	began []time.Time
}

func (c *counting) Fresh(ctx context.Context) *health.Snapshot {
	c.mu.Lock()
	c.looks++
	c.began = append(c.began, time.Now())
	c.mu.Unlock()
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
	}
	return c.now
}

func (c *counting) Observed(ctx context.Context) *health.Snapshot { return c.Fresh(ctx) }

// Many who ask at once, again and again, have the agent look now and then.
func TestManyLooksAreFew(t *testing.T) {
	for path, every := range map[string]time.Duration{"/cluster": pictureEvery, "/patroni?fresh": serverEvery} {
		synctest.Test(t, func(t *testing.T) {
			c := &counting{fakeAgent: agentLedBy("n1")}
			s := New(c, quiet())
			until := time.Now().Add(time.Second)
			var clients sync.WaitGroup
			for range 50 {
				clients.Go(func() {
					for time.Now().Before(until) {
						asked := time.Now()
						s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, http.NoBody))
						if took := time.Since(asked); took > every+10*time.Millisecond {
							t.Errorf("%s: it took %v", path, took)
						}
					}
				})
			}
			clients.Wait()
			if most := int(time.Second/every) + 2; c.looks > most || c.looks < most/2 {
				t.Errorf("%s: %d looks", path, c.looks)
			}
		})
	}
}

// A look that somebody else asked for earlier, and that has begun, is not new enough.
func TestLooksAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{fakeAgent: agentLedBy("n1")}
		l := looks{every: time.Millisecond, look: c.Fresh}
		go l.get(t.Context()) //nolint:errcheck // the other one's answer
		time.Sleep(2 * time.Millisecond)
		asked := time.Now()
		if _, err := l.get(t.Context()); err != nil || c.looks != 2 || c.began[1].Before(asked) {
			t.Errorf("%v, %d looks", err, c.looks)
		}
		left, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.get(left); err == nil {
			t.Error("who left got an answer")
		}
		time.Sleep(freshWait) // what was begun ends
	})
}
