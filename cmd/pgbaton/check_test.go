package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCheckOfMesos ends with an error where something would not work, needs no etcd, and prints what was found.
func TestCheckOfMesos(t *testing.T) {
	master := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"get_agents":{"agents":[]},"get_version":{"version_info":{"version":"1.11.0"}}}`))
	}))
	t.Cleanup(master.Close)
	p, err := schedulerArgs(t, nil, "--driver", "mesos", "--master", master.URL, "--check", "--mesos-role", "database")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = p.checkMesos(t.Context(), &out)
	if err == nil || !strings.Contains(err.Error(), "1 thing would not work") {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"wrong  agents ", "none is active", "Mesos 1.11.0", "ok "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if _, err := schedulerArgs(t, nil, "--check"); err == nil || !strings.Contains(err.Error(), "--check belongs to the mesos driver") {
		t.Errorf("without a driver: %v", err)
	}
}
