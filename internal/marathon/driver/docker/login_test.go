package docker

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker/dockertest"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// loginFile is what docker login writes.
func loginFile(registry, login string) string {
	return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, registry, base64.StdEncoding.EncodeToString([]byte(login)))
}

// Images behind a login are pulled with the scheduler's, unless the definition brings one of its own.
func privateImages(t *testing.T, r *trial) {
	registry := dockertest.Serve(t, "puller", "s3cr3t")
	ours, fetched, helped := filepath.Join(t.TempDir(), "config.json"), filepath.Join(t.TempDir(), "config.json"), filepath.Join(t.TempDir(), "config.json")
	r.withHelper(registry.Host())
	for name, text := range map[string]string{
		fetched: loginFile(registry.Host(), "puller:s3cr3t"),
		helped:  `{"credsStore": "ofthetest"}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n, c := range []struct {
		name   string
		ours   string // the scheduler's file
		change func(*driver.Spec)
		want   string // of a refusal
	}{
		{"nobody has logged in", "", nil, "no basic auth credentials"},
		{"the scheduler has", loginFile(registry.Host(), "puller:s3cr3t"), nil, ""},
		{"with a wrong password", loginFile(registry.Host(), "puller:hush"), nil, "nauthorized"},
		{"elsewhere", loginFile("registry.example", "puller:s3cr3t"), nil, "no basic auth credentials"},
		{"its file is damaged", "no file of logins", nil, "log in to the registry"},
		{"a program knows the password", `{"credsStore": "ofthetest"}`, nil, ""},
		{"the definition brings a login", "", func(s *driver.Spec) {
			s.App.Container.Docker.PullConfig = &app.PullConfig{Secret: "login"}
			s.Secrets = map[string]secret.Text{"login": secret.Text(loginFile(registry.Host(), "puller:s3cr3t"))}
		}, ""},
		{"or fetches one", "", func(s *driver.Spec) {
			s.App.Fetch = []app.Fetch{{URI: fetched, DestPath: ".docker/config.json"}}
		}, ""},
		{"but cannot name programs", "", func(s *driver.Spec) { s.App.Fetch = []app.Fetch{{URI: helped, DestPath: ".docker/config.json"}} }, "no basic auth credentials"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.cfg.DockerConfig = ours
			if err := os.WriteFile(ours, []byte(c.ours), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.ours == "" {
				r.cfg.DockerConfig = filepath.Join(t.TempDir(), "nobody-has-logged-in")
			}
			r.reopen()
			s := r.spec(n+1, app.App{Cmd: "exit 0", Container: &app.Container{Docker: &app.Docker{Image: registry.Image, ForcePullImage: true}}})
			if c.change != nil {
				c.change(&s)
			}
			r.launch(s)
			got := r.awaitAt(r.Driver, s, func(got driver.Status) bool { return got.State.Terminal() })
			if c.want == "" && got.State != app.TaskFinished || !strings.Contains(got.Message, c.want) || strings.Contains(got.Message, "hush") {
				t.Errorf("it ended with %s: %s, want %q", got.State, got.Message, c.want)
			}
		})
	}
	pulls := registry.Pulls.Load()
	s := r.spec(1, app.App{Cmd: "exit 0", Container: &app.Container{Docker: &app.Docker{Image: registry.Image}}})
	s.Task = app.NewTaskID(s.Instance, 2)
	r.launch(s)
	r.await(s, app.TaskFinished)
	if got := registry.Pulls.Load(); got != pulls {
		t.Error("an image that is there was pulled again, though nobody asked for it")
	}
}

// withHelper puts a program into the path that knows the password at a registry.
func (r *trial) withHelper(registry string) {
	r.t.Helper()
	dir := r.t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\necho '{\"ServerURL\": \"%s\", \"Username\": \"puller\", \"Secret\": \"s3cr3t\"}'\n", registry)
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-ofthetest"), []byte(text), 0o700); err != nil { //nolint:gosec // a program
		r.t.Fatal(err)
	}
	r.t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}
