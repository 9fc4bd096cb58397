package agent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// explain asks the host's agent for its last decision.
func (h *host) explain() ha.Explanation {
	h.lab.t.Helper()
	code, text := h.send(http.MethodGet, "/debug/ha", "")
	var e ha.Explanation
	if err := json.Unmarshal([]byte(text), &e); err != nil || code != http.StatusOK {
		h.lab.t.Fatalf("%d %s: %v", code, text, err)
	}
	return e
}

// changes asks the host's agent for its last changes.
func (h *host) changes() []ha.Change {
	h.lab.t.Helper()
	code, text := h.send(http.MethodGet, "/debug/ha/history", "")
	var all []ha.Change
	if err := json.Unmarshal([]byte(text), &all); err != nil || code != http.StatusOK {
		h.lab.t.Fatalf("%d %s: %v", code, text, err)
	}
	return all
}

// An operator asks why nobody is promoted, and what happened meanwhile. The long wait, in which the members ask each
// other again and again, leaves a few lines, not hundreds.
func TestWhyNobodyIsPromoted(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		replicas := b.followers()
		for _, h := range replicas {
			if e := h.explain(); e.Rule != "replica" || len(e.Standing) == 0 {
				t.Errorf("%s: rule %s, standing %v", h.name, e.Rule, e.Standing)
			}
		}
		// The leader wrote that much which nobody received, and is gone.
		b.put("status", fmt.Sprintf(`{"optime":%d}`, leader.see().end+5<<20))
		leader.lose()
		time.Sleep(10 * time.Minute)
		if b.holder() != "" {
			t.Fatalf("%s leads", b.holder())
		}
		for _, h := range replicas {
			e := h.explain()
			if e.Rule != "race" || !slices.ContainsFunc(e.Checks, func(c ha.Check) bool { return c.Rule == "lag" && !c.OK }) {
				t.Errorf("%s: rule %s, %s, weighed %v", h.name, e.Rule, e.Why, e.Checks)
			}
			h.hasShortHistory(t)
		}
	})
}

func (h *host) hasShortHistory(t *testing.T) {
	t.Helper()
	all, most := h.changes(), 0
	for i, c := range all {
		most = max(most, c.Times)
		if i > 0 && c.Time.Before(all[i-1].Time) || c.Rule == "" || c.Why == "" || c.Last.Before(c.Time) {
			t.Errorf("%s: change %d is %+v", h.name, i, c)
		}
	}
	if len(all) < 5 || len(all) > 30 || most < 100 {
		t.Errorf("%s kept %d changes, one of them seen %d times", h.name, len(all), most)
	}
}

func TestAnExplanationSaysNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2")
		for _, h := range b.all() {
			if _, text := h.send(http.MethodGet, "/debug/ha", ""); strings.Contains(text, "postgres://") {
				t.Errorf("%s shows a connection string", h.name)
			}
		}
	})
}
