package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSchedulerTakesOver runs two schedulers on one etcd and kills whichever leads in the middle of a restart of all members,
// and of a change of their number, while a client writes: the other one finishes, with never more than one member down, and no
// row lost.
func TestSchedulerTakesOver(t *testing.T) {
	s := newSchedulers(t)
	direct := s.direct()
	writer, err := StartWriter(s.ctx, direct)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Stop()
	attendance, err := StartAttendance(s.ctx, Seats(s.layout.Hosts), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer attendance.Stop()
	for _, c := range []struct {
		method, path, body string
		instances          int
	}{
		{http.MethodPost, AppPath + "/restart", "", 3},
		{http.MethodPatch, AppPath, `{"instances": 5}`, 5},
		{http.MethodPatch, AppPath, `{"instances": 3}`, 3},
	} {
		if err := writer.Written(s.ctx); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := attendance.Require(s.ctx, 3); err != nil {
			t.Fatal(err)
		}
		changed := attendance.Changed()
		leader := s.ask(c.method, c.path, c.body)
		select {
		case <-changed:
		case <-s.ctx.Done():
			t.Fatal("no server came or went")
		}
		s.kill(leader)
		s.settled(c.instances)
		down, samples := attendance.Down()
		outage := writer.Outage(began).Length()
		t.Logf("%s %s %s: %s was killed, settled after %.1f s, no write for %d ms, %d down at most (%d samples)",
			c.method, c.path, c.body, leader, time.Since(began).Seconds(), outage.Milliseconds(), down, samples)
		if outage > planned || down > 1 {
			t.Errorf("%s %s: no write for %s, %d down at once", c.method, c.path, outage, down)
		}
		if lost, err := writer.Audit(s.ctx, nil); err != nil || lost > 0 {
			t.Fatalf("%d rows lost: %v", lost, err)
		}
		s.start(leader)
	}
}

// schedulers are two that share an etcd, a state directory and hosts. The members are their tasks.
type schedulers struct {
	*Agents

	t       *testing.T
	ctx     context.Context //nolint:containedctx // it is the test's
	running map[string]*child
}

// schedulerAt is where a scheduler listens.
func schedulerAt(a *Agents, name string) string {
	return address(a.network, map[string]int{"one": 2, "two": 3}[name], 8080)
}

func newSchedulers(t *testing.T) *schedulers {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	s := &schedulers{Agents: agents(t, AgentsConfig{}), t: t, ctx: ctx, running: map[string]*child{}}
	var hosts strings.Builder
	hosts.WriteString("hosts:\n")
	for _, h := range s.layout.Hosts {
		fmt.Fprintf(&hosts, "- {name: %s, address: %s, cpus: 4, mem: 8192, disk: 50000, ports: [31000-32000, 5432, 8008]}\n", h.Name, h.Address)
	}
	file := filepath.Join(s.Dir(), "hosts.yml")
	if err := errors.Join(os.WriteFile(file, []byte(hosts.String()), 0o600), s.give(file), s.makeFolder(filepath.Join(s.Dir(), "state"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for name := range s.running {
			if t.Failed() {
				t.Logf("what scheduler %s printed last:\n%s", name, s.Output(name, 30))
			}
		}
	})
	s.start("one")
	s.start("two")
	s.ask(http.MethodPost, "/v2/apps", s.app())
	s.settled(appInstances)
	return s
}

// app is the app of the examples, in quorum mode and with this etcd.
func (s *schedulers) app() string {
	text, err := os.ReadFile(filepath.Join(source, appFile))
	if err != nil {
		s.t.Fatal(err)
	}
	var definition map[string]any
	if err := json.Unmarshal(text, &definition); err != nil {
		s.t.Fatal(err)
	}
	env, ok := definition["env"].(map[string]any)
	if !ok {
		s.t.Fatal("the app has no environment")
	}
	env["PATRONI_DCS_ETCD_HOSTS"] = strings.Join(s.layout.EtcdEndpoints(), ",")
	delete(definition, "healthChecks") // what is waited for shows otherwise, and sooner
	all, err := json.Marshal(definition)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(all)
}

func (s *schedulers) start(name string) {
	s.t.Helper()
	at := schedulerAt(s.Agents, name)
	c, err := s.run(name, []string{"PATRONI_SUPERUSER_PASSWORD=" + agentsPassword, "PATRONI_REPLICATION_PASSWORD=" + agentsPassword},
		"scheduler", "--dcs", strings.Join(s.layout.EtcdEndpoints(), ","), "--listen", at, "--state-dir", filepath.Join(s.Dir(), "state"),
		"--hosts", filepath.Join(s.Dir(), "hosts.yml"), "--task-env", "PATRONI_SUPERUSER_PASSWORD", "--task-env", "PATRONI_REPLICATION_PASSWORD")
	if err != nil {
		s.t.Fatal(err)
	}
	s.running[name] = c
}

func (s *schedulers) kill(name string) {
	s.t.Helper()
	if err := s.running[name].kill(); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request to the one that leads, as soon as one does, and returns its name.
func (s *schedulers) ask(method, path, body string) (leader string) {
	s.t.Helper()
	s.inTime(func(ctx context.Context) error {
		for name := range s.running {
			_, text, err := sendTo(ctx, s.http, http.MethodGet, "http://"+schedulerAt(s.Agents, name)+"/v2/leader", "")
			var told struct{ Leader string }
			if err == nil && json.Unmarshal([]byte(text), &told) == nil && told.Leader == schedulerAt(s.Agents, name) {
				leader = name
				return nil
			}
		}
		return errors.New("no scheduler leads")
	})
	code, text, err := sendTo(s.ctx, s.http, method, "http://"+schedulerAt(s.Agents, leader)+path, body)
	if err != nil || code/100 != 2 {
		s.t.Fatalf("%s %s: %v %d %s", method, path, err, code, text)
	}
	return leader
}

// settled waits until one that lives says that nothing is under way, and a leader has so many standbys, all of them promised.
func (s *schedulers) settled(instances int) {
	s.t.Helper()
	s.inTime(func(ctx context.Context) error {
		for name, c := range s.running {
			if !c.lives() {
				continue
			}
			code, text, err := sendTo(ctx, s.http, http.MethodGet, "http://"+schedulerAt(s.Agents, name)+"/v2/deployments", "")
			if err != nil || code != http.StatusOK || strings.TrimSpace(text) != "[]" {
				return errors.Join(err, fmt.Errorf("deployments of %s: %d %s", name, code, text))
			}
		}
		leader, err := s.Document(ctx, "leader")
		if err != nil || leader == "" {
			return errors.Join(err, errors.New("nobody leads"))
		}
		for _, h := range s.layout.Hosts {
			if leader != "patroni-"+h.Name {
				continue
			}
			_, text, err := sendTo(ctx, s.http, http.MethodGet, api(h.Address.String())+"/cluster", "")
			if streaming := strings.Count(text, `"streaming"`); err != nil || streaming != instances-1 {
				return errors.Join(err, fmt.Errorf("%d of %d stream", streaming, instances-1))
			}
			return s.inQuorum(ctx, api(h.Address.String()), instances-1)
		}
		return errors.New(leader + " is nobody")
	})
}

// inQuorum turns quorum mode on, and says why not so many standbys count for its promise yet.
func (s *schedulers) inQuorum(ctx context.Context, leader string, voters int) error {
	text, err := s.Document(ctx, "sync")
	if err != nil {
		return err
	}
	var promise struct {
		Standby string `json:"sync_standby"`
	}
	if err := json.Unmarshal([]byte(text), &promise); err == nil && len(strings.Split(promise.Standby, ",")) == voters && promise.Standby != "" {
		return nil
	}
	code, answer, err := sendTo(ctx, s.http, http.MethodPatch, leader+"/config", schedulerDynamic)
	return errors.Join(err, fmt.Errorf("%s is promised; PATCH /config: %d %s", text, code, answer))
}

func (s *schedulers) inTime(try func(ctx context.Context) error) {
	s.t.Helper()
	limited, cancel := context.WithTimeoutCause(s.ctx, healWithin, errors.New("too long"))
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		one, stop := context.WithTimeout(limited, answerWithin)
		err := try(one)
		stop()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
			s.t.Fatal(err)
		}
	}
}

// direct is how a client finds the primary.
func (s *schedulers) direct() string {
	return s.reaching(5432, "sslmode=disable&target_session_attrs=read-write")
}

// reaching is how a client reaches PostgreSQL at a port of whatever host has it.
func (s *schedulers) reaching(port uint16, options string) string {
	var hosts []string
	for _, host := range s.layout.Hosts {
		hosts = append(hosts, netip.AddrPortFrom(host.Address, port).String())
	}
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", agentsPassword), Host: strings.Join(hosts, ","), Path: "/postgres", RawQuery: options,
	}).String()
}
