package run

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// TestSecrets says: a task gets its secrets from files when it is launched; without one it waits and says which; no source
// leads out of the folder.
func TestSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		parent := t.TempDir()
		w.cfg.Secrets = filepath.Join(parent, "secrets")
		write(t, filepath.Join(w.cfg.Secrets, "db", "password"), "correct horse\n")
		write(t, filepath.Join(parent, "outside"), "not for tasks")
		w.m.open()
		w.start()
		a := web(1)
		a.Env = map[string]app.EnvValue{"PASSWORD": {Secret: "pw"}}
		a.Secrets = map[string]app.Secret{"pw": {Source: "db/missing"}}
		w.put(a)
		w.pass(time.Second)
		w.wantWait("secret pw is missing: there is no file db/missing")
		a.Secrets = map[string]app.Secret{"pw": {Source: "../outside"}}
		w.force(a)
		w.pass(time.Second)
		w.wantWait("secret pw cannot be read")
		a.Secrets = map[string]app.Secret{"pw": {Source: "db/password"}}
		w.force(a)
		w.pass(20 * time.Second)
		w.wantRunning("/web", "node1")
		w.m.with(func() {
			for _, task := range w.m.tasks {
				if got := task.spec.Env["PASSWORD"]; got != "correct horse" {
					t.Errorf("PASSWORD is %q", got)
				}
			}
		})
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
