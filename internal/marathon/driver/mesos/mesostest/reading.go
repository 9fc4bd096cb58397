package mesostest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// Reading is what operators are told who look at the cluster.
type Reading struct {
	Version string // 1.12.0 by default
	// Flags of the master, and of all agents.
	Flags, AgentFlags map[string]string
	Quota             map[string]map[string]float64 // of roles, by the name of the resource
	// Principal and Secret are what operators have to log in with; empty: nobody has to.
	Principal, Secret string
}

// Operators serves the operator API of the master and of each agent, as far as reading goes, until the test ends. It returns
// where the master's is. What it tells of agents is what they are at that moment.
func (m *Master) Operators(t *testing.T, r Reading) string {
	t.Helper()
	if r.Version == "" {
		r.Version = "1.12.0"
	}
	pids := map[*agent]string{}
	m.mu.Lock()
	for _, a := range m.agents {
		own := httptest.NewServer(r.server(func(call string) any {
			if call == "GET_FLAGS" {
				return flags(r.AgentFlags)
			}
			return nil
		}))
		t.Cleanup(own.Close)
		pids[a] = "slave(1)@" + strings.TrimPrefix(own.URL, "http://")
	}
	m.mu.Unlock()
	server := httptest.NewServer(r.server(func(call string) any {
		switch call {
		case "GET_AGENTS":
			return m.readAgents(r, pids)
		case "GET_VERSION":
			return map[string]any{"get_version": map[string]any{"version_info": map[string]string{"version": r.Version}}}
		case "GET_FLAGS":
			return flags(r.Flags)
		case "GET_QUOTA":
			return r.quota()
		}
		return nil
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// server answers calls that read; answer is nil for one that is not known.
func (r Reading) server(answer func(call string) any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); r.Principal != "" && (user != r.Principal || password != r.Secret) {
			w.Header().Set("WWW-Authenticate", `Basic realm="mesos-master-readwrite"`)
			plain(w, http.StatusUnauthorized, "401 Unauthorized.")
			return
		}
		var call struct{ Type string }
		if req.URL.Path != "/api/v1" || json.NewDecoder(req.Body).Decode(&call) != nil {
			plain(w, http.StatusNotFound, "404 Not Found.")
			return
		}
		text, err := json.Marshal(answer(call.Type))
		if err != nil || string(text) == "null" {
			plain(w, http.StatusNotImplemented, "not played")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})
}

func flags(all map[string]string) any {
	list := []map[string]string{}
	for name, value := range all {
		list = append(list, map[string]string{"name": name, "value": value})
	}
	return map[string]any{"get_flags": map[string]any{"flags": list}}
}

func (r Reading) quota() any {
	configs := []any{}
	for role, limits := range r.Quota {
		values := map[string]any{}
		for name, value := range limits {
			values[name] = map[string]float64{"value": value}
		}
		configs = append(configs, map[string]any{"role": role, "limits": values})
	}
	return map[string]any{"get_quota": map[string]any{"status": map[string]any{"configs": configs}}}
}

// readAgents are the agents as they are recorded: one out of reach is missing, a drained one is deactivated, and those that
// have not come back to a new master are apart.
func (m *Master) readAgents(r Reading, pids map[*agent]string) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	agents, recovered := []any{}, []any{}
	for _, a := range m.agents {
		info := map[string]any{
			"id": wire.ID{Value: a.id}, "hostname": a.cfg.Hostname, "resources": a.cfg.Resources, "attributes": a.cfg.Attributes,
			"domain": a.domain(), "checkpoint": true,
		}
		switch {
		case a.cut:
		case a.away:
			recovered = append(recovered, info)
		default:
			agents = append(agents, map[string]any{
				"agent_info": info, "active": !a.draining, "deactivated": a.draining, "version": r.Version, "pid": pids[a],
				"total_resources": wire.Add(nil, wire.Allocated(a.all(), "")...), "capabilities": capabilities(),
			})
		}
	}
	return map[string]any{"get_agents": map[string]any{"agents": agents, "recovered_agents": recovered}}
}

// capabilities are those of the agents that were recorded.
func capabilities() []wire.Capability {
	var list []wire.Capability
	for _, name := range []string{
		"MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "RESOURCE_PROVIDER", "RESIZE_VOLUME", "AGENT_OPERATION_FEEDBACK", "AGENT_DRAINING",
		"TASK_RESOURCE_LIMITS",
	} {
		list = append(list, wire.Capability{Type: name})
	}
	return list
}
