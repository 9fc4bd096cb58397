package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/up"
)

// TestMesosExamples runs what examples/mesos has for agents without Docker, as it stands but for addresses, the memory of the
// database and the number of proxies: etcd, PostgreSQL and HAProxy start from the program they have fetched. After the death of a
// task, of the scheduler and of the agent below them the members of etcd are who they were, with their data; a client that writes
// through the proxy loses nothing when the leader or the proxy is killed, and little time when the leader is switched over.
func TestMesosExamples(t *testing.T) {
	needPeers(t, "haproxy")
	m := newExamples(t)
	m.startEtcd().survive()
	m.writeThroughProxy()
}

// examplesOnMesos are the definitions of examples/mesos on a master whose agents have their tasks fetch what they run.
type examplesOnMesos struct {
	*onMesos

	replaced *strings.Replacer
}

const (
	databaseApp, proxyApp = "/postgresql/plain", "/postgresql/proxy"
	databaseMembers       = 3
)

func newExamples(t *testing.T) *examplesOnMesos {
	t.Helper()
	m := &examplesOnMesos{onMesos: emptyMesos(t, ownPorts)}
	files := http.NewServeMux()
	files.Handle("/pgbaton", http.FileServer(http.Dir(filepath.Dir(m.cfg.Program))))
	files.HandleFunc("/patroni-plain.yml", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, m.text("patroni-plain.yml")) })
	server := httptest.NewServer(files)
	t.Cleanup(server.Close)
	replaced := []string{
		"http://artifacts.example/", server.URL + "/",
		"  bin_dir: /usr/lib/postgresql/16/bin\n", "", "shared_buffers: 4GB", "shared_buffers: 16MB",
		`"PATRONI_SCOPE": "main"`, `"PATRONI_SCOPE": "plain"`, `"instances": 2`, `"instances": 1`,
	}
	for _, host := range etcdHosts {
		replaced = append(replaced, host+":31", m.addressOf(host)+":31")
	}
	m.replaced = strings.NewReplacer(replaced...)
	return m
}

// ownPorts are agents with what the examples ask for. Hosts being addresses of one machine, each has ports of its own to give
// away, beside those that the examples name.
func ownPorts(n int, _ up.Place) []wire.Resource {
	own := 31600 + 20*n
	return []wire.Resource{
		{Name: "ports", Type: wire.TypeRanges, Ranges: &wire.Ranges{Range: []wire.Range{{Begin: 31379, End: 31380}, {Begin: 31500, End: 31502}, {Begin: own, End: own + 19}}}},
		{Name: "cpus", Type: wire.TypeScalar, Scalar: wire.Amount(8)},
		{Name: "mem", Type: wire.TypeScalar, Scalar: wire.Amount(32768)},
		{Name: "disk", Type: wire.TypeScalar, Scalar: wire.Amount(400000)},
	}
}

// text is a file of the examples, with what is there.
func (m *examplesOnMesos) text(file string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(source, "examples", "mesos", file))
	if err != nil {
		m.t.Error(err)
	}
	return m.replaced.Replace(string(text))
}

// post adds the app of a file, or each of its apps.
func (m *examplesOnMesos) post(file string) {
	m.t.Helper()
	text := m.text(file)
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		m.t.Fatalf("%s: %v", file, err)
	}
	for _, definition := range all {
		m.ask(http.MethodPost, "/v2/apps", string(definition))
	}
}

func (m *examplesOnMesos) addressOf(host string) string {
	n := slices.IndexFunc(m.layout.Hosts, func(h up.Place) bool { return h.Name == host })
	if n < 0 {
		m.t.Fatalf("no host is named %s", host)
	}
	return m.layout.Hosts[n].Address.String()
}

// quiet waits until nothing is under way and the scheduler says that so many tasks run.
func (m *examplesOnMesos) quiet(instances int) {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		at := "http://" + schedulerAt(m.Agents, "one")
		code, text, err := sendTo(ctx, m.http, http.MethodGet, at+"/v2/deployments", "")
		if err != nil || code != http.StatusOK || strings.TrimSpace(text) != "[]" {
			_, waits, _ := sendTo(ctx, m.http, http.MethodGet, at+"/pg/v1/waits", "")
			return errors.Join(err, fmt.Errorf("deployments: %d %s; waits: %s", code, text, waits))
		}
		_, text, err = sendTo(ctx, m.http, http.MethodGet, at+"/v2/tasks", "")
		if running := strings.Count(text, `"TASK_RUNNING"`); err != nil || running != instances {
			return errors.Join(err, fmt.Errorf("%d of %d run: %s", running, instances, text))
		}
		return nil
	})
}

