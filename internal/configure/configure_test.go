package configure

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/peer"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(peer.Run(m)) }

// listening is a server of somebody else's.
func listening(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", peer.Address()+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // nobody cares any more
	return l.Addr().String()
}

// installed are PostgreSQL's programs on this machine.
func installed(t *testing.T) postgres.Binaries {
	t.Helper()
	found, _, err := postgres.FindBinaries(t.Context(), "", 0)
	if err != nil {
		peer.Missing(t, err.Error())
	}
	return found
}

// member is a configuration that fits this machine, with the folder of its files for %DIR, etcd's address for %ETCD, the
// folder of programs for %BIN and a free port for %FREE.
func member(t *testing.T, more ...string) config.Config {
	t.Helper()
	free := listening(t) // the port is free at another address
	_, port, err := net.SplitHostPort(free)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := `
scope: s
name: n
restapi: {listen: "127.77.0.254:%FREE"}
etcd3: {hosts: ["%ETCD"]}
postgresql:
  listen: 127.77.0.253:%FREE
  data_dir: %DIR/data
  bin_dir: %BIN
  authentication: {superuser: {password: s}, replication: {password: r}}
`
	given := append(slices.Clone(more), "%FREE", port, "%ETCD", free, "%DIR", dir, "%BIN", installed(t).Dir)
	for i := 0; i+1 < len(given); i += 2 {
		text = strings.ReplaceAll(text, given[i], given[i+1])
	}
	cfg, err := config.Load(config.Source{Path: "f", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestConfigurationThatFits(t *testing.T) {
	if found := Check(t.Context(), member(t), Options{}); found != nil {
		t.Error(found)
	}
}

func TestWhatDoesNotFit(t *testing.T) {
	taken := listening(t)
	files := t.TempDir()
	for name, text := range map[string]string{"data/PG_VERSION": "9.6\n", "other/file": "x", "newer/PG_VERSION": "99\n", "newer/pg_wal/x": "", "half/PG_VERSION": "15\n"} {
		if err := os.MkdirAll(filepath.Join(files, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		more []string
		want []string
	}{
		{"a port in use", []string{"127.77.0.254:%FREE", taken}, []string{"restapi.listen: " + taken + " cannot be listened on (address already in use): end what uses it"}},
		{"an etcd that is not there", []string{"%ETCD", "127.77.0.252:1"}, []string{"etcd.hosts: 127.77.0.252:1 is not reachable (connection refused)"}},
		{"no programs", []string{"%BIN", files}, []string{"postgresql.bin_dir: "}},
		{"no folder of programs", []string{"%BIN", "/nowhere/bin"}, []string{"postgresql.bin_dir: /nowhere/bin cannot be read (no such file or directory)"}},
		{"programs of other names", []string{"bin_dir: %BIN", "bin_dir: %BIN\n  bin_name: {postgres: mypostgres}"}, []string{"postgresql.bin_dir: there is no program " + installed(t).Dir + "/mypostgres"}},
		{"data of an old server", []string{"%DIR/data", files + "/data"}, []string{
			"postgresql.data_dir: PG_VERSION in " + files + `/data says "9.6", which is no version from 12 on`,
		}},
		{"data of a newer server", []string{"%DIR/data", files + "/newer"}, []string{"postgresql.bin_dir: "}},
		{"data of nobody", []string{"%DIR/data", files + "/other"}, []string{"postgresql.data_dir: " + files + "/other is not empty, and has no PG_VERSION"}},
		{"certificates", []string{"restapi: {", "ctl: {cacert: /no/ca}\nrestapi: {certfile: /no/cert, "}, []string{"ctl: ", "restapi: "}},
		{"a login's certificate", []string{"{password: s}", "{sslcert: /no/cert}"}, []string{
			"postgresql.authentication.rewind.sslcert: /no/cert cannot be read", "postgresql.authentication.superuser.sslcert: /no/cert cannot be read",
		}},
		{"what is left to fill in", []string{"{password: s}", "{password: FIXME}"}, []string{
			"postgresql.authentication.superuser.password: it is still FIXME", "postgresql.authentication.rewind.password: it is still FIXME",
		}},
		{"folders", []string{"data_dir:", "custom_conf: /no/conf\n  pgpass: " + files + "\n  data_dir:"}, []string{
			"postgresql.custom_conf: /no/conf cannot be read", "postgresql.pgpass: " + files + " is a folder",
		}},
	} {
		found := Check(t.Context(), member(t, c.more...), Options{})
		ok := len(found) == len(c.want)
		for i := range min(len(found), len(c.want)) {
			ok = ok && strings.HasPrefix(found[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %s", c.name, cmp.Diff(c.want, found))
		}
	}
	if found := Check(t.Context(), member(t, "127.77.0.254:%FREE", taken), Options{IgnorePorts: true}); found != nil {
		t.Errorf("ports are ignored: %v", found)
	}
}

// The sample is read by us and by Patroni, and has in it what the environment says.
func TestSample(t *testing.T) {
	text, err := Sample(t.Context(), map[string]string{"PATRONI_SCOPE": "mine", "PATRONI_SUPERUSER_PASSWORD": "word", "PATRONI_LOG_FILE_NUM": "7"})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{Path: "sample.yml", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Warnings != nil || cfg.Scope != "mine" || cfg.Postgres.Superuser.Password != "word" || cfg.Log.FileNum != 7 {
		t.Errorf("%v %s", cfg.Warnings, text)
	}
	path := filepath.Join(t.TempDir(), "a", "b", "sample.yml")
	if err := Write(nil, path, text); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	patroniTakes(t, path)
	var out bytes.Buffer
	if err := Write(&out, "", text); err != nil || !bytes.Equal(out.Bytes(), text) {
		t.Errorf("to the caller: %v %s", err, out.String())
	}
}

// patroniTakes lets real Patroni check a file. It also looks whether etcd answers, which is no matter of the file, and its
// older versions want pg_hba in the section bootstrap even where the section postgresql has it.
func patroniTakes(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/patroni"); err != nil {
		peer.Missing(t, "Patroni: install Debian's package patroni")
	}
	out, err := exec.CommandContext(t.Context(), "/usr/bin/patroni", "--validate-config", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "is not reachable") || strings.HasPrefix(line, "bootstrap.pg_hba  is not defined") || strings.TrimSpace(line) == "" {
			continue
		}
		t.Errorf("Patroni: %v %s", err, line)
	}
}
