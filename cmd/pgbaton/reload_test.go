package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/config"
)

// Two configuration files that agree in nothing.
const (
	oneFile = `
scope: one
namespace: first
name: n1
restapi: {listen: "127.0.0.11:8008", connect_address: "127.0.0.11:8008"}
etcd: {hosts: ["127.0.0.21:2379"]}
guard: true
watchdog: {mode: off}
tags: {nosync: true}
bootstrap: {dcs: {ttl: 30}}
postgresql:
  listen: 127.0.0.11:5432
  connect_address: 127.0.0.11:5432
  data_dir: /data/one
  bin_dir: /one/bin
  pgpass: /one/pgpass
  parameters: {work_mem: 1MB}
  pg_hba: [local all one peer]
  pg_ident: [a b c]
  callbacks: {on_start: /one/script}
  pre_promote: /one/before
  before_stop: /one/stop
  use_pg_rewind: true
  authentication:
    superuser: {username: postgres, password: one}
    replication: {username: replicator, password: one}
    rewind: {username: rewinder, password: one}
`
	otherFile = `
scope: two
namespace: second
name: n2
restapi: {listen: "127.0.0.12:8009", connect_address: "127.0.0.12:8009"}
etcd: {hosts: ["127.0.0.22:2379"]}
guard: false
watchdog: {mode: required, device: /dev/watchdog1, safety_margin: -1}
tags: {clonefrom: true}
bootstrap: {dcs: {ttl: 20}}
postgresql:
  listen: 127.0.0.12:5433
  connect_address: 127.0.0.12:5433
  data_dir: /data/two
  bin_dir: /two/bin
  pgpass: /two/pgpass
  parameters: {work_mem: 2MB}
  pg_hba: [local all postgres peer]
  pg_ident: [d e f]
  callbacks: {on_start: /two/script two}
  pre_promote: /two/before
  before_stop: /two/stop
  use_pg_rewind: false
  authentication:
    superuser: {username: admin, password: two}
    replication: {username: copier, password: two}
    rewind: {username: winder, password: two}
`
)

func load(t *testing.T, text string) config.Config {
	t.Helper()
	cfg, err := config.Load(config.Source{Path: "agent.yml", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// What config.Diff calls fixed is what stays, and nothing else: an option in neither part would change half.
func TestFixedOptionsStay(t *testing.T) {
	one, other := load(t, oneFile), load(t, otherFile)
	all, kept := config.Diff(one, other), keepFixed(one, other)
	if d := config.Diff(one, kept); len(d.Restart) > 0 || len(d.Live) != len(all.Live) {
		t.Errorf("against the file in force %v changed, although it must not, and %v, of %v", d.Restart, d.Live, all.Live)
	}
	if d := config.Diff(kept, other); len(d.Live) > 0 || len(d.Restart) != len(all.Restart) {
		t.Errorf("against the new file %v was kept, although it must not be, and %v, of %v", d.Live, d.Restart, all.Restart)
	}
	if len(all.Live) < 10 || len(all.Restart) < 10 {
		t.Errorf("the files agree in too much: %v and %v differ", all.Live, all.Restart)
	}
}

// A file that cannot be used leaves everything as it is.
func TestRefusedFileChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yml")
	one := load(t, oneFile)
	log := slog.New(slog.DiscardHandler)
	written, err := openJournal(one.Log, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = written.close(context.Background()) })
	peers := client.New(nil, client.Options{})
	defer peers.Close()
	r := reader{source: config.Source{Path: path}, inForce: one, journal: written, peers: peers, rest: newREST(nil, nil, log), attendants: newAttendants(one, log)}
	for text, why := range map[string]string{
		"postgresql: [":                               "agent.yml",
		otherFile + "\nscope: two":                    "twice",
		strings.Replace(otherFile, "5433", "many", 1): "postgresql.listen",
	} {
		write(t, path, text)
		if _, err := r.read(t.Context()); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.20q: %v, want a word about %s", text, err, why)
		}
		if d := config.Diff(one, r.inForce); len(d.Live)+len(d.Restart) > 0 {
			t.Errorf("%.20q changed %v and %v", text, d.Live, d.Restart)
		}
	}
	write(t, path, otherFile)
	got, err := r.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "n1" || got.Tags["clonefrom"] != true || got.Options(nil).UseRewind || r.inForce.Name != "n1" {
		t.Errorf("the agent gets %+v", got)
	}
	beside := r.attendants
	beside.close(context.Background())
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The agent takes what configures it out of the environment, which every program that it starts would inherit.
func TestOwnEnvironmentIsTakenAway(t *testing.T) {
	t.Setenv("PATRONI_SUPERUSER_PASSWORD", "secret")
	t.Setenv("HOST_IP", "10.0.0.1")
	env := ownEnv()
	if env["PATRONI_SUPERUSER_PASSWORD"] != "secret" || env["HOST_IP"] != "10.0.0.1" {
		t.Errorf("the agent has %v", env)
	}
	if left, set := os.LookupEnv("PATRONI_SUPERUSER_PASSWORD"); set {
		t.Errorf("others have %q", left)
	}
	if os.Getenv("HOST_IP") == "" {
		t.Error("what is nobody's secret is gone, too")
	}
}
