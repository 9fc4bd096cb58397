package survey_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/survey"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// master answers the calls of an operator with what a real one has answered.
func master(t *testing.T, change func(call, text string) string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct{ Type string }
		if user, password, _ := r.BasicAuth(); user != "pg" || password != "hush" {
			http.Error(w, "401 Unauthorized.", http.StatusUnauthorized)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil || r.URL.Path != "/api/v1" {
			http.Error(w, "bad call", http.StatusBadRequest)
			return
		}
		text, err := os.ReadFile(filepath.Join("testdata", filepath.Base(call.Type)+".json"))
		if err != nil {
			http.Error(w, "unknown call", http.StatusBadRequest)
			return
		}
		answer := change(call.Type, string(text))
		if answer == "" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	return s
}

func address(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func same(_, text string) string { return text }

func look(t *testing.T, s *httptest.Server, w survey.Wanted) string {
	t.Helper()
	c, err := survey.Look(t.Context(), survey.Config{Masters: []string{address(s)}, Principal: "pg", Secret: secret.Text("hush")})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range c.Judge(w) {
		lines = append(lines, string(f.Level)+" "+f.What+": "+f.Found)
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), address(s), "M")
}

// wanted is a scheduler that fits the recorded cluster, but for what that lacks.
func wanted() survey.Wanted { return survey.Wanted{Role: "web", Principal: "pg"} }

func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !slices.ContainsFunc(strings.Split(text, "\n"), func(got string) bool { return strings.HasPrefix(got, line) }) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

// What a real master has said of itself and its agents is understood.
func TestARealCluster(t *testing.T) {
	text := look(t, master(t, same), wanted())
	has(t, text,
		"ok master M: Mesos 1.12.0", "risk masters: there is one", "ok agent pings: an agent is out of reach after 1m15s",
		"risk login: the masters ask frameworks for none", "ok quota: role web has one", "risk agents: 2 active",
		"ok agent 127.0.0.1: 20000 MiB for volumes, ports 31000-31999", "risk 2 agents: 127.0.0.1, 127.0.0.2: did not tell its flags",
	)
	if strings.Contains(text, "wrong ") {
		t.Error(text)
	}
}

// Everything that would not work is named.
func TestWhatWouldNotWork(t *testing.T) {
	replaced := func(old, other string) func(string, string) string {
		return func(_, text string) string { return strings.ReplaceAll(text, old, other) }
	}
	for name, c := range map[string]struct {
		change func(call, text string) string
		wanted survey.Wanted
		line   string
	}{
		"no role":          {same, survey.Wanted{Principal: "pg"}, "wrong role: nothing can be reserved"},
		"a login":          {replaced(`"authenticate_http_frameworks","value":"false"`, `"authenticate_http_frameworks","value":"true"`), survey.Wanted{Role: "web"}, "wrong login"},
		"root":             {replaced(`"root_submissions","value":"true"`, `"root_submissions","value":"false"`), wanted(), "wrong user"},
		"old":              {replaced("1.12.0", "1.3.2"), wanted(), "wrong master M: Mesos 1.3.2"},
		"impatient":        {replaced("15secs", "2secs"), wanted(), "risk agent pings: an agent is out of reach after 10s"},
		"no agents":        {replaced(`"active":true`, `"active":false`), wanted(), "wrong agents: none is active"},
		"no checkpoints":   {replaced(`"checkpoint":true`, `"checkpoint":false`), wanted(), "wrong 2 agents: 127.0.0.1, 127.0.0.2: does not checkpoint"},
		"no refinement":    {replaced("RESERVATION_REFINEMENT", "X"), wanted(), "wrong 2 agents: 127.0.0.1, 127.0.0.2: knows no refined"},
		"no ports":         {replaced(`"name":"ports"`, `"name":"doors"`), wanted(), "wrong 2 agents: 127.0.0.1, 127.0.0.2: offers no ports"},
		"no disk":          {replaced(`"name":"disk"`, `"name":"tape"`), wanted(), "wrong disk"},
		"one name":         {replaced(`"hostname":"127.0.0.2"`, `"hostname":"127.0.0.1"`), wanted(), "wrong agents: two call themselves 127.0.0.1"},
		"nowhere":          {replaced(`"attributes"`, `"others"`), wanted(), "risk constraints"},
		"a role without":   {same, survey.Wanted{Role: "db", Principal: "pg"}, "risk role: for db nothing is reserved"},
		"a quota of none":  {replaced(`"mem":{"value":2048.0}`, `"mem":{"value":0}`), wanted(), "wrong quota: role web may use no mem"},
		"flags are hidden": {func(call, text string) string { return map[bool]string{false: text}[call == "GET_FLAGS"] }, wanted(), "risk master: would not tell its flags: 403"},
	} {
		t.Run(name, func(t *testing.T) { has(t, look(t, master(t, c.change), c.wanted), c.line) })
	}
}

// An agent is asked for what only it knows.
func TestAgentsAreAsked(t *testing.T) {
	agent := master(t, func(call, _ string) string {
		if call != "GET_FLAGS" {
			return ""
		}
		return `{"type":"GET_FLAGS","get_flags":{"flags":[{"name":"containerizers","value":"docker,mesos"},{"name":"executor_registration_timeout","value":"1mins"},{"name":"recover","value":"cleanup"}]}}`
	})
	m := master(t, func(_, text string) string {
		return strings.ReplaceAll(text, "slave(1)@127.0.0.1:1", "slave(1)@"+address(agent))
	})
	has(t, look(t, m, wanted()), "wrong 2 agents: 127.0.0.1, 127.0.0.2: ends its tasks", "risk 2 agents: 127.0.0.1, 127.0.0.2: gives an image 1m to come")
}

// A master that does not lead names the one that does, without a scheme and below its own path.
func TestTheLeaderIsFollowed(t *testing.T) {
	leader := master(t, same)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "//"+address(leader)+"/master/api/v1")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(other.Close)
	c, err := survey.Look(t.Context(), survey.Config{Masters: []string{"127.0.0.1:1", address(other)}, Principal: "pg", Secret: "hush"})
	if err != nil || c.Master != address(leader) || len(c.Agents) != 2 {
		t.Errorf("%s %d %v", c.Master, len(c.Agents), err)
	}
	if _, err = survey.Look(t.Context(), survey.Config{Masters: []string{address(leader)}, Principal: "pg", Secret: "wrong"}); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong login: %v", err)
	}
}
