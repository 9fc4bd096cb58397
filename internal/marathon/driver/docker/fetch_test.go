package docker

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox/sandboxtest"
)

// From a server and from the machine, unpacked, executable, under another name, the task's own: by its number, by its name in
// the image, in a volume and where nothing else can be written.
func filesAreFetched(t *testing.T, r *trial) {
	server := sandboxtest.Serve(t, map[string][]byte{
		"/tool": []byte("#!/bin/sh\ncat app/link app/file etc/here\n"),
		"/app.tgz": sandboxtest.Tarball(t, sandboxtest.Entry{Name: "app/", Kind: tar.TypeDir}, sandboxtest.Entry{Name: "app/link", Kind: tar.TypeSymlink, Target: "file"},
			sandboxtest.Entry{Name: "app/file", Kind: tar.TypeReg, Content: "in the tarball"}),
	})
	here := filepath.Join(t.TempDir(), "here")
	if err := os.WriteFile(here, []byte("of the machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := app.App{
		Cmd: `cd $MESOS_SANDBOX && test "$(./tool)" = "in the tarballin the tarballof the machine" && echo x >>app/file`,
		Fetch: []app.Fetch{
			{URI: server.URL + "/app.tgz", Extract: true, Cache: true}, {URI: server.URL + "/tool", Executable: true, Extract: true}, {URI: "file://" + here, DestPath: "etc/here"},
		},
	}
	for n, c := range []struct {
		user, image, parameter, volume string
	}{
		{},
		{user: "65534:65534"},
		{user: "dba", image: "with-users"},
		{volume: "of-files", user: "65534", parameter: "read-only"},
	} {
		s := r.spec(n+1, a)
		s.App.User, s.Volume = c.user, c.volume
		s.App.Container = &app.Container{Docker: &app.Docker{Image: shell}}
		if c.image != "" {
			r.withUsers(c.image)
			s.App.Container.Docker.Image = c.image
		}
		if c.parameter != "" {
			s.App.Container.Docker.Parameters = []app.Parameter{{Key: c.parameter}}
		}
		if c.volume != "" {
			r.reserve(s)
		}
		r.launch(s)
		if got := r.awaitAt(r.Driver, s, func(got driver.Status) bool { return got.State.Terminal() }); got.State != app.TaskFinished {
			t.Errorf("%+v: it ended with %s: %s", c, got.State, got.Message)
		}
	}
	if got := server.Sent.Load(); got != 1+4 {
		t.Errorf("%d files were sent, want the tool four times and what is kept once", got)
	}
	r.nothingLeft()
}

// withUsers makes the shell image again, with a file of users.
func (r *trial) withUsers(image string) {
	r.t.Helper()
	r.daemon.Docker("run", "--name", "users", shell, "/bin/sh", "-c", "/bin/busybox mkdir -p /etc && echo dba:x:700:701:::/bin/sh >/etc/passwd")
	r.daemon.Docker("commit", "users", image)
	r.daemon.Docker("rm", "users")
}

// nothingLeft says: of files on their way nothing stays on this machine.
func (r *trial) nothingLeft() {
	r.t.Helper()
	left, err := os.ReadDir(filepath.Join(r.cfg.Dir, "fetching"))
	if err != nil || len(left) > 0 {
		r.t.Errorf("left behind: %v, %v", left, err)
	}
}

func filesNotToBeHad(t *testing.T, r *trial) {
	server := sandboxtest.Serve(t, map[string][]byte{"/torn.tgz": []byte("this is no archive")})
	for n, c := range []struct {
		file app.Fetch
		want string
	}{
		{app.Fetch{URI: server.URL + "/missing"}, "404"},
		{app.Fetch{URI: "file:///nowhere/at/all"}, "No such file"},
		{app.Fetch{URI: server.URL + "/torn.tgz", Extract: true}, "unpack it"},
		{app.Fetch{URI: "http://user:hush@127.0.0.1:1/file"}, "connection refused"},
	} {
		s := r.launch(r.spec(n+1, app.App{Cmd: "true", Fetch: []app.Fetch{c.file}}))
		got := r.await(s, app.TaskFailed)
		if !strings.Contains(got.Message, "fetch") || !strings.Contains(got.Message, c.want) || strings.Contains(got.Message, "hush") {
			t.Errorf("%s: %q, want %q", c.file.URI, got.Message, c.want)
		}
	}
	r.nothingLeft()
	if left := r.daemon.Docker("ps", "-aq"); left != "" {
		t.Errorf("containers were made: %s", left)
	}
}

func killedWhileFetching(t *testing.T, r *trial) {
	url, asked := sandboxtest.Stuck(t)
	s := r.launch(r.spec(1, app.App{Cmd: "true", Fetch: []app.Fetch{{URI: url}}}))
	<-asked
	if err := r.Kill(t.Context(), s.Task, patience); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
	r.nothingLeft()
}