// writeThroughProxy starts the database and the proxy. A client writes through the proxy while the leader is killed and another
// one is switched over.
func (m *examplesOnMesos) writeThroughProxy() {
	m.t.Helper()
	began := time.Now()
	m.post("patroni-plain.json")
	m.post("haproxy.json")
	m.quiet(len(etcdHosts) + databaseMembers + 1)
	m.whole("")
	m.t.Logf("three members and a proxy after %s", time.Since(began).Round(10*time.Millisecond))
	writer, err := StartWriter(m.ctx, m.reaching(31500, "sslmode=disable")) // on whatever host the proxy runs
	if err != nil {
		m.t.Fatal(err)
	}
	defer writer.Stop()
	for _, d := range []struct {
		name    string
		do      func(leader app.Member)
		another bool // leads then
		within  time.Duration
	}{
		{"the leader's task is killed", func(leader app.Member) { m.master.Crash(string(leader.Task)) }, true, healWithin},
		{"the proxy's task is killed", func(app.Member) { m.master.Crash(m.proxy()) }, false, healWithin},
		{"switchover", func(app.Member) { m.ask(http.MethodPost, "/pg/v1/clusters"+databaseApp+"/switchover", "") }, true, planned},
	} {
		leader := m.whole("")
		if err := writer.Written(m.ctx); err != nil {
			m.t.Fatal(err)
		}
		began := time.Now()
		d.do(leader)
		former := ""
		if d.another {
			former = leader.Name
		}
		now := m.whole(former)
		if err := writer.Written(m.ctx); err != nil {
			m.t.Fatal(err)
		}
		outage := writer.Outage(began).Length()
		m.t.Logf("%s: %s leads after %s, no write for %d ms", d.name, now.Name, leader.Name, outage.Milliseconds())
		if outage > d.within {
			m.t.Errorf("%s: no write for %s", d.name, outage)
		}
		if lost, err := writer.Audit(m.ctx, nil); err != nil || lost > 0 {
			m.t.Fatalf("%s: %d rows lost: %v", d.name, lost, err)
		}
	}
	m.t.Logf("%d rows acknowledged, none lost", len(writer.Acks()))
}

// whole waits until all members but the leader are promised to commits, and somebody else leads than the one named. Before that it
// turns quorum mode on.
func (m *examplesOnMesos) whole(former string) (leader app.Member) {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		_, text, err := sendTo(ctx, m.http, http.MethodGet, "http://"+schedulerAt(m.Agents, "one")+"/pg/v1/clusters"+databaseApp, "")
		if err != nil {
			return err
		}
		var c app.Cluster
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return err
		}
		n := slices.IndexFunc(c.Members, func(o app.Member) bool { return o.Name == c.Leader })
		if n < 0 || c.Leader == "" || c.Leader == former || len(c.Members) != databaseMembers {
			return errors.New("who leads: " + text)
		}
		leader = c.Members[n]
		if strings.Count(text, `"quorum_standby"`) == databaseMembers-1 {
			return nil
		}
		code, told, err := sendTo(ctx, m.http, http.MethodPatch, "http://"+leader.API+"/config", `{"synchronous_mode": "quorum"}`)
		return errors.Join(err, fmt.Errorf("PATCH /config: %d %s; not whole: %s", code, told, text))
	})
	return leader
}

func (m *examplesOnMesos) proxy() string {
	m.t.Helper()
	for _, h := range m.layout.Hosts {
		if task := m.of(proxyApp, h.Name); task != "" {
			return task
		}
	}
	m.t.Fatal("no proxy runs")
	return ""
}

// of is the task of an app on a host, empty when there is none.
func (m *examplesOnMesos) of(id app.ID, host string) string {
	for _, task := range m.master.Running(host) {
		if app.TaskID(task).Instance().App() == id {
			return task
		}
	}
	return ""
}
