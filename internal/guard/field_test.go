package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// patience bounds every wait below; none of them is expected to take a tenth of it.
const patience = 20 * time.Second

// behaviour is the variable that makes this binary a server.
const behaviour = "GUARD_TEST_SERVER"

func TestMain(m *testing.M) {
	switch how := os.Getenv(behaviour); {
	case how != "":
		os.Exit(beServer(how))
	case len(os.Args) > 2 && os.Args[1] == "guard":
		if err := Serve(os.Args[2], os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// server is the environment that makes this binary a server, and has it end at once when the race detector is in it.
func server(how string) []string { return []string{behaviour + "=" + how, "GORACE=atexit_sleep_ms=0"} }

// beServer behaves like a postmaster with two children, one of which works elsewhere. An obedient one ends with its
// children when it is asked to shut down fast, a stubborn one when it is asked to immediately, a deaf one never.
func beServer(how string) int {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	if how != "child" {
		for _, dir := range []string{".", "/"} {
			child := exec.Command("/proc/self/exe")
			child.Args[0], child.Dir = "postgres: worker", dir
			child.Env = server("child")
			if err := child.Start(); err != nil {
				return 1
			}
			defer child.Wait()                       //nolint:errcheck // killed below
			defer child.Process.Signal(unix.SIGKILL) //nolint:errcheck // it may have ended
		}
		if err := os.WriteFile("postmaster.pid", fmt.Append(nil, os.Getpid(), "\n"), 0o600); err != nil {
			return 1
		}
	}
	for s := range asked {
		if how == "obedient" && s == unix.SIGINT || how == "stubborn" && s == unix.SIGQUIT {
			return 0
		}
	}
	return 0
}

// field is a data directory, the servers on it and its guards.
type field struct {
	t       *testing.T
	dir     string
	program string
}

func newField(t *testing.T) *field {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &field{t: t, dir: filepath.Join(top, "data"), program: filepath.Join(top, "postgres")}
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.program, self, 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Cleanup(f.clear)
	return f
}

// clear makes sure that nothing stays behind.
func (f *field) clear() {
	left, err := look(f.dir)
	if err != nil {
		f.t.Error(err)
	}
	for _, h := range left {
		_ = h.signal(unix.SIGKILL) // it may have ended
	}
	release(left)
	for {
		pid, err := holder(f.dir, 0)
		if err != nil {
			f.t.Error(err)
		}
		if pid == 0 || err != nil {
			return
		}
		f.t.Errorf("guard %d was left behind", pid)
		h := f.hold(pid)
		if err := end(h); err != nil {
			f.t.Error(err)
		}
	}
}

// server starts one and waits until all of its processes are there.
func (f *field) server(how string) *process.Handle {
	f.t.Helper()
	cmd := exec.Command(f.program)
	cmd.Dir, cmd.Env = f.dir, server(how)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.await("the server is up", func() bool {
		_, err := os.Stat(filepath.Join(f.dir, "postmaster.pid"))
		return err == nil && f.count() == 3
	})
	return f.hold(cmd.Process.Pid)
}

// count is how many processes the server has.
func (f *field) count() int {
	f.t.Helper()
	found, err := look(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	release(found)
	return len(found)
}

func (f *field) hold(pid int) *process.Handle {
	f.t.Helper()
	h, err := process.Open(pid)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = h.Close() })
	return h
}

func (f *field) guard() *Guard {
	f.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(f.t.Output(), nil))
	g, err := Open(f.t.Context(), Config{DataDir: f.dir, Command: []string{exe, "guard"}}, log)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if isClosed(g.closed) {
			return
		}
		if err := errors.Join(g.Disarm(context.WithoutCancel(f.t.Context())), g.Close()); err != nil {
			f.t.Error(err)
		}
	})
	return g
}

// arm gives an order to act that much from now, with as much again until the deadline.
func (f *field) arm(g *Guard, pid int, after time.Duration) Order {
	f.t.Helper()
	began := time.Now()
	o := Order{PID: pid, Act: began.Add(after), Deadline: began.Add(2 * after)}
	if err := g.Arm(f.t.Context(), o); err != nil {
		f.t.Fatal(err)
	}
	return o
}

// await looks until something is so that no event tells of.
func (f *field) await(what string, reached func() bool) {
	f.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	for !reached() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			f.t.Fatalf("not reached: %s", what)
		}
	}
}

func (f *field) awaitEnd(what string, h *process.Handle) {
	f.t.Helper()
	select {
	case <-h.Gone():
	case <-time.After(patience):
		f.t.Fatalf("%s does not end", what)
	}
}

// stopped checks that the server is gone within the order's time, with all of its processes, and by which signal.
func (f *field) stopped(g *Guard, server *process.Handle, o Order, signal string) Note {
	f.t.Helper()
	f.awaitEnd("the server", server)
	at := time.Now()
	if at.Before(o.Act) {
		f.t.Errorf("stopped %s before it was due", o.Act.Sub(at))
	}
	var n Note
	f.await("the note", func() (found bool) {
		n, found = g.Note()
		return found
	})
	if late := time.Since(o.Deadline); late > 0 {
		f.t.Errorf("over %s after the deadline", late)
	}
	if left := f.count(); left != 0 {
		f.t.Errorf("%d processes of the server are left", left)
	}
	if n.PID != server.PID() || n.Signal != signal || n.Trouble != "" || n.Why == "" || n.At.IsZero() {
		f.t.Errorf("the note says %+v, want process %d and %s", n, server.PID(), signal)
	}
	if again, found := g.Note(); found {
		f.t.Errorf("there is another note: %+v", again)
	}
	return n
}

func (f *field) alive(server *process.Handle) {
	f.t.Helper()
	if server.Ended() || f.count() != 3 {
		f.t.Fatalf("the server was touched: %d processes", f.count())
	}
}
