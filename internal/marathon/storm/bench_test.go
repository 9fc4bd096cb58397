//go:build schedulerbench

package storm

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/marathon/api"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/simulated"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// perApp is how many instances an app has on average, perHost how many tasks there are for each host. Of each ten apps one is
// a database with five members, which need five hosts, and one is larger for it.
const (
	perApp  = 10
	perHost = 20
)

// budgets of ten thousand tasks.
const (
	placement = 20 * time.Second
	tick      = 50 * time.Millisecond
	listing   = 300 * time.Millisecond
	memoryMiB = 300
)

// TestSchedulerBench places tasks in real time and prints what that costs, from a hundred to ten thousand of them.
func TestSchedulerBench(t *testing.T) {
	fmt.Printf("%8s %6s %6s %12s %12s %14s %10s %10s\n", "tasks", "apps", "hosts", "placed in", "tick", "GET /v2/apps", "heap MiB", "RSS MiB")
	for _, tasks := range []int{100, 1000, 10000} {
		f := measure(t, tasks)
		fmt.Printf("%8d %6d %6d %12v %12v %14v %10d %10d\n", tasks, tasks/perApp, tasks/perHost, f.placed.Round(time.Millisecond),
			f.tick.Round(10*time.Microsecond), f.list.Round(100*time.Microsecond), f.heap, f.rss)
		if tasks == 10000 && (f.placed > placement || f.tick > tick || f.list > listing || f.rss > memoryMiB) {
			t.Errorf("over budget: %v, %v, %v, %d MiB", placement, tick, listing, memoryMiB)
		}
	}
}

type figures struct {
	placed, tick, list time.Duration
	heap               uint64 // MiB in use after a collection, the store and the machines included
	rss                uint64 // MiB of the process at its largest so far, as the kernel counts
}

func measure(t *testing.T, tasks int) figures {
	t.Helper()
	db := memory.New()
	defer func() { _ = db.Close() }()
	fleet := simulated.New(simulated.Config{Hosts: bigHosts(tasks / perHost)})
	conn := fleet.Open()
	defer func() { _ = conn.Close() }()
	s := run.New(run.Config{Dial: fleet.Dial}, store.New(db, prefix), conn, fleet.Members(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	var f figures
	began := time.Now()
	fill(t, s, tasks/perApp)
	f.placed = time.Since(began)
	f.tick = ticks(t, s)
	f.list = list(t, s)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap = m.HeapAlloc >> 20
	f.rss = largest(t)
	return f
}

// largest is the most memory that this process has had at any time, in MiB (VmHWM of proc(5)).
func largest(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// bigHosts have room for forty tasks each.
func bigHosts(n int) []simulated.Host {
	hosts := simulated.Hosts(n)
	for i := range hosts {
		hosts[i].Resources = place.Resources{CPUs: 16, Mem: 65536, Disk: 1e6}
	}
	return hosts
}

// fill posts apps, a group of a hundred at a time as people do who restore a fleet, and waits until all of their tasks run.
func fill(t *testing.T, s *run.Scheduler, apps int) {
	t.Helper()
	for s.FrameworkID() == "" {
		time.Sleep(time.Millisecond)
	}
	for from := 0; from < apps; from += 100 {
		_, err := s.Apply(t.Context(), func(defs *app.Definitions) error {
			for n := from; n < min(from+100, apps); n++ {
				name, instances := "web", perApp
				switch n % 10 {
				case 0:
					name, instances = "pg", perApp/2
				case 1:
					instances += perApp / 2
				}
				a, err := define(name, instances, 0)
				if err != nil {
					return err
				}
				a.ID = app.ID(fmt.Sprintf("/bench/app%04d", n))
				defs.Apps[a.ID] = a.Created(app.At(time.Now()))
			}
			return nil
		}, app.ApplyOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(5 * time.Minute)
	for len(s.Deployments()) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("it takes too long: %v", s.Waits()[:1])
		}
		time.Sleep(time.Millisecond)
	}
}

// ticks is how long the scheduler takes to look at everything once. A request waits for the look after the one before.
func ticks(t *testing.T, s *run.Scheduler) time.Duration {
	t.Helper()
	const n = 20
	began := time.Now()
	for range n {
		if _, _, err := s.Cancel(t.Context(), "nothing", true); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(began) / n
}

func list(t *testing.T, s *run.Scheduler) time.Duration {
	t.Helper()
	server := api.New(api.Config{Address: "127.0.0.1:8080", Version: "bench", FrameworkID: s.FrameworkID}, api.Backend{Scheduler: s}, slog.New(slog.DiscardHandler))
	const n = 5
	began := time.Now()
	for range n {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/apps?embed=apps.tasks&embed=apps.counts", http.NoBody))
		if w.Code != http.StatusOK || w.Body.Len() < 1000 {
			t.Fatalf("answer %d of %d bytes", w.Code, w.Body.Len())
		}
	}
	return time.Since(began) / n
}
