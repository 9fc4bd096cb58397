package acceptance_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// TestPythonsClient has a program use the scheduler that nobody wrote for it: Python's client of Marathon (python3-marathon of
// Debian), whose classes fail on what they do not know. clients.md §8 and §9.
func TestPythonsClient(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.CommandContext(t.Context(), python, "-c", "import marathon").Run(); err != nil {
		peer.Missing(t, "Python's client of Marathon is missing; install python3-marathon")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "testdata/client.py", inTheOpen(t))
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

// inTheOpen is the URL of a scheduler over machines in memory, on a port of this machine and in real time.
func inTheOpen(t *testing.T) string {
	t.Helper()
	root, log := memory.New(), slog.New(slog.DiscardHandler)
	machines := machines(t.Errorf)
	machines.Store = simulated.StoreIn(root, prefix)
	fleet := simulated.New(machines)
	db, conn := root.Client(), fleet.Open()
	s := run.New(run.Config{Dial: fleet.Dial}, store.New(db, prefix), conn, fleet.Members(), log)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := api.New(api.Config{Address: l.Addr().String(), Version: "test", FrameworkID: s.FrameworkID}, api.Backend{
		Scheduler: s, History: s, Tasks: s, Feed: s, Metrics: s, Groups: s, Loaded: s.Loaded,
	}, log)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	var life sync.WaitGroup
	var failed [2]error
	life.Go(func() { failed[0] = s.Run(ctx) })
	life.Go(func() { failed[1] = server.Serve(ctx, l) })
	t.Cleanup(func() {
		cancel(errors.New("the test is over"))
		life.Wait()
		if err := errors.Join(failed[0], failed[1], conn.Close(), db.Close(), root.Close()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}
