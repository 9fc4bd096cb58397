package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAgent is an agent whose next snapshots are prepared by the test.
type fakeAgent struct {
	now      *health.Snapshot
	next     []*health.Snapshot
	peers    map[string]ha.Peer
	manual   error
	request  error
	written  cluster.Failover
	requests []ha.Request

	// configured are the configurations that were written, each of which takes one of the errors.
	configured []map[string]any
	configure  []error
	// scheduled is the restart that is kept.
	scheduled *ha.Request
	// heard are the positions of slots that came with a question.
	heard map[string]wal.LSN
	// leads refuses to agree to another leader; agreed is who was agreed to.
	leads    bool
	agreed   string
	position wal.LSN
	reloads  int
	// decided is the last decision.
	decided *ha.Explanation
}

func (f *fakeAgent) Snapshot() *health.Snapshot                       { return f.now }
func (f *fakeAgent) Fresh(context.Context) *health.Snapshot           { return f.now }
func (f *fakeAgent) Observed(context.Context) *health.Snapshot        { return f.now }
func (f *fakeAgent) Queue(r ha.Request)                               { f.requests = append(f.requests, r) }
func (f *fakeAgent) Ask(context.Context, []string) map[string]ha.Peer { return f.peers }

func (f *fakeAgent) After(ctx context.Context, _ *health.Snapshot) (*health.Snapshot, error) {
	if len(f.next) == 0 {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	f.now, f.next = f.next[0], f.next[1:]
	return f.now, nil
}

func (f *fakeAgent) Manual(_ context.Context, m cluster.Failover) error {
	f.written = m
	return f.manual
}

func (f *fakeAgent) Configure(_ context.Context, data map[string]any, _ cluster.Version) error {
	f.configured = append(f.configured, data)
	if len(f.configure) == 0 {
		return nil
	}
	err := f.configure[0]
	f.configure = f.configure[1:]
	return err
}

func (f *fakeAgent) Schedule(r ha.Request) bool {
	if f.scheduled != nil {
		return false
	}
	f.scheduled = &r
	return true
}

func (f *fakeAgent) Reload() { f.reloads++ }

func (f *fakeAgent) Unschedule() bool {
	was := f.scheduled
	f.scheduled = nil
	return was != nil
}

func (f *fakeAgent) HearSlots(positions map[string]wal.LSN) { f.heard = positions }

func (f *fakeAgent) Agree(_ context.Context, leader string) (wal.LSN, bool) {
	if f.leads {
		return 0, false
	}
	f.agreed = leader
	return f.position, true
}

func (f *fakeAgent) Explanation() (ha.Explanation, bool) {
	if f.decided == nil {
		return ha.Explanation{}, false
	}
	return *f.decided, true
}

func (f *fakeAgent) Changes() []ha.Change { return []ha.Change{{Rule: "leader", Why: "leading"}} }

func (f *fakeAgent) Request(_ context.Context, r ha.Request) error {
	f.requests = append(f.requests, r)
	return f.request
}

// led is a snapshot of a cluster of n1, n2 and n3 that the named member leads.
func led(leader string, f cluster.Failover) *health.Snapshot {
	s := &health.Snapshot{Name: "n1", Scope: "s", Seen: time.Now(), Settings: cluster.Config{}.Settings()}
	s.Cluster.Leader.Name = leader
	s.Cluster.Failover = f
	for _, name := range []string{"n1", "n2", "n3"} {
		m := cluster.Member{Name: name, APIURL: "http://" + name + ":8008/patroni", State: cluster.StateRunning, Role: cluster.RoleReplica}
		if name == leader {
			m.Role = cluster.RolePrimary
		}
		s.Cluster.Members = append(s.Cluster.Members, m)
	}
	return s
}

func agentLedBy(leader string) *fakeAgent {
	ready := ha.Peer{Reached: true, InRecovery: true, State: cluster.StateRunning, Timeline: 1}
	return &fakeAgent{now: led(leader, cluster.Failover{}), peers: map[string]ha.Peer{"n2": ready, "n3": ready}}
}

func request(t *testing.T, a Agent, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	New(a, slog.New(slog.DiscardHandler)).ServeHTTP(w, local(t, method, path, body))
	return w.Code, w.Body.String()
}

// local is a request of somebody on this host.
func local(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	return r
}

func TestManualRequests(t *testing.T) {
	asked := cluster.Failover{Leader: "n1", Candidate: "n2"}
	cases := []struct {
		name, path, body string
		next             []*health.Snapshot
		code             int
		text             string
	}{
		{"done", "/switchover", `{"leader":"n1","candidate":"n2"}`, []*health.Snapshot{led("n1", asked), led("", asked), led("n2", asked)}, 200, `Successfully switched over to "n2"`},
		{"another one", "/switchover", `{"leader":"n1","candidate":"n2"}`, []*health.Snapshot{led("n3", asked)}, 200, `Switched over to "n3" instead of "n2"`},
		{"failover", "/failover", `{"member":"n2"}`, []*health.Snapshot{led("n2", asked)}, 200, `Successfully failed over to "n2"`},
		{"dropped", "/switchover", `{"leader":"n1"}`, []*health.Snapshot{led("n1", asked), led("n1", cluster.Failover{})}, 503, "Switchover failed"},
		{"never seen", "/switchover", `{"leader":"n1"}`, nil, 503, "Switchover status unknown after 20 seconds; operation may still be in progress"},
		{"no candidate", "/failover", `{"leader":"n1"}`, nil, 400, "Failover could be performed only to a specific candidate"},
		{"no leader", "/switchover", `{"candidate":"n2"}`, nil, 400, "Switchover could be performed only from a specific leader"},
		{"to itself", "/switchover", `{"leader":"n1","candidate":"n1"}`, nil, 400, "Switchover target and source are the same"},
		{"not the leader", "/switchover", `{"leader":"n3"}`, nil, 412, "leader name does not match"},
		{"nobody of that name", "/switchover", `{"leader":"n1","candidate":"n9"}`, nil, 412, "candidate does not exists"},
		{"a failover is never scheduled", "/failover", `{"member":"n2","scheduled_at":"2100-01-01T00:00:00Z"}`, nil, 400, "Failover can't be scheduled"},
		{"naive time", "/switchover", `{"leader":"n1","scheduled_at":"2100-01-01T00:00:00"}`, nil, 400, "Timezone information is mandatory for the scheduled switchover"},
		{"past", "/switchover", `{"leader":"n1","scheduled_at":"1999-01-01T00:00:00Z"}`, nil, 422, "Cannot schedule switchover in the past"},
		{"no time at all", "/switchover", `{"leader":"n1","scheduled_at":"soon"}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{"scheduled", "/switchover", `{"leader":"n1","scheduled_at":"2100-01-01T00:00:00Z"}`, nil, 202, "Switchover scheduled"},
		{"not JSON", "/switchover", `leader`, nil, 400, "the body is not a JSON object"},
		{"not there", "/switchovr", `{}`, nil, 501, "Unsupported request POST /switchovr"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := agentLedBy("n1")
				a.next = c.next
				if code, text := request(t, a, http.MethodPost, c.path, c.body); code != c.code || text != c.text {
					t.Errorf("got %d %s, want %d %s", code, text, c.code, c.text)
				}
			})
		})
	}
}

func TestManualRequestsInSynchronousMode(t *testing.T) {
	cases := []struct {
		path, body, voter string
		code              int
		text              string
	}{
		{"/switchover", `{"leader":"n1","candidate":"n2"}`, "n2", 200, `Successfully switched over to "n2"`},
		{"/switchover", `{"leader":"n1","candidate":"n3"}`, "n2", 412, "candidate name does not match with sync_standby"},
		{"/failover", `{"leader":"n1","candidate":"n3"}`, "n2", 412, "candidate name does not match with sync_standby"},
		{"/switchover", `{"leader":"n1"}`, "n9", 412, "switchover is not possible: can not find sync_standby"},
		{"/failover", `{"candidate":"n2"}`, "n3", 200, `Successfully failed over to "n2"`},
	}
	for _, c := range cases {
		a := agentLedBy("n1")
		a.now.Cluster.Config.Data = map[string]any{"synchronous_mode": true}
		a.now.Cluster.Sync = cluster.Sync{Leader: "n1", Voters: []string{c.voter}}
		a.next = []*health.Snapshot{led("n2", cluster.Failover{Leader: "n1"})}
		if code, text := request(t, a, http.MethodPost, c.path, c.body); code != c.code || text != c.text || a.written.Requested() != (code == 200) {
			t.Errorf("%s %s: %d %s, written %+v", c.path, c.body, code, text, a.written)
		}
	}
}

func TestNoGoodCandidate(t *testing.T) {
	a := agentLedBy("n1")
	a.peers = map[string]ha.Peer{}
	code, text := request(t, a, http.MethodPost, "/switchover", `{"leader":"n1"}`)
	if code != 412 || text != "switchover is not possible: no good candidates have been found" || a.written.Requested() {
		t.Errorf("%d %s, written %+v", code, text, a.written)
	}
}

func TestTheKeyCouldNotBeWritten(t *testing.T) {
	a := agentLedBy("n1")
	a.manual = errors.New("store did not answer")
	if code, text := request(t, a, http.MethodPost, "/switchover", `{"leader":"n1"}`); code != 503 || text != "failed to write failover key into DCS" {
		t.Errorf("%d %s", code, text)
	}
}

func TestRestartAndReinitialize(t *testing.T) {
	a := agentLedBy("n2")
	if code, text := request(t, a, http.MethodPost, "/restart", ""); code != 200 || text != "restarted successfully" {
		t.Errorf("restart: %d %s", code, text)
	}
	a.request = errors.New("the server could not be started")
	if code, text := request(t, a, http.MethodPost, "/restart", "{}"); code != 503 || text != "restart failed" {
		t.Errorf("failed restart: %d %s", code, text)
	}
	if code, text := request(t, a, http.MethodPost, "/reinitialize", `{"from_leader":true}`); code != 200 || text != "reinitialize started" || !a.requests[len(a.requests)-1].FromLeader {
		t.Errorf("reinitialize: %d %s %+v", code, text, a.requests)
	}
	if code, text := request(t, agentLedBy("n1"), http.MethodPost, "/reinitialize", ""); code != 503 || text != "I am the leader, can not reinitialize" {
		t.Errorf("reinitialize of the leader: %d %s", code, text)
	}
	a.now.Progress = "clone from n2"
	if code, text := request(t, a, http.MethodPost, "/reinitialize", ""); code != 503 || text != "clone from n2 already in progress" {
		t.Errorf("reinitialize while busy: %d %s", code, text)
	}
}

func TestRestartRequests(t *testing.T) {
	later := `"schedule":"2100-01-01T00:00:00Z"`
	cases := []struct {
		name, body string
		change     func(a *fakeAgent)
		code       int
		text       string
		want       ha.Request
	}{
		{"now", "", nil, 200, "restarted successfully", ha.Request{}},
		{
			"conditions", `{"role":"replica","postgres_version":"15.3","restart_pending":true,"timeout":"2min"}`, nil, 200, "restarted successfully",
			ha.Request{Role: cluster.RoleReplica, Below: 150003, Pending: true, Timeout: 2 * time.Minute},
		},
		{"a number of seconds", `{"timeout":7}`, nil, 200, "restarted successfully", ha.Request{Timeout: 7 * time.Second}},
		{
			"not this server", `{"role":"primary"}`, func(a *fakeAgent) { a.request = &ha.RefusalError{Text: "the server is no primary"} }, 503,
			"restart conditions are not satisfied",
			ha.Request{Role: cluster.RolePrimary},
		},
		{"it fails", "{}", func(a *fakeAgent) { a.request = errors.New("the server could not be started") }, 503, "restart failed", ha.Request{}},
		{"starting", "", func(a *fakeAgent) { a.now.State = cluster.StateStarting }, 503, "postgres is still starting", ha.Request{}},
		{"busy", "", func(a *fakeAgent) { a.now.Progress = "clone from n2" }, 503, "clone from n2 already in progress", ha.Request{}},
		{"later", `{` + later + `}`, nil, 202, "Restart scheduled", ha.Request{}},
		{"twice", `{` + later + `}`, func(a *fakeAgent) { a.scheduled = &ha.Request{} }, 409, "Another restart is already scheduled", ha.Request{}},
		{"in pause", `{` + later + `}`, func(a *fakeAgent) { a.now.Settings.Pause = true }, 500, "Can't schedule restart in the paused state", ha.Request{}},
		{"now in pause", "", func(a *fakeAgent) { a.now.Settings.Pause = true }, 200, "restarted successfully", ha.Request{}},
		{"past", `{"schedule":"1999-01-01T00:00:00Z"}`, nil, 422, "Cannot schedule restart in the past", ha.Request{}},
		{"naive", `{"schedule":"2100-01-01T00:00:00"}`, nil, 400, "Timezone information is mandatory for the scheduled restart", ha.Request{}},
		{"no time", `{"schedule":"soon"}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601", ha.Request{}},
		{"role", `{"role":"boss"}`, nil, 400, "PostgreSQL role should be either primary, standby_leader, or replica", ha.Request{}},
		{"version", `{"postgres_version":"15"}`, nil, 400, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 15", ha.Request{}},
		{"timeout", `{"timeout":0}`, nil, 400, "Timeout should be a positive number of seconds", ha.Request{}},
		{"timeout", `{"timeout":true}`, nil, 400, "Timeout should be a positive number of seconds", ha.Request{}},
		{"unknown", `{"colour":"red"}`, nil, 400, "Unknown filter for the scheduled restart: colour", ha.Request{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := agentLedBy("n2")
			if c.change != nil {
				c.change(a)
			}
			if code, text := request(t, a, http.MethodPost, "/restart", c.body); code != c.code || text != c.text {
				t.Errorf("got %d %s, want %d %s", code, text, c.code, c.text)
			}
			c.want.Kind = ha.RequestRestart
			if len(a.requests) > 0 && a.requests[0] != c.want {
				t.Errorf("asked for %+v, want %+v", a.requests[0], c.want)
			}
		})
	}
}

func TestTheScheduledRestartIsDropped(t *testing.T) {
	a := agentLedBy("n2")
	if code, text := request(t, a, http.MethodDelete, "/restart", ""); code != 404 || text != "no restarts are scheduled" {
		t.Errorf("none: %d %s", code, text)
	}
	a.scheduled = &ha.Request{}
	if code, text := request(t, a, http.MethodDelete, "/restart", ""); code != 200 || text != "scheduled restart deleted" || a.scheduled != nil {
		t.Errorf("one: %d %s", code, text)
	}
}

func TestTheScheduledSwitchoverIsDropped(t *testing.T) {
	a := agentLedBy("n1")
	if code, text := request(t, a, http.MethodDelete, "/switchover", ""); code != 404 || text != "no switchover is scheduled" {
		t.Errorf("none: %d %s", code, text)
	}
	a.now.Cluster.Failover = cluster.Failover{Leader: "n1", ScheduledAt: "2100-01-01T00:00:00Z"}
	a.written = a.now.Cluster.Failover
	if code, text := request(t, a, http.MethodDelete, "/switchover", ""); code != 200 || text != "scheduled switchover deleted" || a.written.Requested() {
		t.Errorf("one: %d %s, written %+v", code, text, a.written)
	}
	a.manual = kv.ErrConflict
	if code, _ := request(t, a, http.MethodDelete, "/switchover", ""); code != 409 {
		t.Errorf("overtaken: %d", code)
	}
	if code, _ := request(t, a, http.MethodDelete, "/failover", ""); code != 501 {
		t.Errorf("a failover is never scheduled: %d", code)
	}
}

func TestManualRequestsInPause(t *testing.T) {
	cases := []struct {
		path, body string
		code       int
		text       string
	}{
		{"/switchover", `{"leader":"n1","scheduled_at":"2100-01-01T00:00:00Z"}`, 400, "Can't schedule switchover in the paused state"},
		{"/switchover", `{"leader":"n1"}`, 400, "Switchover is possible only to a specific candidate in a paused state"},
		{"/failover", `{"candidate":"n2"}`, 200, `Successfully failed over to "n2"`},
	}
	for _, c := range cases {
		a := agentLedBy("n1")
		a.now.Cluster.Config.Data = map[string]any{"pause": true}
		a.next = []*health.Snapshot{led("n2", cluster.Failover{})}
		if code, text := request(t, a, http.MethodPost, c.path, c.body); code != c.code || text != c.text {
			t.Errorf("%s %s: got %d %s, want %d %s", c.path, c.body, code, text, c.code, c.text)
		}
	}
}

func TestReload(t *testing.T) {
	a := agentLedBy("n1")
	if code, text := request(t, a, http.MethodPost, "/reload", ""); code != 202 || text != "reload scheduled" || a.reloads != 1 {
		t.Errorf("%d %s, %d reloads", code, text, a.reloads)
	}
}

func TestFailsafeCalls(t *testing.T) {
	call := `{"name":"n2","conn_url":"postgres://n2:5432/postgres","api_url":"http://n2:8008/patroni","slots":{"n1":100663296}}`
	a := agentLedBy("n2")
	if code, _ := request(t, a, http.MethodPost, "/failsafe", call); code != 502 || a.agreed != "" {
		t.Errorf("the mode is off: %d, agreed to %q", code, a.agreed)
	}
	a.now.Settings.FailsafeMode, a.position = true, 0x3000060
	w := httptest.NewRecorder()
	New(a, slog.New(slog.DiscardHandler)).ServeHTTP(w, local(t, http.MethodPost, "/failsafe", call))
	if w.Code != 200 || w.Body.String() != "Accepted" || w.Header().Get("lsn") != "50331744" || a.agreed != "n2" || a.heard["n1"] != 0x6000000 {
		t.Errorf("got %d %q, lsn %q, agreed to %q, heard %v", w.Code, w.Body, w.Header().Get("lsn"), a.agreed, a.heard)
	}
	if code, _ := request(t, a, http.MethodPost, "/failsafe", `{}`); code != 400 {
		t.Errorf("nobody asks: %d", code)
	}
	a.leads = true
	if code, text := request(t, a, http.MethodPost, "/failsafe", call); code != 500 || text != "Running as a leader" {
		t.Errorf("the leader: %d %s", code, text)
	}
}

func TestTheConfigurationIsChanged(t *testing.T) {
	held := map[string]any{"ttl": 30.0, "postgresql": map[string]any{"parameters": map[string]any{"work_mem": "4MB"}}}
	paused := `{"pause": true, "postgresql": {"parameters": {"work_mem": "4MB"}}, "ttl": 30}`
	cases := []struct {
		name, method, body string
		held               map[string]any
		configure          []error
		code               int
		text               string
		writes             int
	}{
		{"pause", "PATCH", `{"pause":true}`, held, nil, 200, paused, 1},
		{"nothing new", "PATCH", `{"ttl":30,"pause":null}`, held, nil, 200, `{"postgresql": {"parameters": {"work_mem": "4MB"}}, "ttl": 30}`, 0},
		{"deep", "PATCH", `{"postgresql":{"parameters":{"work_mem":null,"jit":"off"}}}`, held, nil, 200, `{"postgresql": {"parameters": {"jit": "off"}}, "ttl": 30}`, 1},
		{"no body", "PATCH", ``, held, nil, 411, "the request has no Content-Length: send a JSON object", 0},
		{"empty", "PATCH", `{}`, held, nil, 400, "the body says nothing", 0},
		{"nothing to change", "PATCH", `{"ttl":20}`, nil, nil, 503, "the DCS holds no configuration to change", 0},
		{"overtaken", "PATCH", `{"ttl":20}`, held, []error{kv.ErrConflict}, 409, "the configuration was changed by somebody else meanwhile: look at it and ask again", 1},
		{"silence", "PATCH", `{"ttl":20}`, held, []error{kv.ErrUnavailable}, 503, "the configuration could not be written to the DCS", 1},
		{"replaced", "PUT", `{"ttl":20}`, held, nil, 200, `{"ttl": 20}`, 1},
		{"replaced whatever it is", "PUT", `{"ttl":20}`, nil, []error{kv.ErrConflict, kv.ErrHeld, nil}, 200, `{"ttl": 20}`, 3},
		{"replacement lost", "PUT", `{"ttl":20}`, held, []error{kv.ErrUnavailable}, 502, "the configuration could not be written to the DCS", 1},
		{"replaced by nothing", "PUT", `{}`, held, nil, 400, "the body says nothing", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := agentLedBy("n1")
			a.now.Cluster.Config = cluster.Config{Data: c.held, Version: 3}
			a.configure = c.configure
			code, text := request(t, a, c.method, "/config", c.body)
			if code != c.code || text != c.text || len(a.configured) != c.writes {
				t.Errorf("got %d %s after %d writes, want %d %s after %d", code, text, len(a.configured), c.code, c.text, c.writes)
			}
		})
	}
}

func TestTheLastDecisionIsExplained(t *testing.T) {
	a := agentLedBy("n1")
	if code, text := request(t, a, http.MethodGet, "/debug/ha", ""); code != 503 || text != "nothing was decided yet" {
		t.Errorf("before the first: %d %s", code, text)
	}
	a.decided = &ha.Explanation{Member: "n1", Rule: "leader", Why: "leading"}
	code, text := request(t, a, http.MethodGet, "/debug/ha", "")
	var e ha.Explanation
	if err := json.Unmarshal([]byte(text), &e); err != nil || code != 200 || e.Why != "leading" {
		t.Errorf("the last: %d %s", code, text)
	}
	for _, path := range []string{"/debug/ha/history", "/debug/ha?history"} {
		code, text := request(t, a, http.MethodGet, path, "")
		var changes []ha.Change
		if err := json.Unmarshal([]byte(text), &changes); err != nil || code != 200 || len(changes) != 1 || changes[0].Rule != "leader" {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

func TestReads(t *testing.T) {
	a := agentLedBy("n2")
	code, text := request(t, a, http.MethodGet, "/cluster", "")
	var doc struct{ Leader string }
	if err := json.Unmarshal([]byte(text), &doc); err != nil || code != 200 || doc.Leader != "n2" {
		t.Errorf("%d %s", code, text)
	}
	for _, method := range []string{http.MethodHead, http.MethodOptions} {
		if code, text := request(t, a, method, "/primary", ""); code != 503 || text != "" {
			t.Errorf("%s: %d %q", method, code, text)
		}
	}
	if code, _ := request(t, a, http.MethodDelete, "/primary", ""); code != 501 {
		t.Errorf("DELETE: %d", code)
	}
}

func TestServeStopsWithItsContext(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- New(agentLedBy("n1"), slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/patroni")
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
