package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// recorded is a state in which a real Patroni was asked (see package corpus).
type recorded struct {
	Patroni   string                     `json:"patroni"`
	Member    string                     `json:"member"`
	Access    string                     `json:"access"`
	Tags      cluster.Tags               `json:"tags"`
	Documents map[string]string          `json:"documents"`
	Status    map[string]json.RawMessage `json:"status"`
}

// exchange is what it was asked and what it answered.
type exchange struct {
	Method, Path string
	Body         *string
	Login        string
	Code         int
	Answer       string
	Page         bool
}

// name is how an exchange is listed among the differences.
func (e exchange) name() string {
	name := e.Method + " " + e.Path
	if e.Login != "" {
		name += " as " + e.Login
	}
	if e.Body != nil {
		name += " with " + *e.Body
	}
	return name
}

// TestCorpus gives the same answers as a real Patroni, but for the differences that are listed with their reasons. One that
// is listed and is none any more is wrong, too.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no corpus: %v", err)
	}
	known := differences(t)
	seen := map[string]bool{}
	for _, file := range files {
		state := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { replay(t, file, state, known, seen) })
		})
	}
	for key := range known {
		if !seen[key] {
			t.Errorf("listed, and no difference any more: %s", key)
		}
	}
}

// differences are those that are meant, by "state: request", where the state may be * for all.
func differences(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/corpus/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	reason := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			reason = strings.TrimPrefix(line, "# ")
		case reason == "":
			t.Errorf("%s: there is no reason", line)
		default:
			all[line] = reason
		}
	}
	return all
}

func replay(t *testing.T, file, state string, known map[string]string, seen map[string]bool) {
	s, exchanges := readCorpus(t, file)
	a := &replayed{fakeAgent: &fakeAgent{now: s.snapshot(t)}, status: s.Status}
	a.leads = a.now.Leading
	server := New(a, quiet())
	o := map[string]Options{
		"": {Open: true}, "login": {Username: "me", Password: "secret"}, "list": {Listed: true, Allow: prefixes("192.0.2.0/24")},
	}
	server.Configure(o[s.Access])
	for _, e := range exchanges {
		if e.Answer == "*" {
			e.Answer = string(health.Document(s.Status[s.Member]))
		}
		diff := compare(e, sent(server, e))
		if diff == "" {
			continue
		}
		key := state + ": " + e.name()
		if _, meant := known[key]; !meant {
			key = "*: " + e.name()
		}
		if _, meant := known[key]; !meant {
			t.Errorf("%s: %s\n%s", state, e.name(), diff)
			continue
		}
		seen[key] = true
	}
}

func sent(s *Server, e exchange) *httptest.ResponseRecorder {
	r := httptest.NewRequest(e.Method, e.Path, http.NoBody)
	if e.Body != nil {
		r = httptest.NewRequest(e.Method, e.Path, strings.NewReader(*e.Body))
		r.Header.Set("Content-Length", "given")
	}
	if e.Login != "" {
		r.Header.Set("Authorization", e.Login)
	}
	r.RemoteAddr = "127.0.0.1:40000"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// compare says in what an answer differs from the one that was recorded. The texts of Python's error pages are its own, and the
// order of what stands in a document of an operator means nothing.
func compare(e exchange, got *httptest.ResponseRecorder) string {
	if got.Code != e.Code {
		return cmp.Diff(e.Code, got.Code)
	}
	body := got.Body.String()
	switch {
	case e.Page, e.Answer == body:
		return ""
	case strings.HasPrefix(e.Path, "/metrics"):
		return compareMetrics(e.Answer, body)
	case strings.HasPrefix(e.Path, "/config"), strings.HasPrefix(e.Path, "/failsafe"):
		return cmp.Diff(sorted(e.Answer), sorted(body))
	case strings.HasPrefix(e.Path, "/cluster"):
		// The field leader is ours, and what a member receives and replays has been there since Patroni 4.1.
		body = newFields.ReplaceAllString(leaderField.ReplaceAllString(body, "}"), "")
	}
	return cmp.Diff(e.Answer, body)
}

var (
	leaderField = regexp.MustCompile(`, "leader": "[^"]*"}$`)
	newFields   = regexp.MustCompile(`(, )?"(receive_lag|receive_lsn|replay_lag|replay_lsn|lsn)": ("[^"]*"|[0-9]+)`)
)

// sorted is a document with its members in the order of their names.
func sorted(text string) string {
	var doc any
	if json.Unmarshal([]byte(text), &doc) != nil {
		return text
	}
	return string(health.Document(doc))
}

// compareMetrics compares the samples that were recorded; ours may be more.
func compareMetrics(want, got string) string {
	ours := map[string]string{}
	for line := range strings.Lines(got) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && !strings.HasPrefix(line, "#") {
			ours[name] = value
		}
	}
	theirs, same := map[string]string{}, map[string]string{}
	for line := range strings.Lines(want) {
		if strings.HasPrefix(line, "patroni_dcs_last_seen") {
			continue // it counts on
		}
		name, value, _ := strings.Cut(strings.TrimSpace(strings.Replace(line, " {", "{", 1)), "} ")
		theirs[name] = strings.TrimSuffix(value, ".0")
		if value, there := ours[name]; there {
			same[name] = value
		}
	}
	return cmp.Diff(theirs, same)
}

func readCorpus(t *testing.T, file string) (recorded, []exchange) {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	var s recorded
	var all []exchange
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text))
	for first := true; lines.Scan(); first = false {
		var e exchange
		var into any = &e
		if first {
			into = &s
		}
		if err := json.Unmarshal(lines.Bytes(), into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !first {
			all = append(all, e)
		}
	}
	return s, all
}

