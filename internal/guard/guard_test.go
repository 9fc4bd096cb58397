package guard

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSilenceStopsTheServer(t *testing.T) {
	for how, signal := range map[string]string{"obedient": "SIGINT", "stubborn": "SIGQUIT", "deaf": "SIGKILL"} {
		for name, known := range map[string]bool{"named": true, "of which only the directory is known": false} {
			t.Run(how+" "+name, func(t *testing.T) {
				t.Parallel()
				f := newField(t)
				g, server := f.guard(), f.server(how)
				pid := 0
				if known {
					pid = server.PID()
				}
				n := f.stopped(g, server, f.arm(g, pid, 400*time.Millisecond), signal)
				if !strings.Contains(n.Why, "did not run") {
					t.Errorf("the note says %q of an agent that lives", n.Why)
				}
			})
		}
	}
}

func TestAServerThatIsStoppedBySIGSTOPIsKilled(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	if err := server.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.stopped(g, server, f.arm(g, server.PID(), 400*time.Millisecond), "SIGKILL")
}

// A machine that was suspended for long: there is no time left for being gentle.
func TestALateGuardKillsAtOnce(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	o := Order{PID: server.PID(), Act: time.Now().Add(-time.Minute), Deadline: time.Now().Add(-time.Second)}
	began := time.Now()
	if err := g.Arm(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o.Deadline = began.Add(killPatience)
	f.stopped(g, server, o, "SIGKILL")
}

func TestNewsPutsOffTheInstant(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	var o Order
	for range 10 {
		o = f.arm(g, server.PID(), 300*time.Millisecond)
		ticker := time.NewTicker(100 * time.Millisecond)
		<-ticker.C
		ticker.Stop()
	}
	f.alive(server)
	f.stopped(g, server, o, "SIGINT")
}

func TestADisarmedGuardDoesNothing(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	o := f.arm(g, server.PID(), 200*time.Millisecond)
	if err := g.Disarm(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Gone():
		t.Error("the server was stopped")
	case <-time.After(time.Until(o.Deadline)):
	}
	f.alive(server)
}

// The servers of other data directories are nobody's business, nor are strangers that work in this one.
func TestOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	f, other := newField(t), newField(t)
	stranger := exec.Command("sleep", "60")
	stranger.Dir = f.dir
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	h := f.hold(stranger.Process.Pid)
	g, server, untouched := f.guard(), f.server("deaf"), other.server("obedient")
	f.stopped(g, server, f.arm(g, 0, 300*time.Millisecond), "SIGKILL")
	other.alive(untouched)
	if h.Ended() {
		t.Error("a stranger was ended")
	}
	if err := end(h); err != nil {
		t.Error(err)
	}
}

// Closing a guard that is armed is what the death of the agent looks like from its side.
func TestTheAgentDies(t *testing.T) {
	t.Run("its order stands", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		g, server := f.guard(), f.server("obedient")
		process := f.hold(g.PID())
		o := f.arm(g, server.PID(), time.Second)
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		f.alive(server)
		n := f.stopped(g, server, o, "SIGINT")
		if !strings.Contains(n.Why, "dead") {
			t.Errorf("the note says %q of a dead agent", n.Why)
		}
		f.awaitEnd("the guard", process)
	})
	t.Run("before it knew the server", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		g := f.guard()
		process := f.hold(g.PID())
		o := f.arm(g, 0, time.Second)
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		f.stopped(g, f.server("obedient"), o, "SIGINT")
		f.awaitEnd("the guard", process)
	})
	t.Run("and then the server", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		g, server := f.guard(), f.server("obedient")
		process := f.hold(g.PID())
		f.arm(g, server.PID(), time.Hour)
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if err := server.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		f.awaitEnd("the guard", process)
	})
	t.Run("after the server", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		g, server := f.guard(), f.server("obedient")
		process := f.hold(g.PID())
		f.arm(g, server.PID(), time.Hour)
		if err := server.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		f.awaitEnd("the server", server)
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		f.awaitEnd("the guard", process)
	})
	t.Run("while nothing is guarded", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		g := f.guard()
		process := f.hold(g.PID())
		g.child.close()
		f.awaitEnd("the guard", process)
	})
}

func TestFarewell(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	process := f.hold(g.PID())
	f.arm(g, server.PID(), time.Hour)
	if err := g.Disarm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if !process.Ended() {
		t.Error("the guard is still there after Close")
	}
	f.alive(server)
}

func TestAKilledGuardIsReplaced(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	o := f.arm(g, server.PID(), time.Second)
	for range 2 {
		old := g.PID()
		began := time.Now()
		if err := f.hold(old).Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		f.await("another guard", func() bool { pid := g.PID(); return pid != 0 && pid != old })
		t.Logf("replaced after %s", time.Since(began))
	}
	f.alive(server)
	f.stopped(g, server, o, "SIGINT")
}

func TestAGuardThatDoesNotAnswerIsReplaced(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	f.arm(g, server.PID(), time.Hour)
	frozen := f.hold(g.PID())
	if err := frozen.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	o := f.arm(g, server.PID(), 2*time.Second)
	if !frozen.Ended() {
		t.Error("the frozen one is still there: it could act on an order of long ago")
	}
	f.stopped(g, server, o, "SIGINT")
}

func TestAGuardThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	f := newField(t)
	_, err := Open(t.Context(), Config{DataDir: f.dir, Command: []string{"/bin/false"}}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("it was started")
	}
	t.Log(err)
	_, err = Open(t.Context(), Config{DataDir: filepath.Join(f.dir, "none", "data"), Command: []string{os.Args[0], "guard"}}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Fatalf("got %v, want the guard's own reason", err)
	}
}

// A guard that dies whenever it is made does not keep the agent busy; once it can live again it has the order.
func TestAGuardThatEndsAgainAndAgain(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	o := f.arm(g, server.PID(), 3*time.Second)
	works := g.cfg.Command
	g.mu.Lock()
	g.cfg.Command = []string{"/bin/false"}
	old := g.child.PID()
	g.mu.Unlock()
	if err := f.hold(old).Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.await("there is none", func() bool { return g.PID() == 0 })
	if err := g.Arm(t.Context(), o); err == nil {
		t.Error("an order was confirmed by nobody")
	}
	g.mu.Lock()
	g.cfg.Command = works
	g.mu.Unlock()
	f.await("another guard", func() bool { return g.PID() != 0 })
	f.stopped(g, server, o, "SIGINT")
}
