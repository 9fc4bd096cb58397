package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// FuzzRequest asks whatever comes to mind. Every answer has a code that exists, a body of the length that was announced, and
// no request is answered twice.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "/replica", "lag=16MB&tag_zone=a&replication_state=streaming", ""},
		{"GET", "/readiness", "lag=-1e300&mode=write", ""},
		{"GET", "/metrics", "", ""},
		{"GET", "/cluster", "", ""},
		{"GET", "/debug/ha", "history", ""},
		{"HEAD", "//patroni/x", "fresh", ""},
		{"OPTIONS", "*", "", ""},
		{"PATCH", "/config", "", `{"ttl": 1e400, "a": {"b": [null, {}]}}`},
		{"PUT", "/config", "", `{"\ud800": "\u0000"}`},
		{"POST", "/restart", "", `{"timeout": "9999999999999d", "role": {}, "schedule": [], "postgres_version": "1.2.3"}`},
		{"POST", "/switchover", "", `{"leader": "n1", "scheduled_at": {"a": []}}`},
		{"POST", "/failover", "", `{"candidate": "n2", "leader": 5}`},
		{"POST", "/failsafe", "", `{"name": "n2", "slots": {"a": -1, "b": 1e300, "c": "x"}}`},
		{"POST", "/reinitialize", "", `{"force": "on", "from_leader": [1]}`},
		{"POST", "/mpp", "", `{"type": 1}`},
		{"DELETE", "/switchover", "", ""},
		{"BREW", "/coffee", "%zz;&=", "\xff"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		a := agentLedBy("n1")
		a.now.Settings.FailsafeMode = true
		a.now.Tags = cluster.Tags{"zone": "a", "rank": 3.5, "list": []any{"x"}, "null": nil}
		a.now.Server.Replayed, a.now.Cluster.Status.Optime = wal.LSN(1), ^wal.LSN(0)
		a.now.Cluster.Config.Data = map[string]any{"ttl": 30.0}
		a.peers = map[string]ha.Peer{} // no switchover begins, which would be waited for
		r := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, RemoteAddr: "127.0.0.1:40000", Header: http.Header{"Content-Length": {"given"}},
			ContentLength: int64(len(body)), Body: http.NoBody,
		}
		if body != "" {
			r.Body = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).Body
		}
		a.manual = errUnwanted
		began := time.Now()
		w := httptest.NewRecorder()
		New(a, quiet()).ServeHTTP(w, r.WithContext(t.Context()))
		if http.StatusText(w.Code) == "" {
			t.Errorf("the code %d", w.Code)
		}
		if announced := w.Header().Get("Content-Length"); announced != "" && announced != lengthOf(w) {
			t.Errorf("%s bytes are announced, %s are sent", announced, lengthOf(w))
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

var errUnwanted = errors.New("not here")

func lengthOf(w *httptest.ResponseRecorder) string { return strconv.Itoa(w.Body.Len()) }
