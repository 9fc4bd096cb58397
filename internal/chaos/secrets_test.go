package chaos

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// secrets are the passwords of one run, by what each is for. It is never changed.
type secrets map[string]string

// newSecrets makes passwords that look other in an address and in a conninfo than they are. Some are never right.
func newSecrets() secrets {
	all := secrets{}
	for _, role := range []string{"superuser", "replication", "rewind", "restapi", "etcd", "wrong superuser", "wrong replication"} {
		all[role] = "/%+ é'" + rand.Text()
	}
	return all
}

// traces are the ways to write a password, with whose it is. URLs, quotes and escapes all leave its random part alone.
func (s secrets) traces() map[string]string {
	all := map[string]string{}
	for role, password := range s {
		all[password[len(password)-len(rand.Text()):]] = role
		all[base64.StdEncoding.EncodeToString([]byte(password))] = role
		all[base64.RawURLEncoding.EncodeToString([]byte(password))] = role
		for _, user := range []string{"postgres", "replicator", "rewinder", "operator", "agents"} {
			all[base64.StdEncoding.EncodeToString([]byte(user+":"+password))] = role
		}
	}
	return all
}

// in says whose password stands in a text; empty when none does.
func (f *secretField) in(text []byte) string {
	for trace, role := range f.traces {
		if bytes.Contains(text, []byte(trace)) {
			return role
		}
	}
	return ""
}

// TestNoSecretIsLeftBehind runs a cluster with a password for everything through its life, and looks for the passwords in
// all that it wrote, said and started: in files, in the DCS, in answers, in the output of commands, in argument lists and in
// environments.
func TestNoSecretIsLeftBehind(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	f := newSecretField(ctx, t)
	end := f.sample()
	pic := running(ctx, t, f.Agents)
	f.operate(ctx, "switchover", "--force")
	await(ctx, t, f.Agents, f.ledByAnother(pic.Leader))
	f.operate(ctx, "restart", "postgresql-cluster", "--force")
	pic = await(ctx, t, f.Agents, f.Whole)
	// A failover, after which the old leader is rewound with the rewind user's password.
	old := pic.Leader
	if err := f.SignalServer(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, f.Agents, f.ledByAnother(old))
	await(ctx, t, f.Agents, f.Whole)
	f.operate(ctx, "reinit", "postgresql-cluster", old, "--force", "--wait")
	await(ctx, t, f.Agents, f.Whole)
	f.misconfigure(ctx, old)
	for _, command := range []string{"list", "topology", "explain", "show-config", "history", "dsn", "version"} {
		f.operate(ctx, command)
	}
	f.operate(ctx, "explain", old)
	f.operate(ctx, "edit-config", "--force", "-s", "maximum_lag_on_failover=2000000")
	f.answers(ctx)
	f.documents(ctx)
	if err := f.Leave(ctx, f.Names()...); err != nil {
		t.Fatal(err)
	}
	if looks := end(); looks < 100 {
		t.Errorf("the processes were looked at %d times only", looks)
	}
	f.files()
}

// secretField is a cluster whose etcd, servers and REST APIs ask for passwords.
type secretField struct {
	*Agents

	t       *testing.T
	secrets secrets
	traces  map[string]string
}

func newSecretField(ctx context.Context, t *testing.T) *secretField {
	t.Helper()
	f := &secretField{t: t, secrets: newSecrets()}
	f.traces = f.secrets.traces()
	login := func(user, role string) map[string]any {
		return map[string]any{"username": user, "password": f.secrets[role]}
	}
	f.Agents = agents(t, AgentsConfig{
		Members: 2, Dynamic: map[string]any{"primary_start_timeout": 0},
		// One of the passwords comes by the environment.
		Env: []string{"PATRONI_REWIND_PASSWORD=" + f.secrets["rewind"], "PATRONI_LOG_LEVEL=DEBUG"},
		Local: func(_ string, file map[string]any) {
			Set(file, login("operator", "restapi"), "restapi", "authentication")
			Set(file, "agents", "etcd", "username")
			Set(file, f.secrets["etcd"], "etcd", "password")
			Set(file, login("postgres", "superuser"), "postgresql", "authentication", "superuser")
			Set(file, login("replicator", "replication"), "postgresql", "authentication", "replication")
			Set(file, map[string]any{"username": "rewinder"}, "postgresql", "authentication", "rewind")
			Set(file, []string{
				"local all all scram-sha-256", "host all all all scram-sha-256", "host replication all all scram-sha-256", //nolint:dupword // a database and a role
			}, "postgresql", "pg_hba")
			// The statements that set passwords, were they not kept out.
			Set(file, "mod", "postgresql", "parameters", "log_statement")
		},
	})
	f.authenticate(ctx)
	return f
}

// authenticate has etcd ask for a password.
func (f *secretField) authenticate(ctx context.Context) {
	f.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: f.layout.EtcdEndpoints(), Context: ctx})
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it did its work
	for _, user := range []string{"root", "agents"} {
		if _, err := c.UserAdd(ctx, user, f.secrets["etcd"]); err != nil {
			f.t.Fatal(err)
		}
		if _, err := c.UserGrantRole(ctx, user, "root"); err != nil {
			f.t.Fatal(err)
		}
	}
	if _, err := c.AuthEnable(ctx); err != nil {
		f.t.Fatal(err)
	}
	store, err := etcd3.Open(ctx, etcd3.Config{Endpoints: f.layout.EtcdEndpoints(), Username: "agents", Password: secret.Text(f.secrets["etcd"])})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.Close(); err != nil {
		f.t.Error(err)
	}
	f.store = store
}

