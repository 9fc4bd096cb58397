package acceptance_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/api/acceptance"
)

// TestThroughAFollower asks everything of a scheduler that does not lead (api.md §1, leadership and proxying): its answers are
// those of the one that does. Left out is what each scheduler answers for itself, and who may not have a stream, which it
// leaves to the one that leads.
func TestThroughAFollower(t *testing.T) {
	acceptance.Run(t, func(t *testing.T, test func(*testing.T, acceptance.Platform)) {
		synctest.Test(t, func(t *testing.T) {
			p, end := platform(t, t.Errorf)
			defer end()
			stop := follow(t, &p)
			defer stop()
			test(t, p)
		})
	}, "PingAndMetrics", "MetricsByName", "EventsNeedTheirAccept")
}

// follows is a leadership in which another one leads.
type follows string

func (f follows) Leader() (string, bool)       { return string(f), true }
func (follows) Leads() bool                    { return false }
func (follows) Changed() <-chan struct{}       { return nil }
func (follows) Abdicate(context.Context) error { return errors.New("it does not lead") }

// follow puts a scheduler that does not lead before that of a platform.
func follow(t *testing.T, p *acceptance.Platform) (end func()) {
	t.Helper()
	leader, there := p.Client.Transport.(*http.Transport)
	if !there {
		t.Fatal("the platform has a transport of another kind")
	}
	server := api.New(api.Config{Address: "127.0.0.1:8081", Version: "test", Transport: leader}, api.Backend{Leadership: follows("127.0.0.1:8080")}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancelCause(t.Context())
	l := listenPipes()
	var life sync.WaitGroup
	var failed error
	life.Go(func() { failed = server.Serve(ctx, l) })
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "127.0.0.1:8081" {
			return l.dial(ctx, network, address)
		}
		return leader.DialContext(ctx, network, address) // after a redirect
	}}
	p.URL, p.Client = "http://127.0.0.1:8081", &http.Client{Transport: transport}
	return func() {
		transport.CloseIdleConnections()
		cancel(errors.New("the test is over"))
		life.Wait()
		if failed != nil {
			t.Error(failed)
		}
	}
}
