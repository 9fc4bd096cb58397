package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/peer"
)

// mixedField is a cluster of Patroni and pgbaton members that share their keys, under clients that write and a watchman.
type mixedField struct {
	*syncField

	patroni  *Kind
	watchman *Watchman
	// turn counts requests, which the tools of both kinds make in turns.
	turn int
}

// kinds are the two generations of Patroni.
func kinds(ctx context.Context, t *testing.T) (patroni3, patroni4 *Kind) {
	t.Helper()
	three, err := Patroni(ctx)
	four, err4 := Patroni4(ctx)
	if err := errors.Join(err, err4); err != nil {
		peer.Missing(t, err.Error())
	}
	return three, four
}

// newMixedField starts three members: those whose place in the list is true are Patroni's.
func newMixedField(ctx context.Context, t *testing.T, rng *rand.Rand, patroni *Kind, places []bool, want promised, adjust ...func(*AgentsConfig)) *mixedField {
	t.Helper()
	cfg := AgentsConfig{
		Members: len(places),
		Dynamic: map[string]any{
			"synchronous_mode": want.value(), "primary_start_timeout": 0, "maximum_lag_on_failover": 1 << 24,
			"postgresql": map[string]any{"use_pg_rewind": true},
		},
		Local: likePatroni,
	}
	for _, change := range adjust {
		change(&cfg)
	}
	a := agents(t, cfg)
	f := &mixedField{patroni: patroni}
	var members []string
	for i, name := range a.Names() {
		members = append(members, name+" pgbaton")
		if !places[i] {
			continue
		}
		members[i] = name + " " + patroni.Title
		if err := a.As(name, patroni); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s; synchronous %s", strings.Join(members, ", "), want)
	f.syncField = openSyncField(ctx, t, rng, want, a)
	var err error
	if f.watchman, err = StartWatchman(ctx, a.Places(), a.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.watchman.Stop)
	return f
}

// value is what synchronous_mode is set to.
func (p promised) value() any {
	if p.mode == "quorum" {
		return "quorum"
	}
	return p.mode == "on"
}

// likePatroni says what pgbaton finds by itself and Patroni does not: the programs of PostgreSQL, folders for sockets and
// passwords, who may connect, and that etcd speaks its third version. All members have the same file, whoever reads it.
func likePatroni(_ string, file map[string]any) {
	section, _ := file["postgresql"].(map[string]any)
	data, _ := section["data_dir"].(string)
	own := filepath.Dir(data)
	file["etcd3"] = file["etcd"]
	delete(file, "etcd")
	Set(file, serverPrograms(), "postgresql", "bin_dir")
	Set(file, filepath.Join(own, "pgpass"), "postgresql", "pgpass")
	Set(file, own, "postgresql", "parameters", "unix_socket_directories")
	// A clone is not to wait for minutes until a checkpoint has spread its writes.
	Set(file, []any{map[string]any{"checkpoint": "fast"}}, "postgresql", "basebackup")
	Set(file, []any{
		"local all postgres trust",
		"host all postgres,rewinder,pgbaton_client 127.0.0.0/8 md5",
		"host replication replicator 127.0.0.0/8 md5",
	}, "postgresql", "pg_hba")
}

// serverPrograms is the folder of PostgreSQL's programs; empty stands for the PATH.
func serverPrograms() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// kind is what a member is, in one word.
func (f *mixedField) kind(name string) string {
	if f.KindOf(name) != nil {
		return "patroni"
	}
	return "pgbaton"
}

// of are the members of a kind.
func (f *mixedField) of(kind string) []string {
	return slices.DeleteFunc(f.Names(), func(name string) bool { return f.kind(name) != kind })
}

// tool is whose command is used next: Patroni's and ours in turns.
func (f *mixedField) tool() (*Kind, string) {
	if f.turn++; f.turn%2 == 0 {
		return nil, "pgbaton"
	}
	return f.patroni, "patronictl"
}

// declined is what the tools print, with exit code zero, when a member says no.
var declined = regexp.MustCompile(`Failed:|(failed|unknown), details|didn't recognized`)

// operate runs a command of one of the tools, which must end with exit code zero.
func (f *mixedField) operate(ctx context.Context, k *Kind, args ...string) (string, error) {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	text, code, err := f.Ctl(limited, k, f.Names()[0], args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s ended with exit code %d", strings.Join(args, " "), code)
	}
	if err == nil && declined.MatchString(text) {
		err = fmt.Errorf("%s: %s", strings.Join(args, " "), text)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, f.explain(ctx))
	}
	return text, err
}

// edit changes the dynamic configuration with a tool: pairs of a path and a value.
func (f *mixedField) edit(ctx context.Context, k *Kind, pairs ...string) error {
	args := []string{"edit-config", "--force"}
	for _, p := range pairs {
		args = append(args, "-s", p)
	}
	_, err := f.operate(ctx, k, args...)
	return err
}

// ask asks for another kind of synchronous replication.
func (f *mixedField) ask(ctx context.Context, k *Kind, want promised) error {
	if f.want.mode != "off" && want.mode == "off" {
		f.clients.books.weaken()
	}
	mode := want.mode
	if mode != "quorum" {
		mode = fmt.Sprint(mode == "on")
	}
	err := f.edit(ctx, k, "synchronous_mode="+mode, fmt.Sprintf("synchronous_mode_strict=%t", want.strict), fmt.Sprintf("synchronous_node_count=%d", want.nodes))
	if err == nil {
		f.want = want
	}
	return err
}

// settled waits until all is whole, and compares the rows of the leader with what was acknowledged.
func (f *mixedField) settled(ctx context.Context, all bool) (Picture, error) {
	pic, err := f.whole(ctx)
	if err != nil {
		return pic, err
	}
	if f.want.mode != "off" {
		f.clients.books.strengthen()
	}
	if err := f.written(ctx, 5); err != nil {
		return pic, err
	}
	// A Patroni that leads looks once in a loop: what it promises now may be what it promised before the last deed.
	if pic, err = f.whole(ctx); err != nil {
		return pic, err
	}
	return pic, errors.Join(f.audit(ctx, pic.Leader, all), f.watchman.Report())
}

// documents are all keys of the cluster with their contents, for a report.
func (f *mixedField) documents(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	list, err := f.store.List(ctx, Prefix)
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, p := range list.Pairs {
		fmt.Fprintf(&out, "%s = %s\n", strings.TrimPrefix(p.Key, Prefix), p.Value)
	}
	return out.String()
}

// report adds to what a failed test says.
func (f *mixedField) report(ctx context.Context) {
	if f.t.Failed() {
		f.t.Logf("the keys:\n%s", f.documents(ctx))
	}
}

// reached waits for the members' answer on a path of their REST APIs.
func (f *mixedField) reached(ctx context.Context, name, path string, code int) error {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		got, text, err := f.Send(limited, name, http.MethodGet, path, "")
		if err == nil && got == code {
			return nil
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
			return fmt.Errorf("GET %s of %s is %d %s and not %d: %w", path, name, got, text, code, errors.Join(err, context.Cause(limited)))
		}
	}
}

// dynamic is the dynamic configuration as it is stored.
func (f *mixedField) dynamic(ctx context.Context) (map[string]any, error) {
	text, err := f.Document(ctx, "config")
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	return values, yaml.Unmarshal([]byte(text), &values)
}
