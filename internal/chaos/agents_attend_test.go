package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/peer"
)

// until looks again and again until there is no reason any more why something is not so.
func until(ctx context.Context, t *testing.T, a *Agents, why func() error) {
	t.Helper()
	await(ctx, t, a, func(Picture) error { return why() })
}

// shows is the reason why a server does not have a setting as wanted.
func shows(ctx context.Context, a *Agents, member, setting, want string) error {
	got, err := a.SQL(ctx, member, "show "+setting)
	if err == nil && got != want {
		err = fmt.Errorf("%s has %s = %s and not %s", member, setting, got, want)
	}
	return err
}

// printed is the reason why a process did not print a text since it had printed so many bytes.
func printed(a *Agents, name string, after int, parts ...string) error {
	text := a.Output(name, 1000)
	text = text[min(after, len(text)):]
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return fmt.Errorf("%s does not print %q", name, part)
		}
	}
	return nil
}

func hangup(t *testing.T, a *Agents, member string) int {
	t.Helper()
	before := len(a.Output(member, 1000))
	if err := a.Signal(member, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	return before
}

// TestAgentsReload changes the configuration file of a running member: what can change comes into force with SIGHUP, what
// cannot is named, and a file that cannot be used changes nothing.
func TestAgentsReload(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running(ctx, t, a)
	server := a.Postmaster("n1")

	edit(t, a, "n1", func(file map[string]any) {
		Set(file, "12345ms", "postgresql", "parameters", "log_min_duration_statement")
		Set(file, []string{"local all postgres trust", "host all postgres all scram-sha-256", "host replication replicator all scram-sha-256"}, "postgresql", "pg_hba")
		Set(file, "gold", "tags", "storage")
		Set(file, a.DataDir("n1")+"2", "postgresql", "data_dir")
	})
	if err := shows(ctx, a, "n1", "log_min_duration_statement", "-1"); err != nil {
		t.Error(err)
	}
	before := hangup(t, a, "n1")
	until(ctx, t, a, func() error { return shows(ctx, a, "n1", "log_min_duration_statement", "12345ms") })
	until(ctx, t, a, func() error {
		document, err := a.Document(ctx, "members/n1")
		if err == nil && !strings.Contains(document, `"storage":"gold"`) {
			err = errors.New("the member document says " + document)
		}
		return err
	})
	if got := ask(ctx, t, a, "n1", "select count(*) from pg_hba_file_rules"); got != "3" {
		t.Errorf("pg_hba.conf has %s rules", got)
	}
	if err := printed(a, "n1", before, "postgresql.data_dir changed, which comes into force when the agent is started anew"); err != nil {
		t.Error(err)
	}

	// Something else than the agent's own files may have changed: the server reads all of them all the same.
	loaded := ask(ctx, t, a, "n1", "select pg_conf_load_time()")
	hangup(t, a, "n1")
	until(ctx, t, a, func() error {
		if again, err := a.SQL(ctx, "n1", "select pg_conf_load_time()"); err != nil || again == loaded {
			return fmt.Errorf("the server did not reload (%w)", err)
		}
		return nil
	})

	if err := a.Write("n1", "scope: postgresql-cluster\npostgresql: [\n"); err != nil {
		t.Fatal(err)
	}
	before = hangup(t, a, "n1")
	until(ctx, t, a, func() error {
		return printed(a, "n1", before, "the configuration cannot be used; the one in force stays", "agent.yml", "line ")
	})
	if err := shows(ctx, a, "n1", "log_min_duration_statement", "12345ms"); err != nil {
		t.Error(err)
	}
	await(ctx, t, a, a.Leads("n1"))
	if got := a.Postmaster("n1"); got != server {
		t.Errorf("the server was process %d and is %d", server, got)
	}
}

func edit(t *testing.T, a *Agents, member string, change func(file map[string]any)) {
	t.Helper()
	if err := a.Edit(member, change); err != nil {
		t.Fatal(err)
	}
}

// secretsNowhere are variables that nothing which the agent starts may see.
func secretsNowhere() []string { return []string{"PATRONI_", "PGBATON_", "NOTIFY_SOCKET"} }

// TestAgentsServiceManager plays the service manager of one agent, from its start to its end.
func TestAgentsServiceManager(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 1, Env: []string{"PATRONI_SUPERUSER_PASSWORD=" + agentsPassword, "PGBATON_SOMETHING=x"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path := filepath.Join(a.Dir(), "notify")
	a.cfg.Env = append(a.cfg.Env, "NOTIFY_SOCKET="+path)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close() //nolint:errcheck // only read
	if err := a.give(path); err != nil {
		t.Fatal(err)
	}
	running(ctx, t, a)
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(a.Postmaster("n1")), "environ"))
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range secretsNowhere() {
		if bytes.HasPrefix(environ, []byte(prefix)) || bytes.Contains(environ, []byte("\x00"+prefix)) {
			t.Errorf("the server has %s… in its environment", prefix)
		}
	}
	toldManager(t, socket, "READY=1")
	hangup(t, a, "n1")
	toldManager(t, socket, "RELOADING=1", "READY=1")
	if err := a.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	toldManager(t, socket, "STOPPING=1")
}

