package session_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// TestPausesGrow: between two attempts there is between half and the whole of a pause that doubles up to its bound, so that
// many schedulers do not all come at once and a master that is back is found soon.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried []time.Time
		ctx, cancel := context.WithCancel(t.Context())
		s := session.New(session.Config{
			Masters: []string{"10.0.0.1:5050"}, Framework: wire.FrameworkInfo{User: "root", Name: "pgbaton"},
			LeastPause: 100 * time.Millisecond, MostPause: 15 * time.Second,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				if tried = append(tried, time.Now()); len(tried) == 12 {
					cancel()
				}
				return nil, errors.New("nobody is there")
			},
		}, slog.New(slog.DiscardHandler))
		if err := s.Run(ctx, session.Handler{}); err != nil {
			t.Fatal(err)
		}
		pause := 100 * time.Millisecond
		for n := 1; n < len(tried); n++ {
			if took := tried[n].Sub(tried[n-1]); took < pause/2 || took > pause {
				t.Errorf("pause %d took %s, want between %s and %s", n, took, pause/2, pause)
			}
			pause = min(2*pause, 15*time.Second)
		}
	})
}
