package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/peer"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// A file is checked from beginning to end: each problem has a line of its own, and what is well has none.
func TestValidateConfig(t *testing.T) {
	t.Setenv("PATRONI_SUPERUSER_PASSWORD", "s3cret")
	path := filepath.Join(t.TempDir(), "a.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	write("scope: s\nname: n\nlog: {level: LOUD}\ntags: {nosync: maybe}\n")
	err := runValidate(t.Context(), &out, path, true, true)
	want := `a.yml has 2 problems
a.yml: line 3: log.level: one of DEBUG, INFO, WARN, WARNING, ERROR, FATAL, CRITICAL, NOTSET is expected, not the text "LOUD"
a.yml: line 4: tags.nosync: true or false is expected, not the text "maybe"`
	if err == nil || err.Error() != want || out.Len() > 0 {
		t.Errorf("got %v\n%s", err, out.String())
	}
	write("scope: s\nname: n\netcd3: {host: 127.77.0.252:1}\nrestapi: {listen: 127.0.0.1:1}\n" +
		"postgresql: {listen: 127.0.0.1:2, data_dir: /nowhere/data, authentication: {replication: {password: s3cret}}}\n")
	err = runValidate(t.Context(), &out, path, true, true)
	if err == nil || !strings.Contains(err.Error(), "a.yml: etcd.hosts: 127.77.0.252:1 is not reachable") || out.Len() > 0 {
		t.Errorf("got %v\n%s", err, out.String())
	}
	if err := runValidate(t.Context(), &out, filepath.Join(filepath.Dir(path), "b.yml"), true, false); err == nil {
		t.Error("a file that is not there is well")
	}
}

// A configuration that is well has nothing said about it; it is printed when that is asked for.
func TestValidateConfigThatIsWell(t *testing.T) {
	if _, _, err := postgres.FindBinaries(t.Context(), "", 0); err != nil {
		peer.Missing(t, err.Error())
	}
	var lc net.ListenConfig
	etcd, err := lc.Listen(t.Context(), "tcp", peer.Address()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close() //nolint:errcheck // nobody cares any more
	t.Setenv("PATRONI_SUPERUSER_PASSWORD", "s3cret")
	t.Setenv("PATRONI_CONFIGURATION", "")
	path := filepath.Join(t.TempDir(), "a.yml")
	text := "scope: s\nname: n\netcd3: {host: '" + etcd.Addr().String() + "'}\nrestapi: {listen: '127.0.0.1:1'}\n" +
		"postgresql: {listen: '127.0.0.1:2', data_dir: /nowhere/data, authentication: {replication: {password: s3cret}}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := runValidate(t.Context(), &out, path, true, false); err != nil || out.Len() > 0 {
		t.Errorf("%v %s", err, out.String())
	}
	want := strings.Replace(strings.ReplaceAll(text, "s3cret", "'[hidden]'"), "}}}", "}, superuser: {password: '[hidden]'}}}", 1)
	if err := runValidate(t.Context(), &out, path, true, true); err != nil || out.String() != want {
		t.Errorf("%v\n got %s\nwant %s", err, out.String(), want)
	}
}

func TestGenerateSampleConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "a.yml")
	var out bytes.Buffer
	if err := runGenerateSample(t.Context(), &out, path); err != nil || out.Len() > 0 {
		t.Fatalf("%v %s", err, out.String())
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := runGenerateSample(t.Context(), &out, ""); err != nil || !bytes.Equal(out.Bytes(), written) {
		t.Errorf("%v: the printed text differs from the written one:\n%s", err, out.String())
	}
	if err := runValidate(t.Context(), &out, path, true, false); err == nil || !strings.Contains(err.Error(), "it is still FIXME") {
		t.Errorf("what is left to fill in is not said: %v", err)
	}
}

func TestGenerateConfigWithoutAServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yml")
	err := runGenerate(t.Context(), &bytes.Buffer{}, path, "host=127.77.0.252 port=1 password=s3cret")
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "--dsn") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}