// toldManager reads what the service manager is told next.
func toldManager(t *testing.T, socket *net.UnixConn, want ...string) {
	t.Helper()
	for _, w := range want {
		if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		message := make([]byte, 1024)
		n, err := socket.Read(message)
		if first, _, _ := strings.Cut(string(message[:n]), "\n"); err != nil || first != w {
			t.Fatalf("the service manager is told %q (%v), want %q", first, err, w)
		}
	}
}

// TestAgentsAsFirstProcess runs an agent as process 1 of a container: signals reach it, orphans are waited for, and it ends
// well with its server.
func TestAgentsAsFirstProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		peer.Missing(t, "only root makes a PID namespace with a /proc of its own")
	}
	a := agents(t, AgentsConfig{Members: 1, Contained: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The callback's child outlives its parent and ends as an orphan.
	edit(t, a, "n1", func(file map[string]any) {
		Set(file, `/bin/sh -c '(sleep 0.1; touch "$0") & exit 0' `+filepath.Join(a.Dir(), "n1", "orphan"), "postgresql", "callbacks", "on_start")
	})
	running(ctx, t, a)
	until(ctx, t, a, func() error {
		_, err := os.Stat(filepath.Join(a.Dir(), "n1", "orphan"))
		return err
	})
	until(ctx, t, a, func() error { return noZombies(a.Dir()) })
	edit(t, a, "n1", func(file map[string]any) { Set(file, "7s", "postgresql", "parameters", "log_min_duration_statement") })
	hangup(t, a, "n1")
	until(ctx, t, a, func() error { return shows(ctx, a, "n1", "log_min_duration_statement", "7s") })
	if err := a.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if err := printed(a, "n1", 0, "leaving"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(a.DataDir("n1"), "postmaster.pid")); !os.IsNotExist(err) {
		t.Errorf("the server did not end well: %v", err)
	}
}

// noZombies says which process of the folder has a child that ended and that nobody waited for.
func noZombies(dir string) error {
	all, err := parts(dir)
	if err != nil {
		return err
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		child := len(fields) > 1 && fields[0] == "Z" && slices.ContainsFunc(all, func(p part) bool { return strconv.Itoa(p.pid) == fields[1] })
		if child {
			return fmt.Errorf("%s is a zombie", filepath.Base(filepath.Dir(file)))
		}
	}
	return nil
}

// notes gives every member callbacks that write down what they are told, and what they see of the environment.
func notes(t *testing.T, a *Agents) {
	t.Helper()
	const script = `env | grep -E '^(PATRONI_|PGBATON_|NOTIFY_SOCKET)' >>"$0.env"
echo "$@" >>"$0.txt"`
	for _, name := range a.Names() {
		path := filepath.Join(a.Dir(), name, "notes")
		if err := os.WriteFile(path, []byte(script), 0o644); err != nil { //nolint:gosec // the agents' user reads it
			t.Fatal(err)
		}
		edit(t, a, name, func(file map[string]any) {
			for _, event := range []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change"} {
				Set(file, "/bin/sh "+path+" 'two words'", "postgresql", "callbacks", event)
			}
		})
	}
}

// noted waits until exactly these events were written down for a member since the last time. Of alternatives, which are
// separated by a bar, one must be.
func noted(ctx context.Context, t *testing.T, a *Agents, member string, want ...string) {
	t.Helper()
	path := filepath.Join(a.Dir(), member, "notes.txt")
	until(ctx, t, a, func() error {
		text, err := os.ReadFile(path) //nolint:gosec // below our own folder
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		right := len(lines) == len(want)
		for i, w := range want {
			right = right && slices.ContainsFunc(strings.Split(w, "|"), func(one string) bool {
				return lines[i] == "two words "+one+" postgresql-cluster"
			})
		}
		if !right {
			return fmt.Errorf("%s was told %q, want %q", member, lines, want)
		}
		return nil
	})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if seen, err := os.ReadFile(filepath.Join(a.Dir(), member, "notes.env")); err != nil || len(seen) > 0 {
		t.Errorf("a callback of %s saw %s (%v)", member, seen, err)
	}
}

