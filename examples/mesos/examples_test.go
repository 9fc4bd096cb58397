package mesos_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// Every definition beside this file is one that the scheduler takes as it stands, and they can all run together.
func TestDefinitions(t *testing.T) {
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	all := map[app.ID]app.App{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "[") {
			text = []byte("[" + string(text) + "]")
		}
		updates, err := app.ParseList(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, u := range updates {
			id, _ := u.ID()
			a := u.New(id)
			if err := a.Validate(); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if want := strings.HasPrefix(file, "p"); a.IsPostgres() != want {
				t.Errorf("%s: taken for a database: %t", file, !want)
			}
			all[id] = a
		}
	}
	if err := app.ValidateTogether(all); err != nil {
		t.Error(err)
	}
}

// HAProxy takes the configuration.
func TestProxy(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		peer.Missing(t, "no haproxy")
	}
	text, err := os.ReadFile("haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("node1:", "127.0.0.1:", "node2:", "127.0.0.2:", "node3:", "127.0.0.3:").Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "-c", "-f", file).CombinedOutput(); err != nil || strings.Contains(string(out), "WARNING") {
		t.Errorf("%v\n%s", err, out)
	}
}
