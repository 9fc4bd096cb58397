package callback

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notebook is a file that scripts write to, and a runner with scripts that write to it.
type notebook struct {
	*Runner

	t    *testing.T
	path string
}

// write makes a runner whose events all run a shell script. $NOTES is the file.
func write(t *testing.T, script string) notebook {
	t.Helper()
	n := notebook{t: t, path: filepath.Join(t.TempDir(), "notes")}
	t.Setenv("NOTES", n.path)
	commands := map[Event][]string{}
	for _, e := range []Event{OnStart, OnStop, OnRestart, OnReload, OnRoleChange} {
		commands[e] = []string{"/bin/sh", "-c", script, "sh", "given words"}
	}
	n.Runner = New("lab", commands, slog.New(slog.DiscardHandler))
	return n
}

// close waits for the scripts.
func (n notebook) close() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	n.Close(ctx)
	if ctx.Err() != nil {
		n.t.Fatal("a script does not end")
	}
}

// lines are what was written.
func (n notebook) lines() []string {
	n.t.Helper()
	text, err := os.ReadFile(n.path)
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// await waits until that many lines are written.
func (n notebook) await(count int) []string {
	n.t.Helper()
	w, err := process.NewWatch(filepath.Dir(n.path))
	if err != nil {
		n.t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // only read
	deadline := time.After(20 * time.Second)
	for {
		if lines := n.lines(); len(lines) >= count && lines[0] != "" {
			return lines
		}
		select {
		case <-w.Changes():
		case <-deadline:
			n.t.Fatalf("only %q is written", n.lines())
		}
	}
}

func TestArgumentsAreEventRoleScope(t *testing.T) {
	n := write(t, `printf '%s|' "$@" >>"$NOTES"`)
	for _, c := range []struct {
		event Event
		role  cluster.Role
		want  string
	}{
		{OnStart, cluster.RoleReplica, "given words|on_start|replica|lab|"},
		{OnRoleChange, cluster.RolePromoted, "given words|on_role_change|primary|lab|"},
		{OnReload, cluster.RoleStandbyLeader, "given words|on_reload|standby_leader|lab|"},
	} {
		n.Call(c.event, c.role)
		n.close()
		if got := n.lines(); len(got) != 1 || !strings.HasSuffix(got[0], c.want) {
			t.Errorf("%s: %q, want %q", c.event, got, c.want)
		}
	}
}

// What a script is told must not be what others must never learn.
func TestEnvironmentHasNoSecrets(t *testing.T) {
	t.Setenv("PATRONI_SUPERUSER_PASSWORD", "secret")
	t.Setenv("PGBATON_VOLUME_ROOT", "/somewhere")
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	n := write(t, `env | grep -E '^(PATRONI_|PGBATON_|NOTIFY_SOCKET|KUBERNETES_)' >>"$NOTES"`)
	n.Call(OnStart, cluster.RolePrimary)
	n.close()
	if diff := cmp.Diff([]string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}, n.lines()); diff != "" {
		t.Error(diff)
	}
}

// A script that still runs is killed with its children, and only then the next one is started.
func TestNextEventKillsTheScriptAndItsChildren(t *testing.T) {
	n := write(t, `if [ "$2" = on_stop ]; then
	sleep 600 & echo $$ >>"$NOTES"; echo $! >>"$NOTES"; wait
fi
echo "$2" >>"$NOTES"`)
	n.Call(OnStop, cluster.RolePrimary)
	pids := n.await(2)
	child := watched(t, pids[1])
	n.Call(OnRoleChange, cluster.RoleReplica)
	n.close()
	select {
	case <-child.Gone():
	case <-time.After(20 * time.Second):
		t.Fatal("the script's child still runs")
	}
	if got := n.lines(); got[len(got)-1] != "on_role_change" || len(got) != 3 {
		t.Errorf("written: %q", got)
	}
}

func watched(t *testing.T, pid string) *process.Handle {
	t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	h, err := process.Open(number)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() }) //nolint:errcheck // nothing was written
	return h
}

// A reload tells of nothing that the others tell of: neither ends the other.
func TestReloadRunsBeside(t *testing.T) {
	n := write(t, `if [ "$2" != on_reload ]; then
	echo waits >>"$NOTES"
	while [ ! -e "$NOTES.go" ]; do sleep 0.01; done
fi
echo "$2" >>"$NOTES"`)
	n.Call(OnStart, cluster.RolePrimary)
	n.await(1)
	n.Call(OnReload, cluster.RolePrimary)
	n.await(2)
	if err := os.WriteFile(n.path+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.close()
	if diff := cmp.Diff([]string{"waits", "on_reload", "on_start"}, n.lines()); diff != "" {
		t.Error(diff)
	}
}

func TestFailuresAreHarmless(t *testing.T) {
	n := write(t, "exit 3")
	n.Call(OnStart, cluster.RolePrimary)
	n.Configure(map[Event][]string{OnStart: {"/nowhere/at/all"}})
	n.Call(OnStart, cluster.RolePrimary)
	n.Call(OnStop, cluster.RolePrimary) // has no script any more
	n.close()
}

// When the agent ends a script may go on: in a container's last moments it has no one to be told by again.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	n := write(t, `echo $$ >>"$NOTES"; exec sleep 600`)
	n.Call(OnStop, cluster.RoleReplica)
	pid := n.await(1)[0]
	script := watched(t, pid)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	n.Close(ctx)
	if script.Ended() {
		t.Error("the script was ended")
	}
	if err := script.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	n.close()
}