// TestAgentsCallbacks follows what the scripts of two members are told, from their first start to their end.
func TestAgentsCallbacks(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2, Env: []string{"PATRONI_REPLICATION_PASSWORD=" + agentsPassword}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	notes(t, a)
	if err := a.Start("n1"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads("n1"))
	noted(ctx, t, a, "n1", "on_start primary")
	if err := a.Start("n2"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads("n1"))
	noted(ctx, t, a, "n2", "on_start replica")

	post(ctx, t, a, "n1", "/switchover", `{"leader":"n1","candidate":"n2"}`)
	await(ctx, t, a, a.Leads("n2"))
	noted(ctx, t, a, "n1", "on_stop primary|on_stop demoted", "on_role_change replica")
	noted(ctx, t, a, "n2", "on_role_change primary")

	post(ctx, t, a, "n2", "/restart", "{}")
	await(ctx, t, a, a.Leads("n2"))
	noted(ctx, t, a, "n2", "on_restart primary")

	edit(t, a, "n2", func(file map[string]any) { Set(file, "2s", "postgresql", "parameters", "log_min_duration_statement") })
	hangup(t, a, "n2")
	noted(ctx, t, a, "n2", "on_reload primary")

	if err := a.SignalServer("n1", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	noted(ctx, t, a, "n1", "on_start replica")
	await(ctx, t, a, a.Leads("n2"))

	if err := a.Leave(ctx, "n1", "n2"); err != nil {
		t.Fatal(err)
	}
	noted(ctx, t, a, "n1", "on_stop replica")
	noted(ctx, t, a, "n2", "on_stop primary|on_stop demoted")
}

func post(ctx context.Context, t *testing.T, a *Agents, member, path, body string) {
	t.Helper()
	code, text, err := a.Send(ctx, member, http.MethodPost, path, body)
	if err != nil || code != http.StatusOK {
		t.Fatalf("POST %s of %s: %d %v %s", path, member, code, err, text)
	}
}

// giveDevice gives a member a file in place of a watchdog device, which it must have.
func giveDevice(t *testing.T, a *Agents, member string) string {
	t.Helper()
	device := filepath.Join(a.Dir(), member, "watchdog")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.give(device); err != nil {
		t.Fatal(err)
	}
	wantDevice(t, a, member)
	return device
}

// wantDevice configures a member that must have a watchdog.
func wantDevice(t *testing.T, a *Agents, member string) {
	t.Helper()
	edit(t, a, member, func(file map[string]any) {
		Set(file, "required", "watchdog", "mode")
		Set(file, "testing", "watchdog", "driver")
		Set(file, filepath.Join(a.Dir(), member, "watchdog"), "watchdog", "device")
	})
}

// TestAgentsWatchdog lets a member lead with a file in place of a watchdog device, and shows what the device would hear.
func TestAgentsWatchdog(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	device := giveDevice(t, a, "n1")
	wantDevice(t, a, "n2")
	if err := a.Start("n1"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads("n1"))
	heard := func() string {
		text, err := os.ReadFile(device) //nolint:gosec // below our own folder
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got, want := strings.TrimRight(heard(), "1"), "Ctimeout=15\n"; got != want {
		t.Errorf("the device heard %q, want %q and feedings", got, want)
	}
	fed := len(heard())
	until(ctx, t, a, func() error {
		if len(heard()) < fed+2 {
			return errors.New("the device is not fed")
		}
		return nil
	})

	// A member without its watchdog says so, and does not lead when the leader leaves.
	if err := a.Start("n2"); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads("n1"))
	until(ctx, t, a, func() error {
		_, text, err := a.Send(ctx, "n2", http.MethodGet, "/patroni", "")
		if err == nil && !strings.Contains(text, `"watchdog_failed": true`) {
			err = fmt.Errorf("GET /patroni of n2 says %s", text)
		}
		return err
	})
	if err := a.Leave(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	if got := heard(); !strings.HasSuffix(got, "1V") || strings.Count(got, "V") != 1 {
		t.Errorf("after the end the device has heard %q", got)
	}
	if pic, err := a.Look(ctx); err != nil || pic.Leader == "n2" {
		t.Errorf("n2 leads without a watchdog: %s (%v)", pic, err)
	}
	// With a device it does.
	giveDevice(t, a, "n2")
	await(ctx, t, a, a.Leads("n2"))
}

// TestAgentsWatchdogWithoutDCS silences etcd: the agent is well, so it has to stop its server and end the timer before the
// device would reset the host.
func TestAgentsWatchdogWithoutDCS(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	device := giveDevice(t, a, "n1")
	running(ctx, t, a)
	if err := a.SignalEtcd("etcd-node1", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	silent := time.Now()
	until(ctx, t, a, func() error {
		if text, err := os.ReadFile(device); err != nil || !strings.HasSuffix(string(text), "V") { //nolint:gosec // below our own folder
			return fmt.Errorf("the device has heard %q (%w)", text, err)
		}
		return nil
	})
	// A look takes its time while etcd is silent; the file tells when it was written last. It was last fed up to a
	// loop_wait before etcd fell silent, and a renewal under way may have fed it after.
	last, err := os.Stat(device)
	if err != nil {
		t.Fatal(err)
	}
	took := last.ModTime().Sub(silent)
	t.Logf("the timer of 15 s ended %s after etcd fell silent", took.Round(time.Millisecond))
	if took > 14*time.Second {
		t.Error("the host would have been reset")
	}
	if got, err := a.SQL(ctx, "n1", "select pg_is_in_recovery()"); err == nil && got != "t" {
		t.Error("the server accepts writes without a watchdog")
	}
	if err := a.SignalEtcd("etcd-node1", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads("n1"))
}
