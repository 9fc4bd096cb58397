package ctl

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
)

// The files in testdata show what people see. `keys` writes documents as members leave them in the DCS, one a line: the name of
// the key and its value. `ctl` types a command, its first line, and what is answered to its questions. `key` shows a key.
// `answer` says what the scheduler answers from now on to a request, method and path on the first line, its code and body below;
// `asked` shows what was asked of it to change something since the last time.
func TestWhatPeopleSee(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		store := memory.New()
		t.Cleanup(func() { store.Close() }) //nolint:errcheck // it is memory
		m := newTestMarathon(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "keys":
				return writeKeys(t, store, d.Input)
			case "key":
				return readKey(t, store, d.Input)
			case "ctl":
				return m.hide(typeCommand(t, store, m.URL, d.Input))
			case "answer":
				return m.learn(t, d.Input)
			case "asked":
				return m.changes()
			}
			t.Fatalf("unknown directive %s", d.Cmd)
			return ""
		})
	})
}

const base = "/service/demo/"

// writeKeys writes documents anew; those of before are gone.
func writeKeys(t *testing.T, store kv.Store, text string) string {
	t.Helper()
	old, err := store.List(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range old.Pairs {
		if err := store.Delete(t.Context(), p.Key, kv.Always()); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := store.Put(t.Context(), base+key, value, kv.Always(), 0); err != nil {
			t.Fatal(err)
		}
	}
	return ""
}

func readKey(t *testing.T, store kv.Store, key string) string {
	t.Helper()
	p, known, err := store.Get(t.Context(), base+strings.TrimSpace(key))
	if err != nil {
		t.Fatal(err)
	}
	if !known {
		return "none\n"
	}
	return p.Value + "\n"
}

// typeCommand runs a command and returns what is printed, on both outputs.
func typeCommand(t *testing.T, store kv.Store, marathon, text string) string {
	t.Helper()
	command, answers, _ := strings.Cut(text, "\n")
	var out bytes.Buffer
	env := testEnv(&out, nil, answers+"\n")
	env.Err = &out
	env.Vars["PATRONI_SCOPE"] = "demo"
	env.Vars["PGBATON_MARATHON"] = marathon
	env.Open = func(_ context.Context, c config.Client) (DCS, error) {
		documents, err := dcs.New(store, dcs.Config{Namespace: c.Namespace, Scope: c.Scope})
		return kept{documents}, err
	}
	env.Check = func(data map[string]any) (problems, warnings []string) {
		if data["ttl"] != nil && (cluster.Config{Data: data}).Settings().TTL < 30*time.Second {
			problems = append(problems, "ttl: too short")
		}
		return problems, nil
	}
	err := runIn(t, env, words(command)...)
	switch {
	case errors.Is(err, ErrAborted):
		out.WriteString("Aborted!\n")
	case err != nil:
		out.WriteString("Error: " + err.Error() + "\n")
	}
	return out.String()
}

// words are those of a command line; quotes hold them together.
func words(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

// kept is a store that outlives the command.
type kept struct{ *dcs.Store }

func (kept) Close() error { return nil }
