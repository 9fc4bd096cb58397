package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The configuration file of the deployment this project grew out of, as it stands.
const postgres0 = `
scope: postgresql-cluster
namespace: /service/
name: patroni-{HOST}

restapi:
  listen: 0.0.0.0:8008
  connect_address: {HOST_IP}:8008

etcd:
  hosts: etcd-node1:2379,etcd-node2:2379,etcd-node3:2379

postgresql:
  listen: 0.0.0.0:5432
  connect_address: {HOST_IP}:5432
  data_dir: /data/postgres
  bin_dir: /usr/lib/postgresql/12/bin
  parameters:
    shared_buffers: 1GB
    wal_level: replica
`

// task is the environment of a task of our local driver.
func task(more ...string) map[string]string {
	env := map[string]string{
		"HOST": "node1", "HOST_IP": "127.0.0.11", "PORT_5432": "5432", "PORT_8008": "8008",
		"PGBATON_BIND_ADDRESS": "127.0.0.11", "PGBATON_VOLUME_ROOT": "/state/volumes/v1",
		"PGBATON_HOST_ALIASES":       "etcd-node1=127.0.0.21,etcd-node2=127.0.0.22,etcd-node3=127.0.0.23",
		"PATRONI_SUPERUSER_PASSWORD": "s", "PATRONI_REPLICATION_PASSWORD": "r",
	}
	for _, entry := range more {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

// parse reads a text as if it stood in a file.
func parse(name, text string, src Source) (Config, error) {
	src.Path, src.Text = name, []byte(text)
	return Load(src)
}

func mustParse(t *testing.T, text string, env map[string]string) Config {
	t.Helper()
	cfg, err := parse("postgres0.yml", text, Source{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestTheGivenFileOnTheLocalDriver(t *testing.T) {
	cfg := mustParse(t, postgres0, task())
	got := fmt.Sprintln(cfg.Scope, cfg.Namespace, cfg.Name, cfg.RestAPI.Endpoint, cfg.Postgres.Endpoint, cfg.Postgres.DataDir,
		cfg.Postgres.BinDir, cfg.Postgres.Superuser.Username, cfg.Postgres.Superuser.Password, cfg.Postgres.Rewind.Username, cfg.Etcd.Hosts, cfg.Postgres.UseRewind, cfg.Warnings)
	want := "postgresql-cluster /service/ patroni-node1 {[127.0.0.11] 8008 127.0.0.11:8008} {[127.0.0.11] 5432 127.0.0.11:5432} " +
		"/state/volumes/v1/data/postgres /usr/lib/postgresql/12/bin postgres [hidden] postgres " +
		"[etcd-node1:2379 etcd-node2:2379 etcd-node3:2379] true []\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if cfg.Postgres.SocketDir != "" {
		t.Errorf("a socket folder out of nothing: %s", cfg.Postgres.SocketDir)
	}
	if dir := mustParse(t, postgres0, task("PGBATON_RUN_DIR=/state/run")).Postgres.SocketDir; dir != "/state/run/patroni-node1" {
		t.Errorf("socket folder %q", dir)
	}
	if dir := mustParse(t, postgres0, task("PGBATON_RUN_DIR=/"+strings.Repeat("x", 80))).Postgres.SocketDir; dir != "" {
		t.Errorf("a path too long for a socket: %q", dir)
	}
	if cfg.Postgres.Parameters["shared_buffers"] != "1GB" {
		t.Errorf("parameters %v", cfg.Postgres.Parameters)
	}
}

func TestMappedPorts(t *testing.T) {
	// Without a network of its own the task listens where it is mapped to.
	cfg := mustParse(t, postgres0, task("PORT_5432=31005"))
	if cfg.Postgres.Port != 31005 || cfg.Postgres.Connect != "127.0.0.11:31005" {
		t.Errorf("local: %+v", cfg.Postgres.Endpoint)
	}
	// In a container's own network it listens as configured and advertises the mapped port.
	cfg = mustParse(t, postgres0, task("PORT_5432=31005", "PGBATON_BIND_ADDRESS=", "HOST_IP=192.0.2.7"))
	if cfg.Postgres.Port != 5432 || cfg.Postgres.Connect != "192.0.2.7:31005" || cfg.Postgres.Hosts[0] != "0.0.0.0" {
		t.Errorf("container: %+v", cfg.Postgres.Endpoint)
	}
	// The image's configuration under a plain Marathon, which gives the name of the host and not its address.
	cfg = mustParse(t, postgres0, task("HOST=agent7", "HOST_IP=", "PGBATON_BIND_ADDRESS=", "PORT_5432=31005", "PORT_8008=31006"))
	if cfg.Postgres.Connect != "agent7:31005" || cfg.RestAPI.Connect != "agent7:31006" || cfg.Postgres.Port != 5432 {
		t.Errorf("plain Marathon: %+v %+v", cfg.Postgres.Endpoint, cfg.RestAPI)
	}
	// Under Marathon nothing needs to be said at all.
	cfg = mustParse(t, "scope: s\nname: n\netcd: {host: h}\npostgresql: {data_dir: /d}",
		task("HOST=agent7", "HOST_IP=", "PGBATON_BIND_ADDRESS=", "PORT_8008=31006"))
	if cfg.RestAPI.Connect != "agent7:31006" || cfg.Etcd.Hosts[0] != "h:2379" {
		t.Errorf("marathon: %+v %v", cfg.RestAPI, cfg.Etcd.Hosts)
	}
}

func TestEnvironmentWins(t *testing.T) {
	cfg := mustParse(t, postgres0, task("PATRONI_SCOPE=other", "PATRONI_DCS_ETCD_HOSTS=127.0.0.9:1,127.0.0.8:2", "PATRONI_POSTGRESQL_DATA_DIR=/x/y", "PATRONI_NAME="))
	if cfg.Scope != "other" || cfg.Postgres.DataDir != "/state/volumes/v1/x/y" || cfg.Name != "patroni-node1" {
		t.Errorf("%s %s %s", cfg.Scope, cfg.Postgres.DataDir, cfg.Name)
	}
	if diff := cmp.Diff([]string{"127.0.0.9:1", "127.0.0.8:2"}, cfg.Etcd.Hosts); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsNameTheirPlaceAndTheNextStep(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"broken YAML", "scope: [", "this is not the YAML of a configuration"},
		{"wrong type", "scope: s\nname: n\npostgresql:\n  parameters: 7\n", "line 4"},
		{"missing things", "name: n", "scope is missing: give the name of the cluster"},
		{"a name that breaks paths", postgres0 + "\nbootstrap: {}\ntags: {}\n", ""},
		{"slash in a name", strings.Replace(postgres0, "patroni-{HOST}", "a/b", 1), "may only have letters"},
		{"the name of nobody", strings.Replace(postgres0, "patroni-{HOST}", "__patroni_strict_sync_replica_placeholder__", 1), "stands for no member at all"},
		{"no etcd", strings.Replace(postgres0, "etcd:\n  hosts", "x:\n  hosts", 1), "etcd.hosts is missing"},
		{"bad listen", strings.Replace(postgres0, "0.0.0.0:5432", "0.0.0.0:x", 1), "postgresql.listen"},
		{"placeholder without value", strings.Replace(postgres0, "{HOST_IP}", "{NO_SUCH}", 1), "set the environment variable NO_SUCH"},
		{"relative data_dir", strings.Replace(postgres0, "/data/postgres", "data", 1), "is not an absolute path"},
		{"initdb option of ours", postgres0 + "bootstrap:\n  initdb:\n  - pwfile: x\n", "pwfile is set by the agent itself"},
		{"loopback but etcd elsewhere", strings.Replace(postgres0, "etcd-node1:2379", "192.0.2.1:2379", 1), "reachable from this machine only"},
	}
	for _, c := range cases {
		_, err := parse("postgres0.yml", c.text, Source{Env: task()})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "postgres0.yml: ") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	env := task("PATRONI_SUPERUSER_PASSWORD=", "PATRONI_REPLICATION_PASSWORD=")
	if _, err := parse("f", postgres0, Source{Env: env}); err == nil || !strings.Contains(err.Error(), "PATRONI_REPLICATION_PASSWORD") {
		t.Errorf("no passwords: %v", err)
	}
}

func TestOptionsThatAreNotActedOnAreSaid(t *testing.T) {
	cfg := mustParse(t, postgres0+"logs:\n  level: INFO\nwatchdog: {mode: off, colour: red}\n", task())
	want := []string{"logs is not acted on by this version; did you mean log?", "watchdog.colour is not acted on by this version"}
	if diff := cmp.Diff(want, cfg.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestLoadReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postgres0.yml")
	if err := os.WriteFile(path, []byte(postgres0), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err := Load(Source{Path: path, Env: task()}); err != nil || cfg.Name != "patroni-node1" {
		t.Errorf("%v %v", cfg.Name, err)
	}
	if _, err := Load(Source{Path: path + "x", Env: task()}); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestOperatorCommandsNeedOnlyTheCluster(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postgres0.yml")
	if err := os.WriteFile(path, []byte(postgres0), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadClient(Source{Path: path, Env: map[string]string{"PGBATON_HOST_ALIASES": "etcd-node1=127.0.0.21"}})
	if err != nil || c.Scope != "postgresql-cluster" || c.Namespace != "/service/" || len(c.Etcd.Hosts) != 3 || c.Aliases["etcd-node1"] == "" {
		t.Errorf("%+v %v", c, err)
	}
	c, err = LoadClient(Source{Env: map[string]string{"PATRONI_ETCD_HOSTS": "h:1", "PATRONI_SCOPE": "s"}})
	if err != nil || c.Scope != "s" || c.Etcd.Hosts[0] != "h:1" {
		t.Errorf("from the environment: %+v %v", c, err)
	}
	if _, err := LoadClient(Source{}); err == nil {
		t.Error("no etcd was accepted")
	}
}