func (f *secretField) ledByAnother(than string) func(Picture) error {
	return func(pic Picture) error {
		if pic.Leader == than {
			return fmt.Errorf("%s leads still", than)
		}
		return f.Whole(pic)
	}
}

// operate runs an operator command with a member's configuration, and looks at what it prints.
func (f *secretField) operate(ctx context.Context, args ...string) {
	f.t.Helper()
	cmd := exec.CommandContext(ctx, f.cfg.Program, append(args, "-c", f.File("n1"))...) //nolint:gosec // the program under test
	cmd.Env = environment()
	output, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("pgbaton %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	f.clean("the output of pgbaton "+args[0], output)
}

func (f *secretField) clean(what string, text []byte) {
	f.t.Helper()
	if role := f.in(text); role != "" {
		f.t.Errorf("%s has the password of %s", what, role)
	}
}

// misconfigure gives a member passwords that are wrong, which it says, and then the right ones again.
func (f *secretField) misconfigure(ctx context.Context, member string) {
	f.t.Helper()
	for _, prefix := range []string{"wrong ", ""} {
		err := f.Edit(member, func(file map[string]any) {
			for _, role := range []string{"superuser", "replication"} {
				Set(file, f.secrets[prefix+role], "postgresql", "authentication", role, "password")
			}
		})
		if err == nil {
			err = f.Signal(member, syscall.SIGHUP)
		}
		if err != nil {
			f.t.Fatal(err)
		}
		select { // some turns of the loop
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
			f.t.Fatal(context.Cause(ctx))
		}
	}
	await(ctx, f.t, f.Agents, f.Whole)
}

// answers asks everything of the REST APIs.
func (f *secretField) answers(ctx context.Context) {
	f.t.Helper()
	paths := []string{"/", "/patroni", "/patroni?fresh", "/cluster", "/config", "/history", "/metrics", "/debug/ha", "/debug/ha?history", "/failsafe", "/readiness", "/nonsense"}
	for _, name := range f.Names() {
		for _, path := range paths {
			_, text, err := f.Send(ctx, name, http.MethodGet, path, "")
			if err != nil {
				f.t.Fatal(err)
			}
			f.clean("GET "+path+" of "+name, []byte(text))
		}
		// What needs a login, without one.
		for path, body := range map[string]string{"/restart": "{}", "/reload": "", "/switchover": `{"leader":"n1"}`} {
			code, text, err := f.Send(ctx, name, http.MethodPost, path, body)
			if err != nil || code != http.StatusUnauthorized {
				f.t.Errorf("POST %s without a login: %d %s, %v", path, code, text, err)
			}
			f.clean("POST "+path+" of "+name, []byte(text))
		}
	}
}

// documents looks at everything in the DCS.
func (f *secretField) documents(ctx context.Context) {
	f.t.Helper()
	all, err := f.store.List(ctx, "/")
	if err != nil {
		f.t.Fatal(err)
	}
	if len(all.Pairs) < 5 {
		f.t.Errorf("the DCS has %d documents only", len(all.Pairs))
	}
	for _, p := range all.Pairs {
		f.clean("the document "+p.Key, []byte(p.Value))
	}
}

// sample looks at all processes of the cluster again and again: no argument list has a password, and no environment but that
// of an agent, whose operator gave it one. The returned function ends that and says how often it looked.
func (f *secretField) sample() func() int {
	ctx, end := context.WithCancel(context.WithoutCancel(f.t.Context()))
	var done sync.WaitGroup
	looks := 0
	done.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			f.processes()
			looks++
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	return func() int {
		end()
		done.Wait()
		return looks
	}
}

func (f *secretField) processes() {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return
	}
	for _, path := range commands {
		line, err := os.ReadFile(path) //nolint:gosec // a fixed place
		if err != nil || len(line) == 0 {
			continue // it ended
		}
		args := strings.Fields(strings.ReplaceAll(string(line), "\x00", " "))
		if role := f.in(line); role != "" {
			f.t.Errorf("the arguments of %s have the password of %s", args[0], role)
		}
		if len(args) > 1 && args[1] == "agent" {
			continue
		}
		environ, err := os.ReadFile(strings.TrimSuffix(path, "cmdline") + "environ") //nolint:gosec // a fixed place
		if role := f.in(environ); err == nil && role != "" {
			f.t.Errorf("the environment of %q has the password of %s", args, role)
		}
	}
}

// files looks at all files that are left: a password stands in none but the configuration that the operator wrote and the
// files that PostgreSQL's programs read their passwords from, and nobody but their owner may read those.
func (f *secretField) files() {
	f.t.Helper()
	count, kept := 0, 0
	err := filepath.WalkDir(f.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // what the test made
		if err != nil {
			return err
		}
		count++
		role := f.in(text)
		if role == "" {
			return nil
		}
		own := filepath.Base(path) == "agent.yml" || strings.Contains(filepath.Base(path), "pgpass")
		if kept++; !own || info.Mode().Perm() != 0o600 {
			f.t.Errorf("%s with mode %v has the password of %s", strings.TrimPrefix(path, f.Dir()), info.Mode(), role)
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if count < 1000 || kept < 2 {
		f.t.Errorf("%d files, of which %d have passwords: the test looks at the wrong place", count, kept)
	}
}
