package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// TestAgentsRewind cuts a primary off from its standby, lets it write what nobody receives, and has the other one take
// over. The former primary comes back without those rows, by pg_rewind and not by a copy.
func TestAgentsRewind(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2, Dynamic: map[string]any{"primary_start_timeout": 0}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	old := running(ctx, t, a).Leader
	next := other(a, old)
	ask(ctx, t, a, old, "create table t (id int); insert into t values (1)")
	until(ctx, t, a, func() error { return answers(ctx, a, next, "select count(*) from t", "1") })
	inode := directory(t, a, old)
	unheard(ctx, t, a, old, "insert into t select generate_series(2, 1000)")
	await(ctx, t, a, a.Leads(next))
	ask(ctx, t, a, next, "insert into t values (0)")
	until(ctx, t, a, func() error {
		return answers(ctx, a, old, "select string_agg(id::text, ' ' order by id) from t", "0 1")
	})
	if got := directory(t, a, old); got != inode {
		t.Error("the data directory is another one: it was copied and not rewound")
	}
}

// unheard has a primary commit something that it does not send, and kills it.
func unheard(ctx context.Context, t *testing.T, a *Agents, primary, sql string) {
	t.Helper()
	var sender int
	if _, err := fmt.Sscan(ask(ctx, t, a, primary, "select pid from pg_stat_replication"), &sender); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(sender, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ask(ctx, t, a, primary, sql)
	if err := a.SignalServer(primary, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(sender, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// directory identifies the data directory, which a rewind keeps and a copy replaces.
func directory(t *testing.T, a *Agents, member string) uint64 {
	t.Helper()
	info, err := os.Stat(a.DataDir(member))
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("this is not Linux")
	}
	return stat.Ino
}

// answers is nil once a question to a server has that answer.
func answers(ctx context.Context, a *Agents, member, question, want string) error {
	got, err := a.SQL(ctx, member, question)
	if err == nil && got != want {
		err = fmt.Errorf("%s answers %q to %q, not %q", member, got, question, want)
	}
	return err
}

// TestAgentsReinitialize throws the data of a replica away because an operator says so, and refuses it for the leader.
func TestAgentsReinitialize(t *testing.T) {
	a := agents(t, AgentsConfig{Members: 2})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	leader := running(ctx, t, a).Leader
	replica := other(a, leader)
	mark := filepath.Join(a.DataDir(replica), "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	post(ctx, t, a, replica, "/reinitialize", "{}")
	until(ctx, t, a, func() error {
		if _, err := os.Stat(mark); err == nil {
			return errors.New("the data directory is the old one")
		}
		return nil
	})
	await(ctx, t, a, a.Leads(leader))
	if kept, err := filepath.Glob(a.DataDir(replica) + ".failed.*"); err != nil || len(kept) > 0 {
		t.Errorf("kept although it was asked for: %v %v", kept, err)
	}
	if code, text, err := a.Send(ctx, leader, http.MethodPost, "/reinitialize", "{}"); err != nil || code != http.StatusServiceUnavailable {
		t.Errorf("reinitialize the leader: %d %s %v", code, text, err)
	}
}

// TestAgentsOwnPrograms makes a cluster from a backup with the operator's own program, with a word of another one before
// anybody can reach it, and its replica with a third.
func TestAgentsOwnPrograms(t *testing.T) {
	source := agents(t, AgentsConfig{Members: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	first := running(ctx, t, source).Leader
	ask(ctx, t, source, first, "create table t (id int); insert into t values (42)")
	if err := source.Leave(ctx, first); err != nil {
		t.Fatal(err)
	}
	backup := source.DataDir(first)
	a := agents(t, AgentsConfig{Members: 2})
	scripts(t, a, map[string]string{
		"restore": `for word in "$@"; do case $word in --datadir=*) dir=${word#--datadir=};; esac; done
mkdir -p "$dir" && cp -a ` + backup + `/. "$dir" && chmod 700 "$dir"`,
		"post": `psql -Xqd "$1" -c 'create table said (by text)'`,
		"copy": `for word in "$@"; do case $word in --datadir=*) dir=${word#--datadir=};; --connstring=*) from=${word#--connstring=};; esac; done
echo "$@" > "$(dirname "$dir")/copied"
exec pg_basebackup -D "$dir" -d "$from" -X stream`,
	})
	for _, name := range a.Names() {
		edit(t, a, name, func(file map[string]any) {
			Set(file, "restored", "bootstrap", "method")
			Set(file, map[string]any{"command": filepath.Join(a.Dir(), "restore")}, "bootstrap", "restored")
			Set(file, filepath.Join(a.Dir(), "post"), "bootstrap", "post_bootstrap")
			Set(file, []any{"copying"}, "postgresql", "create_replica_methods")
			Set(file, map[string]any{"command": filepath.Join(a.Dir(), "copy"), "answer": 42}, "postgresql", "copying")
		})
	}
	leader := running(ctx, t, a).Leader
	for _, name := range a.Names() {
		if got := ask(ctx, t, a, name, "select id from t"); got != "42" {
			t.Errorf("%s: %q", name, got)
		}
		ask(ctx, t, a, name, "select * from said")
	}
	told, err := os.ReadFile(filepath.Join(a.Dir(), other(a, leader), "copied"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--scope=postgresql-cluster", "--role=replica", "--answer=42"} {
		if !strings.Contains(string(told), want) {
			t.Errorf("the program that copies from %s was told %q, without %s", leader, told, want)
		}
	}
	if strings.Contains(string(told), agentsPassword) {
		t.Errorf("the program was told a password in an argument: %q", told)
	}
}

// scripts writes programs into the folder of the agents, with PostgreSQL's own within reach.
func scripts(t *testing.T, a *Agents, all map[string]string) {
	t.Helper()
	for name, text := range all {
		path := filepath.Join(a.Dir(), name)
		text = "#!/bin/sh\nset -e\nPATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)\n" + text + "\n"
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // it is a program for another user
			t.Fatal(err)
		}
		if err := a.give(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAgentsStandbyCluster has a cluster follow another one, become a cluster of its own, and follow again.
func TestAgentsStandbyCluster(t *testing.T) {
	far := agents(t, AgentsConfig{Members: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	remote := running(ctx, t, far).Leader
	ask(ctx, t, far, remote, "create table t (id int); insert into t values (1)")
	at := far.Places()[0].Address.String()
	source := map[string]any{"host": at, "port": 5432}
	a := agents(t, AgentsConfig{Members: 2, Dynamic: map[string]any{"standby_cluster": source}})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	pic := await(ctx, t, a, func(pic Picture) error {
		if pic.Leader == "" {
			return fmt.Errorf("nobody leads")
		}
		if err := Role(pic.Leader, cluster.RoleStandbyLeader)(pic); err != nil {
			return err
		}
		return Role(other(a, pic.Leader), cluster.RoleReplica)(pic)
	})
	leader, replica := pic.Leader, other(a, pic.Leader)
	ask(ctx, t, far, remote, "insert into t values (2)")
	until(ctx, t, a, func() error { return answers(ctx, a, replica, "select count(*) from t", "2") })
	until(ctx, t, a, func() error {
		return answers(ctx, a, leader, "select string_agg(application_name, ' ') from pg_stat_replication", replica)
	})

	if err := a.Configure(ctx, leader, `{"standby_cluster": null}`); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, a.Leads(leader))
	ask(ctx, t, a, leader, "insert into t values (3)")
	until(ctx, t, a, func() error { return answers(ctx, a, replica, "select count(*) from t", "3") })

	if err := a.Configure(ctx, leader, `{"standby_cluster": {"host": "`+at+`", "port": 5432}}`); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a, Role(leader, cluster.RoleStandbyLeader))
	ask(ctx, t, far, remote, "insert into t values (4)")
	for _, name := range []string{leader, replica} {
		until(ctx, t, a, func() error {
			return answers(ctx, a, name, "select string_agg(id::text, ' ' order by id) from t", "1 2 4")
		})
	}
}
