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
	New(a, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
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
		{"no candidate", "/failover", `{}`, nil, 400, "Failover could be performed only to a specific candidate"},
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
		{"not there", "/switchovr", `{}`, nil, 501, "Unsupported request /switchovr"},
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
	if code, _ := request(t, a, http.MethodPost, "/restart", `{"schedule":"2100-01-01T00:00:00Z"}`); code != 400 {
		t.Errorf("a filter that is not there: %d", code)
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
