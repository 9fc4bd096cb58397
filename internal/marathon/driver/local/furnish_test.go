package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// mounts is a task whose container has these volumes.
func mounts(cmd string, volumes ...app.Volume) driver.Spec {
	s := task(1, cmd)
	s.App.Container = &app.Container{Type: app.ContainerMesos, Volumes: volumes}
	return s
}

// TestVolumesOfADefinition says: each is a folder of its own inside the task's, and they outlive the task together.
func TestVolumesOfADefinition(t *testing.T) {
	b := newBench(t)
	persistent := &app.PersistentVolume{Type: "root", Size: 10}
	s := mounts(`echo one >data/file && echo two >var/lib/more/file && touch cache/file shown/file`,
		app.Volume{ContainerPath: "data", Mode: "RW", Persistent: persistent},
		app.Volume{ContainerPath: "/var/lib/more", Mode: "RW", Persistent: persistent},
		app.Volume{ContainerPath: "shown", HostPath: "cache", Mode: "RW"})
	b.launch(s)
	b.await(s, app.TaskFinished)
	again := s
	again.Task, again.App.Cmd = app.NewTaskID(instance, 2), `test "$(cat data/file var/lib/more/file | tr -d '\n')" = onetwo && test -e cache/file`
	b.launch(again)
	b.await(again, app.TaskFinished)
}

// TestSecretIsAFile says: only the user of the task can read it, and it replaces what lies there, links included.
func TestSecretIsAFile(t *testing.T) {
	b := newBench(t)
	outside := filepath.Join(t.TempDir(), "outside")
	s := mounts(`test "$(cat secrets/password)" = hush && test "$(stat -c %a-%u secrets/password)" = 600-$(id -u)`,
		app.Volume{ContainerPath: "secrets/password", Secret: "db"})
	s.Secrets = map[string]secret.Text{"db": "hush"}
	prepared := task(1, "")
	if err := b.prepare(prepared, record{Volume: prepared.Volume}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.dir.volume(string(instance)), "secrets")
	if err := errors.Join(b.cfg.mkdirOwned(dir), os.Symlink(outside, filepath.Join(dir, "password"))); err != nil {
		t.Fatal(err)
	}
	b.launch(s)
	b.await(s, app.TaskFinished)
	if _, err := os.Stat(outside); err == nil {
		t.Error("the secret was written through a link that the task left")
	}
}

// TestVolumesThatAreRefused says: the sentence tells which volume and why, before anything is made.
func TestVolumesThatAreRefused(t *testing.T) {
	open := t.TempDir()
	b := newBench(t, func(cfg *Config) { cfg.HostPaths = []string{open} })
	for name, test := range map[string]struct {
		volume app.Volume
		want   string // empty when it is allowed
	}{
		"host":         {app.Volume{ContainerPath: "x", HostPath: "/etc"}, "/etc of the host"},
		"beside":       {app.Volume{ContainerPath: "x", HostPath: open + "-beside"}, "may not see"},
		"up and away":  {app.Volume{ContainerPath: "x", HostPath: open + "/../.."}, "may not see"},
		"open":         {app.Volume{ContainerPath: "x", HostPath: open}, ""},
		"below open":   {app.Volume{ContainerPath: "y", HostPath: open + "/below"}, ""},
		"external":     {app.Volume{ContainerPath: "x", External: &app.ExternalVolume{Name: "v", Provider: "dvdi"}}, "provider dvdi"},
		"no secret":    {app.Volume{ContainerPath: "x", Secret: "db"}, "secret db"},
		"path escapes": {app.Volume{ContainerPath: "../../x", Persistent: &app.PersistentVolume{}}, ""}, // it stays inside
	} {
		t.Run(name, func(t *testing.T) {
			err := b.checkVolumes(mounts("", test.volume))
			if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if got := inside("../../x"); got != "x" {
		t.Errorf("a path that leads out is %q inside, want x", got)
	}
}