// told is a status document, as far as a snapshot is made of it.
type told struct {
	State   cluster.State `json:"state"`
	Role    cluster.Role  `json:"role"`
	Started string        `json:"postmaster_start_time"`
	Version int           `json:"server_version"`
	XLog    struct {
		Location   wal.LSN  `json:"location"`
		Received   wal.LSN  `json:"received_location"`
		Replayed   *wal.LSN `json:"replayed_location"`
		ReplayedAt string   `json:"replayed_timestamp"`
		Paused     bool     `json:"paused"`
	} `json:"xlog"`
	Timeline    wal.Timeline               `json:"timeline"`
	Replication string                     `json:"replication_state"`
	Standbys    []health.Standby           `json:"replication"`
	Failsafe    bool                       `json:"failsafe_mode_is_active"`
	Seen        int64                      `json:"dcs_last_seen"`
	SystemID    wal.SystemID               `json:"database_system_identifier"`
	Restart     *cluster.ScheduledRestart  `json:"scheduled_restart"`
	Pending     map[string]cluster.Pending `json:"pending_restart_reason"`
}

// snapshot is what the member knew, at the moment when it was asked. The clock of the bubble is moved there.
func (s recorded) snapshot(t *testing.T) *health.Snapshot {
	t.Helper()
	var d told
	if err := json.Unmarshal(s.Status[s.Member], &d); err != nil {
		t.Fatal(err)
	}
	seen := time.Unix(d.Seen, 0)
	time.Sleep(time.Until(seen.Add(500 * time.Millisecond)))
	c := s.cluster(t)
	settings := c.Config.Settings()
	now := time.Now()
	return &health.Snapshot{
		Began: now, Next: now.Add(settings.LoopWait), Name: s.Member, Scope: "postgresql-cluster", AgentVersion: s.Patroni, Tags: s.Tags,
		State: d.State, Role: d.Role, Server: d.server(t), Leading: c.Leader.Name == s.Member, LeaseEnds: now.Add(settings.TTL),
		FailsafeActive: d.Failsafe, Restart: d.Restart, Settings: settings, Cluster: c, Seen: seen,
	}
}

func (d told) server(t *testing.T) health.Server {
	t.Helper()
	s := health.Server{
		SystemID: d.SystemID, Version: d.Version, Started: timeIn(t, d.Started), Running: d.State == cluster.StateRunning, Known: d.Version != 0,
		InRecovery: d.XLog.Replayed != nil, Timeline: d.Timeline, Written: d.XLog.Location, Received: d.XLog.Received,
		ReplayedAt: timeIn(t, d.XLog.ReplayedAt), ReplayPaused: d.XLog.Paused, ReplicationState: d.Replication, Standbys: d.Standbys, Pending: d.Pending,
	}
	if s.InRecovery {
		s.Replayed = *d.XLog.Replayed
	}
	return s
}

func timeIn(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse("2006-01-02 15:04:05.999999Z07:00", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// cluster are the documents as an agent reads them.
func (s recorded) cluster(t *testing.T) cluster.Cluster {
	t.Helper()
	store := memory.New()
	for _, key := range slices.Sorted(maps.Keys(s.Documents)) {
		if _, err := store.Put(t.Context(), "/service/postgresql-cluster/"+key, s.Documents[key], kv.Always(), 0); err != nil {
			t.Fatal(err)
		}
	}
	documents, err := dcs.New(store, dcs.Config{Namespace: "service", Scope: "postgresql-cluster", Name: s.Member})
	if err != nil {
		t.Fatal(err)
	}
	c, err := documents.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// replayed is an agent that does what it is asked, in its documents alone.
type replayed struct {
	*fakeAgent

	status map[string]json.RawMessage
}

// change is a snapshot after something of it was changed.
func (r *replayed) change(do func(s *health.Snapshot)) {
	s := *r.now
	do(&s)
	r.now = &s
}

func (r *replayed) Configure(_ context.Context, data map[string]any, _ cluster.Version) error {
	r.change(func(s *health.Snapshot) {
		s.Cluster.Config.Data, s.Settings = data, cluster.Config{Data: data}.Settings()
	})
	return nil
}

func (r *replayed) Manual(_ context.Context, f cluster.Failover) error {
	r.change(func(s *health.Snapshot) { s.Cluster.Failover = f })
	return nil
}

func (r *replayed) Schedule(q ha.Request) bool {
	if r.now.Restart != nil {
		return false
	}
	r.change(func(s *health.Snapshot) {
		s.Restart = &cluster.ScheduledRestart{Schedule: q.At.Format(time.RFC3339Nano)}
	})
	return true
}

func (r *replayed) Unschedule() bool {
	scheduled := r.now.Restart != nil
	r.change(func(s *health.Snapshot) { s.Restart = nil })
	return scheduled
}

// Request refuses every restart: only those were recorded whose conditions do not hold.
func (r *replayed) Request(context.Context, ha.Request) error {
	return &ha.RefusalError{Text: "refused"}
}

func (r *replayed) Ask(_ context.Context, names []string) map[string]ha.Peer {
	answers := map[string]ha.Peer{}
	for _, name := range names {
		var s client.Status
		if json.Unmarshal(r.status[name], &s) != nil {
			continue
		}
		answers[name] = ha.Peer{
			At: time.Now(), Reached: true, InRecovery: s.InRecovery(), State: s.State, Timeline: s.Timeline, Position: s.Position(),
			NoFailover: s.Tags.NoFailover(), Priority: s.Tags.FailoverPriority(),
		}
	}
	return answers
}
