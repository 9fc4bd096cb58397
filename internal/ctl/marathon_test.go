package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// testMarathon is a scheduler that answers what it was told to.
type testMarathon struct {
	*httptest.Server

	mu      sync.Mutex
	answers map[string]answered
	asked   []string
}

type answered struct {
	code int
	body string
}

func newTestMarathon(t *testing.T) *testMarathon {
	t.Helper()
	m := &testMarathon{answers: map[string]answered{}}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

// ServeHTTP answers by method and path, without regard to parameters.
func (m *testMarathon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Method != http.MethodGet {
		m.asked = append(m.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, bytes.TrimSpace(body))))
	}
	a, known := m.answers[r.Method+" "+r.URL.Path]
	if id, one := strings.CutPrefix(r.URL.Path, "/pg/v1/clusters/"); one && !known {
		a, known = m.cluster("/" + id)
	}
	if !known {
		a = answered{http.StatusNotFound, `{"message":"` + r.URL.Path + ` is not served here"}`}
	}
	if strings.HasPrefix(a.body, "event:") {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	w.WriteHeader(a.code)
	io.WriteString(w, a.body)
}

// cluster is the answer about one of the clusters that it was told of.
func (m *testMarathon) cluster(id string) (answered, bool) {
	var body struct{ Clusters []json.RawMessage }
	if json.Unmarshal([]byte(m.answers["GET /pg/v1/clusters"].body), &body) != nil {
		return answered{}, false
	}
	for _, c := range body.Clusters {
		var head struct{ App string }
		if json.Unmarshal(c, &head) == nil && head.App == id {
			return answered{http.StatusOK, string(c)}, true
		}
	}
	return answered{}, false
}

// learn reads "METHOD PATH CODE" and a body below.
func (m *testMarathon) learn(t *testing.T, text string) string {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n")
	parts := strings.Fields(head)
	if len(parts) != 3 {
		t.Fatalf("%q is not METHOD PATH CODE", head)
	}
	code, err := strconv.Atoi(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[parts[0]+" "+parts[1]] = answered{code, body}
	return ""
}

// changes are the requests to change something since the last time.
func (m *testMarathon) changes() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := strings.Join(m.asked, "\n") + "\n"
	m.asked = nil
	return text
}

// hide writes the scheduler's address as one that does not change.
func (m *testMarathon) hide(text string) string {
	return strings.ReplaceAll(text, m.URL, "http://scheduler:8080")
}

// TestWhereTheSchedulerIs says: the option wins over the environment, that over what runs beside, and a login is never part of
// an address that is shown.
func TestWhereTheSchedulerIs(t *testing.T) {
	beside := func() map[string]string { return map[string]string{"MARATHON_URL": "http://beside:8080"} }
	for _, test := range []struct {
		name, option string
		vars         map[string]string
		want         []string
		login        string
		wrong        string
	}{
		{name: "beside", want: []string{"http://beside:8080"}},
		{name: "environment", vars: map[string]string{"MARATHON_URL": "http://env:1/"}, want: []string{"http://env:1"}},
		{name: "our own variable first", vars: map[string]string{"MARATHON_URL": "http://env:1", "PGBATON_MARATHON": "own:2"}, want: []string{"http://own:2"}},
		{name: "option", option: "http://a:1, https://b:2", vars: map[string]string{"MARATHON_URL": "http://env:1"}, want: []string{"http://a:1", "https://b:2"}},
		{name: "login in the address", option: "http://me:hush@a:1", want: []string{"http://a:1"}, login: "me hush"},
		{name: "login of the environment", option: "a:1", vars: map[string]string{"PGBATON_HTTP_CREDENTIALS": "me:hu:sh"}, want: []string{"http://a:1"}, login: "me hu:sh"},
		{name: "nonsense", option: "ftp://a", wrong: `"ftp://a" is no address of a scheduler such as http://127.0.0.1:8080`},
	} {
		tool := &tool{env: Env{Vars: test.vars, Beside: beside}}
		m, err := tool.marathon(test.option)
		if err != nil {
			if err.Error() != test.wrong {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if !slices.Equal(m.addresses, test.want) || strings.TrimSpace(m.user+" "+m.password.Reveal()) != test.login {
			t.Errorf("%s: %v %s %s, want %v %s", test.name, m.addresses, m.user, m.password.Reveal(), test.want, test.login)
		}
	}
}

// TestTheNextScheduler says: one that cannot be reached is passed over, and nothing is sent twice to one that can.
func TestTheNextScheduler(t *testing.T) {
	m := newTestMarathon(t)
	m.learn(t, "POST /v2/apps/web/restart 200\n{}")
	var out bytes.Buffer
	env := testEnv(&out, nil, "")
	if err := runIn(t, env, "app", "restart", "/web", "--no-wait", "--marathon", "http://127.0.0.1:1,"+m.URL); err != nil {
		t.Fatal(err)
	}
	if got := m.changes(); got != "POST /v2/apps/web/restart\n" {
		t.Errorf("it was asked %q", got)
	}
}
