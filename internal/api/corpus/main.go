package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/chaos"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/peer"
)

func main() { os.Exit(run()) } //nolint:forbidigo // this is a main

// recordWithin bounds the whole recording.
const recordWithin = 10 * time.Minute

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	program := flag.String("program", "bin/pgbaton", "the pgbaton that serves as etcd")
	to := flag.String("to", "internal/api/testdata/corpus", "the folder of the corpus")
	flag.Parse()
	if err := record(ctx, *program, *to); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		return 1
	}
	return 0
}

// record records the newest Patroni that is installed.
func record(ctx context.Context, program, to string) (err error) {
	kind, err := chaos.Patroni4(ctx)
	if err != nil {
		return err
	}
	account, err := peer.Servers()
	if err != nil {
		return err
	}
	l := &lab{kind: kind, to: to}
	l.Agents, err = chaos.OpenAgents(ctx, chaos.AgentsConfig{Program: program, Credential: account, Local: l.adapt})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Destroy(context.WithoutCancel(ctx))) }()
	if l.store, err = etcd3.Open(ctx, etcd3.Config{Endpoints: l.etcd}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.store.Close()) }()
	for _, name := range l.Names() {
		if err := l.As(name, kind); err != nil {
			return err
		}
	}
	return l.record(ctx)
}

// lab is a cluster of Patroni.
type lab struct {
	*chaos.Agents

	kind  *chaos.Kind
	to    string
	etcd  []string
	store *etcd3.Store
}

// tagged are the tags of the last member.
func tagged() map[string]any {
	return map[string]any{"noloadbalance": true, "nosync": true, "zone": "a", "rank": 3, "clonefrom": true}
}

// adapt says in a member's file what pgbaton finds by itself, and gives the last member its tags.
func (l *lab) adapt(member string, file map[string]any) {
	section, _ := file["etcd"].(map[string]any)
	l.etcd, _ = section["hosts"].([]string)
	file["etcd3"] = section
	delete(file, "etcd")
	if member == "n3" {
		file["tags"] = tagged()
	}
	pg, _ := file["postgresql"].(map[string]any)
	data, _ := pg["data_dir"].(string)
	own := filepath.Dir(data)
	chaos.Set(file, binDir(), "postgresql", "bin_dir")
	chaos.Set(file, filepath.Join(own, "pgpass"), "postgresql", "pgpass")
	chaos.Set(file, own, "postgresql", "parameters", "unix_socket_directories")
	chaos.Set(file, []any{"local all postgres trust", "host all postgres,rewinder 127.0.0.0/8 md5", "host replication replicator 127.0.0.0/8 md5"}, "postgresql", "pg_hba")
}

// binDir is where PostgreSQL has its programs.
func binDir() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// address is where the API of a member is.
func (l *lab) address(member string) string {
	for _, p := range l.Places() {
		if p.Name == member {
			return p.Address.String() + ":8008"
		}
	}
	return ""
}

// network are the first three numbers of all addresses, with a dot behind.
func (l *lab) network() string {
	at := l.address("n1")
	host, _, _ := strings.Cut(at, ":")
	return host[:strings.LastIndex(host, ".")+1]
}
