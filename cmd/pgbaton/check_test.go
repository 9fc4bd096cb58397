package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
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

// Progress is told after two seconds, from then on at once, and is gone when it is over; where there is no terminal nothing is.
func TestProgressIsToldWhenItTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, pipe bytes.Buffer
		p, silent := newProgress(&out, true, "looking: "), newProgress(&pipe, false, "looking: ")
		for _, what := range []string{"the masters", "1 of 2", "2 of 2"} {
			p.tell(what)
			silent.tell(what)
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
		}
		p.over()
		silent.over()
		if got, want := out.String(), clearLine+"looking: 1 of 2"+clearLine+"looking: 2 of 2"+clearLine; got != want || pipe.Len() > 0 {
			t.Errorf("told %q, want %q; without a terminal %q", got, want, pipe.String())
		}
	})
}

// TestCheckOfACluster runs the check against a master with agents: of one that is as it should be nothing is said to be wrong,
// and each thing that is not as it should be is found.
func TestCheckOfACluster(t *testing.T) {
	agents := func() []mesostest.AgentConfig {
		var list []mesostest.AgentConfig
		for n, name := range []string{"n1", "n2", "n3"} {
			list = append(list, mesostest.AgentConfig{
				Hostname: name, IP: "127.0.0.1", Resources: mesostest.Machine(4, 8192, 100000, 31000, 32000),
				Attributes: []wire.Attribute{{Name: "rack", Type: "TEXT", Text: &wire.ID{Value: string(rune('a' + n))}}},
			})
		}
		return list
	}
	tidy := func() mesostest.Reading {
		return mesostest.Reading{
			Flags:      map[string]string{"authenticate_http_frameworks": "true", "quorum": "2", "registry": "replicated_log", "agent_ping_timeout": "15secs", "max_agent_ping_timeouts": "5"},
			AgentFlags: map[string]string{"containerizers": "docker,mesos", "executor_registration_timeout": "10mins", "recover": "reconnect"},
			Quota:      map[string]map[string]float64{"database": {"cpus": 12}},
			Principal:  "pgbaton", Secret: "hush",
		}
	}
	for name, c := range map[string]struct {
		agents  func([]mesostest.AgentConfig)
		reading func(*mesostest.Reading)
		then    func(*mesostest.Master)
		args    []string
		want    string // a line; empty: nothing is wrong or a risk
		ends    string // what the error says
	}{
		"all is well":            {},
		"no login":               {args: []string{"--mesos-role", "database"}, ends: "401"},
		"no role":                {args: []string{"--mesos-principal", "pgbaton"}, want: "wrong role ", ends: "1 thing"},
		"tasks of root":          {reading: func(r *mesostest.Reading) { r.Flags["root_submissions"] = "false" }, want: "wrong user ", ends: "1 thing"},
		"no quota for anything":  {reading: func(r *mesostest.Reading) { r.Quota["database"]["mem"] = 0 }, want: "wrong quota ", ends: "1 thing"},
		"nothing is kept for it": {reading: func(r *mesostest.Reading) { r.Quota = nil }, want: "risk role "},
		"an old Mesos":           {reading: func(r *mesostest.Reading) { r.Version = "1.3.2" }, want: "wrong master", ends: "things"},
		"no draining":            {reading: func(r *mesostest.Reading) { r.Version = "1.8.0" }, want: "risk master"},
		"no version":             {reading: func(r *mesostest.Reading) { r.Version = "?" }, want: "does not say its version"},
		"a registry in memory":   {reading: func(r *mesostest.Reading) { r.Flags["registry"] = "in_memory" }, want: "risk registry"},
		"one master":             {reading: func(r *mesostest.Reading) { r.Flags["quorum"] = "1" }, want: "risk masters"},
		"no login wanted":        {reading: func(r *mesostest.Reading) { r.Flags["authenticate_http_frameworks"] = "false" }, want: "risk login"},
		"impatient masters":      {reading: func(r *mesostest.Reading) { r.Flags["max_agent_ping_timeouts"] = "1" }, want: "risk agent pings"},
		"no Docker":              {reading: func(r *mesostest.Reading) { r.AgentFlags["containerizers"] = "mesos" }, want: "n1, n2, n3: runs no containers of Docker", ends: "1 thing"},
		"images have no time":    {reading: func(r *mesostest.Reading) { r.AgentFlags["executor_registration_timeout"] = "1mins" }, want: "gives an image 1m to come"},
		"tasks end with agents":  {reading: func(r *mesostest.Reading) { r.AgentFlags["recover"] = "cleanup" }, want: "--recover=cleanup", ends: "1 thing"},
		"no disk":                {agents: disks(func(wire.Resource) []wire.Resource { return nil }), want: "wrong disk", ends: "thing"},
		"only disks of their own": {agents: disks(func(r wire.Resource) []wire.Resource {
			r.Disk = &wire.Disk{Source: &wire.DiskSource{Type: "MOUNT"}}
			return []wire.Resource{r}
		}), want: "risk disk"},
		"parts of disks": {agents: disks(func(r wire.Resource) []wire.Resource {
			part := r
			part.Disk = &wire.Disk{Source: &wire.DiskSource{Type: "PATH"}}
			return []wire.Resource{r, part}
		}), want: "of type PATH"},
		"reserved for all of a role": {agents: disks(func(r wire.Resource) []wire.Resource {
			kept := r
			kept.Reservations = []wire.Reservation{{Type: "STATIC", Role: "database"}}
			return []wire.Resource{r, kept}
		}), want: "keeps resources for database"},
		"everything is reserved": {agents: disks(func(r wire.Resource) []wire.Resource {
			r.Reservations = []wire.Reservation{{Type: "DYNAMIC", Role: "database"}}
			return []wire.Resource{r}
		}), want: "wrong disk", ends: "1 thing"},
		"an agent is drained":       {then: func(m *mesostest.Master) { m.Drain("n2") }, want: "agent n2"},
		"agents have not come back": {then: func(m *mesostest.Master) { m.Failover(time.Hour) }, want: "n1, n2, n3", ends: "thing"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, reading := mesostest.Config{Agents: agents()}, tidy()
			if c.agents != nil {
				c.agents(cfg.Agents)
			}
			if c.reading != nil {
				c.reading(&reading)
			}
			m := mesostest.New(t, cfg)
			if c.then != nil {
				c.then(m)
			}
			args := c.args
			if args == nil {
				args = []string{"--mesos-role", "database", "--mesos-principal", "pgbaton"}
			}
			if slices.Contains(args, "--mesos-principal") {
				args = append(args, "--mesos-secret-file", file(t, "secret", "hush\n"))
			}
			p, err := schedulerArgs(t, nil, append(args, "--driver", "mesos", "--check", "--master", "http://"+m.Operators(t, reading))...)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err = p.checkMesos(t.Context(), &out)
			if ended := fmt.Sprint(err); (c.ends == "") != (err == nil) || !strings.Contains(ended, c.ends) && err != nil {
				t.Errorf("it ends with %v, want %q\n%s", err, c.ends, out.String())
			}
			lines := regexp.MustCompile(" +").ReplaceAllString(out.String(), " ") // it is a table
			doubts := strings.Contains(lines, "wrong ") || strings.Contains(lines, "risk ")
			if c.want == "" && c.ends == "" && doubts || !strings.Contains(lines, c.want) {
				t.Errorf("it prints\n%swithout %q", out.String(), c.want)
			}
		})
	}
}

// disks replaces the disk of each agent.
func disks(by func(wire.Resource) []wire.Resource) func([]mesostest.AgentConfig) {
	return func(agents []mesostest.AgentConfig) {
		for n, a := range agents {
			i := slices.IndexFunc(a.Resources, func(r wire.Resource) bool { return r.Name == "disk" })
			agents[n].Resources = slices.Concat(a.Resources[:i], by(a.Resources[i]), a.Resources[i+1:])
		}
	}
}
