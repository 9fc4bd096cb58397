package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// opened runs a command and returns the configuration that the cluster was opened with.
func opened(t *testing.T, vars map[string]string, file string, args ...string) (config.Client, error) {
	t.Helper()
	var got config.Client
	env := testEnv(&bytes.Buffer{}, nil, "")
	env.Vars, env.DefaultFile = vars, file
	env.Beside = func() map[string]string {
		return map[string]string{"PATRONI_SCOPE": "beside", "PATRONI_ETCD_HOSTS": "127.0.0.21:2379"}
	}
	env.Open = func(_ context.Context, c config.Client) (DCS, error) {
		got = c
		return fixed{}, nil
	}
	err := runIn(t, env, args...)
	return got, err
}

func TestTheClusterBesideDoesNotAnswer(t *testing.T) {
	silence := errors.New("silence")
	env := testEnv(&bytes.Buffer{}, nil, "")
	env.Vars = nil
	env.Beside = func() map[string]string {
		return map[string]string{"PATRONI_SCOPE": "beside", "PATRONI_ETCD_HOSTS": "127.0.0.21:2379"}
	}
	env.Open = func(context.Context, config.Client) (DCS, error) { return nil, silence }
	if err := runIn(t, env, "list"); !errors.Is(err, silence) || !strings.Contains(err.Error(), "pgbaton up") {
		t.Errorf("the one who named nothing does not learn who was asked: %v", err)
	}
	if err := runIn(t, env, "-d", "10.0.0.6", "list", "demo"); !errors.Is(err, silence) || strings.Contains(err.Error(), "pgbaton up") {
		t.Errorf("the one who named a DCS hears of another: %v", err)
	}
}

func TestWhereTheClusterIsSaid(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "patronictl.yaml")
	text := "scope: filed\nnamespace: /ns\netcd3: {hosts: '10.0.0.1:2379', username: u, password: p}\nctl: {insecure: false, authentication: {username: a, password: b}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PATRONI_SCOPE": "env", "PATRONI_ETCD3_HOSTS": "10.0.0.9:2379"}
	cases := []struct {
		name                   string
		vars                   map[string]string
		file, args             string
		scope, namespace, host string
	}{
		{"the environment", env, "", "list", "env", "service", "10.0.0.9:2379"},
		{"the environment over the default file", env, file, "list", "env", "/ns", "10.0.0.9:2379"},
		{"the default file", nil, file, "list", "filed", "/ns", "10.0.0.1:2379"},
		{"a default file that is not there", env, file + "x", "list", "env", "service", "10.0.0.9:2379"},
		{"-c before the command", nil, "", "-c " + file + " list", "filed", "/ns", "10.0.0.1:2379"},
		{"-c after it", nil, "", "list -c " + file, "filed", "/ns", "10.0.0.1:2379"},
		{"its variable", map[string]string{"PATRONICTL_CONFIG_FILE": file}, "", "list", "filed", "/ns", "10.0.0.1:2379"},
		{"a name", nil, file, "list other", "other", "/ns", "10.0.0.1:2379"},
		{"what is beside, when nothing else is said", nil, "", "list", "beside", "service", "127.0.0.21:2379"},
		{"-d", nil, file, "-d etcd3://10.0.0.5/elsewhere list", "filed", "elsewhere", "10.0.0.5:2379"},
		{"-d without a scheme", env, "", "list --dcs 10.0.0.5:2380", "env", "service", "10.0.0.5:2380"},
		{"its variable", map[string]string{"DCS_URL": "etcd://10.0.0.6", "PATRONI_SCOPE": "env"}, "", "list", "env", "service", "10.0.0.6:2379"},
		{"a part of Citus", nil, file, "list --group 2", "2", "/ns/filed", "10.0.0.1:2379"},
		{"a query, whose -c is another", nil, "", "-c " + file + " query -c select -m x", "filed", "/ns", "10.0.0.1:2379"},
	}
	for _, c := range cases {
		got, err := opened(t, c.vars, c.file, strings.Fields(c.args)...)
		if err != nil || got.Scope != c.scope || got.Namespace != c.namespace || fmt.Sprint(got.Etcd.Hosts) != "["+c.host+"]" {
			t.Errorf("%s: %v, %s %s %v", c.name, err, got.Scope, got.Namespace, got.Etcd.Hosts)
		}
	}
	got, err := opened(t, nil, file, "list", "-d", "10.0.0.5:2379", "-k")
	if err != nil || got.Etcd.Username != "" || got.Etcd.Password != "" || !got.Ctl.Insecure || got.Ctl.Login.Username != "a" {
		t.Errorf("%v: another DCS got the login of the first, or -k was lost: %v %v", err, got.Etcd.Username, got.Ctl)
	}
}

