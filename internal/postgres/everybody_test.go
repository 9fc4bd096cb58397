package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// everybody sends a signal to a server and all its processes at one moment, as what ends a whole process tree or a whole
// control group does.
func everybody(t *testing.T, s *Server, signal unix.Signal) {
	t.Helper()
	all, err := process.In(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []unix.Signal{unix.SIGSTOP, signal, unix.SIGCONT} {
		for _, p := range all {
			_ = unix.Kill(p.PID, sig)
		}
	}
}

// A server whose processes have all been asked to end, and not the postmaster alone, still stops.
func TestStopOfEverybody(t *testing.T) {
	first := decoding(t, "p1")
	if err := first.CreateSlot(within(t), Slot{Name: "s1"}); err != nil {
		t.Fatal(err)
	}
	second := copying(t, "s1", first)
	for range 8 {
		await(t, second, "it has the rows", replayed(t, first))
		for range 5 {
			session(t, second)
		}
		everybody(t, second, unix.SIGTERM)
		// By now the postmaster has begun by itself, and what ended may have been started again.
		for until := time.Now().Add(2 * time.Second); titled(t, second, "startup") && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		if _, err := second.Stop(within(t), StopOptions{Patience: 8 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
		if err := second.Start(within(t), StartOptions{Standby: true, Upstream: through("s1", first)}); err != nil {
			t.Fatal(err)
		}
	}
}

// titled reports whether a server has a process with that word in its title.
func titled(t *testing.T, s *Server, word string) bool {
	t.Helper()
	all, err := process.In(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(p process.Info) bool { return strings.Contains(p.Title, word) })
}
