package guard

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheNextAgentTakesOver(t *testing.T) {
	t.Run("with an order", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		first, server := f.guard(), f.server("obedient")
		old := f.hold(first.PID())
		o := f.arm(first, server.PID(), 700*time.Millisecond)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second := f.guard()
		if old.Ended() {
			t.Fatal("the old guard ended before the new one had an order")
		}
		f.arm(second, server.PID(), time.Hour)
		if !old.Ended() {
			t.Error("the old guard is still there")
		}
		select {
		case <-server.Gone():
			t.Error("the server was stopped by an order that is void")
		case <-time.After(time.Until(o.Deadline)):
		}
		f.alive(server)
	})
	t.Run("without an order", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		first, server := f.guard(), f.server("obedient")
		o := f.arm(first, server.PID(), time.Second)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second := f.guard()
		f.stopped(second, server, o, "SIGINT")
	})
	t.Run("and has nothing to guard", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		first, server := f.guard(), f.server("obedient")
		old := f.hold(first.PID())
		f.arm(first, server.PID(), time.Hour)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.guard().Disarm(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !old.Ended() {
			t.Error("the old guard is still there")
		}
	})
	t.Run("of several", func(t *testing.T) {
		t.Parallel()
		f := newField(t)
		server := f.server("obedient")
		for range 3 {
			g := f.guard()
			g.alone = true // as if it could not find the others
			f.arm(g, server.PID(), time.Hour)
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
		}
		g := f.guard()
		f.arm(g, server.PID(), time.Hour)
		if pid, err := holder(f.dir, g.PID()); pid != 0 || err != nil {
			t.Errorf("guard %d is still there, %v", pid, err)
		}
	})
}

// The agent was frozen between giving its order and starting the server: what it then starts must not stay.
func TestAServerThatComesUpAfterTheInstant(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g := f.guard()
	o := f.arm(g, 0, 200*time.Millisecond)
	timer := time.NewTimer(time.Until(o.Deadline))
	<-timer.C
	for range 2 {
		late := exec.Command(f.program)
		late.Dir, late.Env = f.dir, server("deaf")
		if err := late.Start(); err != nil {
			t.Fatal(err)
		}
		f.awaitEnd("the server", f.hold(late.Process.Pid))
		f.await("no process is left", func() bool { return f.count() == 0 })
		f.await("the note", func() bool { _, found := g.Note(); return found })
	}
	if err := os.Remove(filepath.Join(f.dir, "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	f.arm(g, 0, time.Hour)
	f.alive(f.server("obedient"))
}

// One order is for all servers that come up under it: a restart has no gap.
func TestARestartUnderOneOrder(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, first := f.guard(), f.server("obedient")
	o := f.arm(g, first.PID(), 2*time.Second)
	if err := first.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	f.awaitEnd("the first server", first)
	f.await("its processes are gone", func() bool { return f.count() == 0 })
	f.stopped(g, f.server("obedient"), o, "SIGINT")
}

func TestSignalsForAllProcessesDoNotEndTheGuard(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g, server := f.guard(), f.server("obedient")
	process := f.hold(g.PID())
	o := f.arm(g, server.PID(), time.Second)
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGTERM, unix.SIGPIPE, unix.SIGTSTP} {
		if err := process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	f.stopped(g, server, o, "SIGINT")
	if process.Ended() {
		t.Error("the guard ended")
	}
}

// What the guard gets from the agent: its working directory, a session of its own, no environment, and no file but its
// end of the connection. The runtime keeps some of its own.
func TestWhatTheGuardInherits(t *testing.T) {
	t.Parallel()
	f := newField(t)
	g := f.guard()
	if err := g.Disarm(t.Context()); err != nil { // it has got ready when it confirms
		t.Fatal(err)
	}
	at := fmt.Sprintf("/proc/%d/", g.PID())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := os.Readlink(at + "cwd"); err != nil || dir != here {
		t.Errorf("it works in %s, %v", dir, err)
	}
	if sid, err := unix.Getsid(g.PID()); err != nil || sid != g.PID() {
		t.Errorf("its session is %d, %v", sid, err)
	}
	environ, err := os.ReadFile(at + "environ")
	if err != nil || strings.Contains(string(environ), "PATH=") {
		t.Errorf("its environment is %q, %v", environ, err)
	}
	files, err := os.ReadDir(at + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		to, err := os.Readlink(at + "fd/" + file.Name())
		known := strings.HasPrefix(to, "anon_inode:") || to == "/dev/null" || to == lockPath(f.dir) || strings.HasPrefix(to, "/sys/fs/cgroup/") || file.Name() == "2" || file.Name() == "3"
		if err != nil || !known {
			t.Errorf("descriptor %s leads to %s, %v", file.Name(), to, err)
		}
	}
}