func TestWhereTheClusterIsSaidWrongly(t *testing.T) {
	env := map[string]string{"PATRONI_SCOPE": "env", "PATRONI_ETCD3_HOSTS": "10.0.0.9:2379"}
	for args, want := range map[string]string{
		"list -c /does/not/exist": "Provided config file /does/not/exist not existing or no read rights. Check the -c/--config-file parameter",
		"list -d carrier://x":     "Unknown dcs scheme: carrier",
		"list -d x:8500":          "the DCS consul is not supported: give the address of an etcd",
	} {
		if _, err := opened(t, env, "", strings.Fields(args)...); err == nil || err.Error() != want {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := opened(t, map[string]string{"PATRONI_ETCD3_HOSTS": "x:2379"}, "", "pause"); !errors.Is(err, errNoScope) {
		t.Errorf("%v", err)
	}
}

// editing runs edit-config with an editor that is a script.
func editing(t *testing.T, store DCS, script, input string) (string, error) {
	t.Helper()
	editor := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	answers := editor + ".in" // a file, as standard input is: the editor gets it, and leaves what it does not read
	if err := os.WriteFile(answers, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(answers) //nolint:gosec // it was made above
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // only read
	var out bytes.Buffer
	env := testEnv(&out, store, "")
	env.In = in
	env.Vars["EDITOR"] = editor + " --wait"
	err = runIn(t, env, "edit-config")
	return out.String(), err
}

func TestEditConfigInAnEditor(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := picture("")
	c.Config = cluster.Config{Version: 4, Data: map[string]any{"ttl": 30.0}}
	var wrote []string
	out, err := editing(t, fixed{c: c, wrote: &wrote}, `test "$1" = --wait && echo "loop_wait: 5" >> "$2"`, "yes\n")
	want := "--- \n+++ \n@@ -1 +1,2 @@\n ttl: 30\n+loop_wait: 5\nApply these changes? [y/N]: Configuration changed\n"
	if err != nil || out != want || !slices.Equal(wrote, []string{`config {"loop_wait":5,"ttl":30} over 4`}) {
		t.Errorf("%v %q %q", err, wrote, out)
	}
	if out, err := editing(t, fixed{c: c}, "true", ""); err != nil || out != "Not changed\n" {
		t.Errorf("%v %q", err, out)
	}
	if _, err := editing(t, fixed{c: c}, "exit 3", ""); err == nil || err.Error() != "Editor exited with return code 3" {
		t.Errorf("%v", err)
	}
	if _, err := editing(t, fixed{c: c}, `echo "[" > "$2"`, ""); err == nil || !strings.HasPrefix(err.Error(), "what was edited cannot be used, and nothing was changed: ") {
		t.Errorf("%v", err)
	}
	_, err = editing(t, fixed{c: c, refuse: kv.ErrConflict}, `echo "ttl: 40" > "$2"`, "y\n")
	if err == nil || err.Error() != "Config modification aborted due to concurrent changes" {
		t.Errorf("%v", err)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v, left behind: %v", err, left)
	}
}

func TestCompletionKnowsClustersAndMembers(t *testing.T) {
	cases := map[string]string{
		"list ":                          "east postgresql-cluster",
		"restart ":                       "east postgresql-cluster",
		"restart postgresql-cluster ":    "patroni-node1 patroni-node2 patroni-node3",
		"restart x patroni-node1 ":       "patroni-node2 patroni-node3",
		"reinit postgresql-cluster ":     "patroni-node2 patroni-node3",
		"flush postgresql-cluster ":      "restart switchover patroni-node1 patroni-node2 patroni-node3",
		"switchover --candidate ":        "patroni-node2 patroni-node3",
		"switchover --leader ":           "patroni-node1",
		"explain ":                       "patroni-node1 patroni-node2 patroni-node3",
		"restart x --role ":              "leader primary standby-leader replica standby any",
		"pause postgresql-cluster ":      "",
		"-c /does/not/exist restart x ":  "",
		"query -m ":                      "patroni-node1 patroni-node2 patroni-node3",
		"list postgresql-cluster --form": "--format",
	}
	for line, want := range cases {
		var out bytes.Buffer
		env := testEnv(&out, fixed{c: picture("")}, "")
		env.Scopes = func(context.Context, config.Client) ([]string, error) {
			return []string{"east", "postgresql-cluster"}, nil
		}
		root := newTestRoot(env)
		root.SetOut(&out)
		root.SetErr(&bytes.Buffer{})
		parts := strings.Split(line, " ")
		root.SetArgs(append([]string{"__completeNoDesc"}, parts...))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		got, _, _ := strings.Cut(out.String(), ":")
		if got = strings.Join(strings.Fields(got), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
