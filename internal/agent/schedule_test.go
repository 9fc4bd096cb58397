package agent_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/api"
)

// send asks the host's agent through its REST API.
func (h *host) send(method, path, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(h.lab.t.Context())
	r.RemoteAddr = "127.0.0.1:40000"
	w := httptest.NewRecorder()
	api.New(h.life.agent, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// restartIn asks for a restart after a while, with conditions.
func (h *host) restartIn(after time.Duration, conditions string) (int, string) {
	at := time.Now().Add(after).Format(time.RFC3339Nano)
	return h.post("/restart", `{"schedule":"`+at+`"`+conditions+`}`)
}

// announces reports whether the member document and GET /patroni tell of a scheduled restart.
func (h *host) announces() (document, status bool) {
	m, _ := h.lab.picture().Member(h.member)
	_, text := h.send(http.MethodGet, "/patroni", "")
	return m.Restart != nil, strings.Contains(text, `"scheduled_restart": {"schedule": `)
}

func TestAScheduledRestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2")
		replica := b.followers()[0]
		time.Sleep(5 * time.Second)
		due, incarnation := time.Now().Add(33*time.Second), replica.see().incarnation
		if code, text := replica.restartIn(33*time.Second, ""); code != http.StatusAccepted || text != "Restart scheduled" {
			t.Fatalf("the answer is %d %s", code, text)
		}
		if code, _ := replica.restartIn(time.Minute, ""); code != http.StatusConflict {
			t.Errorf("a second one: %d", code)
		}
		b.await(time.Second, "it is announced", func() bool {
			document, status := replica.announces()
			return document && status
		})
		b.await(time.Minute, "the server is restarted", func() bool { return replica.see().incarnation != incarnation })
		if late := time.Since(due); late < 0 || late > 100*time.Millisecond {
			t.Errorf("it was restarted %v after it was due", late)
		}
		b.await(2*time.Second, "it streams again and announces nothing", func() bool {
			document, status := replica.announces()
			return b.healthy() && !document && !status
		})
		time.Sleep(time.Minute)
		if n := replica.see().incarnation - incarnation; n != 2 {
			t.Errorf("%d ends and starts, want 2: the server was restarted not exactly once", n)
		}
	})
}

// What becomes of a scheduled restart before its time: in each case the server is not restarted by it.
func TestAScheduledRestartThatIsNotMeantAnyMore(t *testing.T) {
	for name, happens := range map[string]func(t *testing.T, h *host){
		"deleted": func(t *testing.T, h *host) {
			if code, text := h.send(http.MethodDelete, "/restart", ""); code != http.StatusOK || text != "scheduled restart deleted" {
				t.Errorf("the answer is %d %s", code, text)
			}
		},
		"the server was restarted": func(t *testing.T, h *host) {
			if code, text := h.post("/restart", ""); code != http.StatusOK {
				t.Errorf("the answer is %d %s", code, text)
			}
		},
		"the server crashed": func(_ *testing.T, h *host) { h.crash() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				b.start("n1", "n2")
				replica := b.followers()[0]
				time.Sleep(5 * time.Second)
				if code, text := replica.restartIn(40*time.Second, ""); code != http.StatusAccepted {
					t.Fatalf("the answer is %d %s", code, text)
				}
				time.Sleep(time.Second)
				happens(t, replica)
				b.await(10*time.Second, "it streams and announces nothing", func() bool {
					document, status := replica.announces()
					return b.healthy() && !document && !status
				})
				incarnation := replica.see().incarnation
				time.Sleep(time.Minute)
				if replica.see().incarnation != incarnation {
					t.Error("the server was restarted all the same")
				}
			})
		})
	}
}

func TestTheConditionsOfARestart(t *testing.T) {
	cases := []struct {
		conditions string
		restarted  bool
	}{
		{`,"role":"replica"`, true},
		{`,"role":"primary"`, false},
		{`,"postgres_version":"15.5"`, true},
		{`,"postgres_version":"15.4"`, false},
		{`,"restart_pending":true`, false},
	}
	for _, c := range cases {
		t.Run(c.conditions, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				b.start("n1", "n2")
				replica := b.followers()[0]
				time.Sleep(5 * time.Second)
				incarnation := replica.see().incarnation
				if code, text := replica.restartIn(10*time.Second, c.conditions); code != http.StatusAccepted {
					t.Fatalf("the answer is %d %s", code, text)
				}
				time.Sleep(20 * time.Second)
				if restarted := replica.see().incarnation != incarnation; restarted != c.restarted {
					t.Errorf("at its time it was restarted: %v, want %v", restarted, c.restarted)
				}
				incarnation = replica.see().incarnation
				code, text := replica.post("/restart", "{"+c.conditions[1:]+"}")
				if granted := code == http.StatusOK; granted != c.restarted {
					t.Errorf("at once: the answer is %d %s", code, text)
				}
				if restarted := replica.see().incarnation != incarnation; restarted != c.restarted {
					t.Errorf("at once it was restarted: %v, want %v", restarted, c.restarted)
				}
			})
		})
	}
}
