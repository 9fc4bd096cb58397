package mesostest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// A task finds what it has fetched in its sandbox before it begins: programs that can be run, archives unpacked unless it says
// otherwise, and each file under the name it gave. What may be cached is downloaded once by an agent.
func TestFilesAreFetched(t *testing.T) {
	var asked atomic.Int32
	server := files(t, &asked)
	c := one("a1")
	c.Run = shell{t.TempDir()}
	m := mesostest.New(t, c)
	f := subscribe(t, m)
	for _, id := range []string{"first", "second"} {
		f.fetching(id, "./program > word && cat inside closed/packed.tar.gz > /dev/null && ! test -x plain && ! test -e closed/inside",
			wire.URI{Value: server + "/program?version=1", Executable: true, Extract: true, Cache: true},
			wire.URI{Value: server + "/packed.tar.gz", Extract: true},
			wire.URI{Value: server + "/packed.tar.gz", OutputFile: "closed/packed.tar.gz"},
			wire.URI{Value: server + "/program", OutputFile: "plain"},
		)
		f.awaitState("TASK_FINISHED")
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the program was downloaded %d times; want 1 time into the cache and 2 times past it", n)
	}
	words, err := filepath.Glob(filepath.Join(c.Run.Root(), "a1", "sandboxes", "*", "word"))
	if err != nil || len(words) != 2 {
		t.Fatal(words, err)
	}
	if b, err := os.ReadFile(words[0]); err != nil || string(b) != "fetched\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// A file that does not arrive, or that would lie outside of the sandbox, ends the launch, and nothing of the task runs.
func TestFilesThatCannotBeFetched(t *testing.T) {
	var asked atomic.Int32
	server := files(t, &asked)
	c := one("a1")
	c.Run = shell{t.TempDir()}
	m := mesostest.New(t, c)
	f := subscribe(t, m)
	for id, u := range map[string]wire.URI{"absent": {Value: server + "/nothing"}, "outside": {Value: server + "/program", OutputFile: "../program"}} {
		f.fetching(id, "exit 0", u)
		s := f.awaitState("TASK_FAILED")
		if s.Reason != "REASON_CONTAINER_LAUNCH_FAILED" || !strings.Contains(s.Message, "Failed to fetch all URIs") {
			t.Errorf("%+v", s)
		}
	}
}

// fetching launches a task that has files fetched.
func (f *framework) fetching(id, command string, uris ...wire.URI) {
	f.t.Helper()
	o := f.offer()
	op := launchOf(o, id, 1)
	op.Launch.TaskInfos[0].Command = &wire.Command{Shell: true, Value: command, URIs: uris}
	f.accept(o, op)
}

// files serves a program and an archive, and counts who asks for the program.
func files(t *testing.T, asked *atomic.Int32) string {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	if err := archive.WriteHeader(&tar.Header{Name: "inside", Mode: 0o644, Size: 5}); err != nil {
		t.Fatal(err)
	}
	_, err := archive.Write([]byte("text\n"))
	if err != nil || archive.Close() != nil || zipped.Close() != nil {
		t.Fatal("the archive cannot be made", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/program", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte("#!/bin/sh\necho fetched\n"))
	})
	mux.HandleFunc("/packed.tar.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(packed.Bytes()) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
