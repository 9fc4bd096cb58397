package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two servers are at fault only while both acknowledge, whichever connections they do it on.
func TestOverlap(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("15:04:05", "10:00:"+s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, c := range map[string]struct {
		spans []span
		want  time.Duration
	}{
		"none":              {nil, 0},
		"one after another": {[]span{{"n1", at("01"), at("05")}, {"n2", at("05"), at("09")}}, 0},
		"one within":        {[]span{{"n1", at("01"), at("09")}, {"n2", at("03"), at("05")}}, 2 * time.Second},
		"twice":             {[]span{{"n1", at("01"), at("03")}, {"n2", at("02"), at("08")}, {"n1", at("07"), at("10")}}, 2 * time.Second},
		"the same server":   {[]span{{"n1", at("01"), at("05")}, {"n1", at("02"), at("09")}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := overlap(c.spans); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	for _, c := range []struct {
		figures []float64
		want    summary
	}{
		{nil, summary{}},
		{[]float64{2}, summary{1, 2, 2, 2}},
		{[]float64{5, 1, 3}, summary{3, 3, 1, 5}},
		{[]float64{4, 1, 2, 9}, summary{4, 3, 1, 9}},
	} {
		if diff := cmp.Diff(c.want, summarise(c.figures)); diff != "" {
			t.Errorf("%v: %s", c.figures, diff)
		}
	}
}

func sample() report {
	r := report{When: time.Unix(0, 0).UTC(), Machine: "2 × a processor", Subjects: []subject{{name: pgbaton, title: "pgbaton 1"}, {name: patroni, title: "Patroni 3"}}}
	r.add(pgbaton, figures{"rise": 2, "restart": 0.5, "rest_rate": 30000, "frozen_lost": 0, "frozen_both": 0, "helpers": 8})
	r.add(pgbaton, figures{"rise": 3, "restart": 0.7})
	r.add(patroni, figures{"rise": 5, "restart": 1.5, "rest_rate": 1000, "frozen_lost": 1500, "frozen_both": 5.1, "host": 20.49})
	return r
}

func TestTable(t *testing.T) {
	r := sample()
	r.Subjects = r.Subjects[:1]
	var out strings.Builder
	if err := table(&out, r); err != nil {
		t.Fatal(err)
	}
	const want = `what                                                  budget      pgbaton 1
----                                                  ------      ---------
postmaster killed, restarted in place: write outage   ≤ 0.4 s     0.600 s (0.500–0.700)
… two servers acknowledge writes for                  0 s         0.000 s (0.000–0.000)
… acknowledged writes lost                            0           0 (0–0)
three empty members → leader + 2 streaming            ≤ 2.5 s     2.500 s (2.000–3.000)
its guard's memory (RSS)                              –           8.0 MiB (8.0–8.0)
GET /primary, 64 connections: answers a second        ≥ 20000/s   30000/s (30000–30000)

Medians of 2 runs, the least and the most in brackets; 2 × a processor, 1970-01-01.
Over budget: postmaster killed, restarted in place: write outage.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := asJSON(&out, sample()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Subjects map[string]map[string]struct {
			Runs    int
			Median  float64
			Figures []float64
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	rise := got.Subjects["pgbaton 1"]["rise"]
	if diff := cmp.Diff([]float64{2, 3}, rise.Figures); diff != "" || rise.Runs != 2 || rise.Median != 2.5 {
		t.Errorf("%+v", rise)
	}
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := markdown(&out, sample()); err != nil {
		t.Fatal(err)
	}
	const want = `| what | budget | pgbaton 1 | Patroni 3 | ratio |
| --- | --- | --- | --- | --- |
| postmaster killed, restarted in place: write outage | ≤ 0.4 s | 0.600 s (0.500–0.700) | 1.500 s (1.500–1.500) | 2.5× |
| host lost, ttl 20: write outage | ≤ 20.5 s | – | 20.5 s (20.5–20.5) | – |
| … two servers acknowledge writes for | 0 s | 0.000 s (0.000–0.000) | 5.100 s (5.100–5.100) | – |
| … acknowledged writes lost | 0 | 0 (0–0) | 1500 (1500–1500) | – |
| three empty members → leader + 2 streaming | ≤ 2.5 s | 2.500 s (2.000–3.000) | 5.000 s (5.000–5.000) | 2.0× |
| its guard's memory (RSS) | – | 8.0 MiB (8.0–8.0) | – | – |
| GET /primary, 64 connections: answers a second | ≥ 20000/s | 30000/s (30000–30000) | 1000/s (1000–1000) | 30.0× |

Medians of 2 runs, the least and the most in brackets; 2 × a processor, 1970-01-01.
Over budget: postmaster killed, restarted in place: write outage.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestBudgets(t *testing.T) {
	for _, m := range metrics() {
		if m.budget < 0 && !m.within(1e9) {
			t.Errorf("%s has no budget and is over it", m.key)
		}
		if m.budget >= 0 && !m.within(m.budget) {
			t.Errorf("%s is over its budget at its budget", m.key)
		}
		if m.budget > 0 && m.within(m.budget*2) != m.more {
			t.Errorf("%s: twice the budget is judged the wrong way", m.key)
		}
	}
}

// A server that closes after each answer, as one of HTTP/1.0 does, is asked over a new connection each time.
func TestLoad(t *testing.T) {
	for name, closes := range map[string]bool{"kept open": false, "closed": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if closes {
					w.Header().Set("Connection", "close")
				}
				w.Write([]byte("{}"))
			}))
			defer server.Close()
			got, err := ask(t.Context(), server.Listener.Addr().String(), 4, 0, 50*time.Millisecond)
			if err != nil || got.rate < 20 || got.p99 <= 0 || got.p99 > time.Second {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// So often as is wanted, and no more often. A server that cannot keep up is late by more and more.
func TestLoadAtARate(t *testing.T) {
	slow := time.Duration(0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(slow)
		w.Write([]byte("{}"))
	}))
	defer server.Close()
	got, err := ask(t.Context(), server.Listener.Addr().String(), 4, 200, 200*time.Millisecond)
	if err != nil || got.rate > 250 {
		t.Errorf("%+v, %v", got, err)
	}
	slow = 20 * time.Millisecond
	got, err = ask(t.Context(), server.Listener.Addr().String(), 1, 1000, 200*time.Millisecond)
	if err != nil || got.rate > 60 || got.p99 < 100*time.Millisecond {
		t.Errorf("%+v, %v", got, err)
	}
}

// An API that says no is not measured.
func TestLoadOfAnotherAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if got, err := ask(t.Context(), server.Listener.Addr().String(), 2, 0, 50*time.Millisecond); err == nil {
		t.Errorf("no error, but %+v", got)
	}
}

// An interrupted measurement ends at once, also when nobody answers.
func TestLoadInterrupted(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // nothing was written
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, silent.Addr().String(), 2, 0, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSumOfMetrics(t *testing.T) {
	const text = `# TYPE grpc_server_started_total counter
grpc_server_started_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 12
grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 3
grpc_server_handled_total{grpc_method="Put"} 99
`
	if got, err := sumOf(strings.NewReader(text), "grpc_server_started_total{"); err != nil || got != 15 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := sumOf(strings.NewReader(text), "another{"); err == nil {
		t.Error("a metric that is not there has a sum")
	}
}

// All processes of a folder end, those that only name it in their arguments too, and no other does.
func TestCut(t *testing.T) {
	ours, other := t.TempDir(), t.TempDir()
	within := sleeper(t, ours)
	named := sleeper(t, other, filepath.Join(ours, "data"))
	apart := sleeper(t, other)
	if err := cut(ours); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*exec.Cmd{within, named} {
		if err := p.Wait(); err == nil || p.ProcessState.ExitCode() != -1 {
			t.Errorf("%s: %v", p.Dir, err)
		}
	}
	if memory, err := resident(apart.Process.Pid); err != nil || memory == 0 {
		t.Errorf("%d, %v", memory, err)
	}
	if _, err := cpuTime(apart.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := cut(other); err != nil {
		t.Fatal(err)
	}
	apart.Wait() //nolint:errcheck // it was killed
}

// sleeper is a process that waits for the end of its input.
func sleeper(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", "read x", "sleeper"}, args...)...)
	cmd.Dir = dir
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// What pgbaton finds by itself has to be said to Patroni, and nothing else changes.
func TestConfigurationForPatroni(t *testing.T) {
	file := map[string]any{
		"scope": "x", "etcd": map[string]any{"hosts": []string{"127.0.0.1:2379"}},
		"postgresql": map[string]any{"data_dir": "/lab/n1/data", "parameters": map[string]any{"fsync": false}},
	}
	if got := firstEndpoint(file); got != "127.0.0.1:2379" {
		t.Errorf("etcd is at %q", got)
	}
	forPatroni(file)
	want := map[string]any{
		"scope": "x", "etcd3": map[string]any{"hosts": []string{"127.0.0.1:2379"}},
		"postgresql": map[string]any{
			"data_dir": "/lab/n1/data", "bin_dir": binDir(), "pgpass": "/lab/n1/pgpass",
			"parameters": map[string]any{"fsync": false, "unix_socket_directories": "/lab/n1"},
			"pg_hba":     []any{"local all postgres trust", "host all postgres,rewinder 127.0.0.0/8 md5", "host replication replicator 127.0.0.0/8 md5"},
		},
	}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Error(diff)
	}
}

func TestCommandLine(t *testing.T) {
	o, err := parse([]string{"-runs", "2", "-subjects", "patroni", "-only", "host frozen", "-o", "json"})
	want := options{program: "bin/pgbaton", runs: 2, subjects: []string{patroni}, only: []string{"host", "frozen"}, output: "json"}
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(options{})); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{"-runs=0", "-subjects=stolon", "-only=nothing", "-o=xml", "-subjects=", "word"} {
		if _, err := parse([]string{bad}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// The launcher for Patroni passes each word on as it is.
func TestLauncher(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // nothing secret
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, patroni), []byte("#!/bin/sh\nprintf '%s 4.0' \"$1\"\n"), 0o755); err != nil { //nolint:gosec // it is executed
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	s, err := other(t.Context(), dir, "/bin/echo")
	if err != nil || s.title != "Patroni 4.0" {
		t.Fatalf("%+v, %v", s, err)
	}
	for words, want := range map[string]string{"agent a.yml": "a.yml 4.0", "etcd --name x": "etcd --name x\n"} {
		got, err := exec.CommandContext(t.Context(), s.launch, strings.Fields(words)...).Output()
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", words, got, err)
		}
	}
}

// A Patroni that is missing is said, and is an error where peers are required.
func TestPatroniMissing(t *testing.T) {
	own := filepath.Join(t.TempDir(), pgbaton)
	if err := os.WriteFile(own, []byte("#!/bin/sh\necho pgbaton 1.0\n"), 0o755); err != nil { //nolint:gosec // it is executed
		t.Fatal(err)
	}
	t.Setenv("PATH", "/nonexistent")
	o := options{program: own, subjects: []string{pgbaton, patroni}}
	for peers, wanted := range map[string]int{"": 1, "required": 0} {
		t.Setenv("PEERS", peers)
		got, err := find(t.Context(), o, t.TempDir())
		if len(got) != wanted || (err != nil) != (wanted == 0) {
			t.Errorf("PEERS=%s: %v, %v", peers, got, err)
		}
	}
}
