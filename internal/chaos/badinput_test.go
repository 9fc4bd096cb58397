package chaos

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// refused runs `pgbaton up` on a platform of its own with more arguments, and checks what every refusal has in
// common: exit code 1, one sentence, no process and no state left. The network is unused; occupy may change that.
func refused(t *testing.T, occupy string, more ...string) string {
	t.Helper()
	p := platform(t)
	if occupy != "" {
		l, err := listen(at(p.Network(), occupy))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // nobody connected
	}
	output, code := attempt(t, p, p.UpArgs(more...)...)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	oneSentence(t, output)
	if err := p.nothingRuns(); err != nil {
		t.Error(err)
	}
	nothingMade(t, p)
	return output
}

// at is the address "last:port" in the network.
func at(network netip.Prefix, last string) string {
	b := network.Addr().String()
	return strings.TrimSuffix(b, "0") + last
}

// attempt runs the program, bounded.
func attempt(t *testing.T, p *Platform, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.cfg.Program, args...)
	cmd.Dir, cmd.Env = source, append(environment(), "PGBATON_STATE_DIR="+p.Dir(), "HOME="+p.Dir(), "XDG_CONFIG_HOME=") // no other cluster
	var printed, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &complaint
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		t.Fatalf("pgbaton %s did not end: %s%s", strings.Join(args, " "), printed.String(), complaint.String())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return complaint.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return complaint.String(), 0
}

// nothingMade checks that no state was begun.
func nothingMade(t *testing.T, p *Platform) {
	t.Helper()
	entries, err := os.ReadDir(p.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", p.path(e.Name()))
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadInputFiles(t *testing.T) {
	needPeers(t, "postgres", "haproxy")
	cases := []struct {
		name, flag, text string
		want             []string
	}{
		{"app is not JSON", "--app", `{"id": "/postgresql/patroni", "instances": }`, []string{"--app", "JSON"}},
		{"app is cut off", "--app", `{"id": "/postgresql/patroni",`, []string{"--app", "JSON"}},
		{"app field of another type", "--app", `{"id": "/postgresql/patroni", "instances": "three"}`, []string{"--app", "instances"}},
		{"app without an id", "--app", `{"instances": 3}`, []string{"--app", "id"}},
		{"app without PostgreSQL", "--app", `{"id": "/web", "cmd": "sleep 1"}`, []string{"--app", "5432"}},
		{"configuration is not YAML", "--config", "scope: [postgresql-cluster\npostgresql: {", []string{"--config"}},
		{"configuration field of another type", "--config", "name: a\npostgresql: 15\n", []string{"--config", "line 2"}},
		{"configuration without a name", "--config", "scope: postgresql-cluster\n", []string{"--config", "name"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, c.text)
			has(t, "the sentence", refused(t, "", c.flag, path), append(c.want, filepath.Base(path))...)
		})
	}
	t.Run("app is missing", func(t *testing.T) {
		has(t, "the sentence", refused(t, "", "--app", "/nonexistent/app.json"), "--app", "/nonexistent/app.json")
	})
	t.Run("configuration is missing", func(t *testing.T) {
		has(t, "the sentence", refused(t, "", "--config", "/nonexistent/postgres.yml"), "--config", "/nonexistent/postgres.yml")
	})
}

func TestBadInputPortsInUse(t *testing.T) {
	needPeers(t, "postgres", "haproxy")
	for what, port := range map[string]string{
		"Marathon": "1:8080", "HAProxy": "1:10000", "etcd clients": "22:2379", "etcd peers": "23:2380",
	} {
		t.Run(what, func(t *testing.T) {
			_, number, err := net.SplitHostPort(port)
			if err != nil {
				t.Fatal(err)
			}
			has(t, "the sentence", refused(t, port), number)
		})
	}
}

func TestBadInputStateDirectory(t *testing.T) {
	needPeers(t, "postgres", "haproxy")
	t.Run("below a file", func(t *testing.T) {
		dir := filepath.Join(file(t, "not a folder"), "state")
		has(t, "the sentence", refused(t, "", "--state-dir", dir), "--state-dir", filepath.Dir(dir))
	})
	t.Run("where nothing can be made", func(t *testing.T) {
		has(t, "the sentence", refused(t, "", "--state-dir", "/proc/pgbaton"), "--state-dir", "/proc/pgbaton")
	})
	t.Run("out of reach of the servers' user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root runs servers as another user")
		}
		closed := t.TempDir() // made for root alone
		if err := os.Chmod(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		has(t, "the sentence", refused(t, "", "--state-dir", filepath.Join(closed, "state")), "--state-dir", closed)
		if entries, err := os.ReadDir(closed); err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v %v", entries, err)
		}
	})
}

func TestBadInputCommandLine(t *testing.T) {
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown flag":       {[]string{"up", "--no-such-flag"}, 2, "No such option: --no-such-flag"},
		"unknown command":    {[]string{"no-such-command"}, 2, "no-such-command"},
		"too many arguments": {[]string{"up", "here"}, 2, "here"},
		"network":            {[]string{"up", "--network", "10.0.0.0/24"}, 1, "--network"},
		"number of hosts":    {[]string{"up", "--hosts", "0"}, 1, "--hosts"},
		"even etcd members":  {[]string{"up", "--etcd-members", "2"}, 1, "--etcd-members"},
		"nobody to ask":      {[]string{"list"}, 1, "PATRONI_SCOPE"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := platform(t)
			output, code := attempt(t, p, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			has(t, "the complaint", output, c.want)
			nothingMade(t, p)
		})
	}
}
