package chaos

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMesosExamples runs examples/mesos/etcd.json as it stands, with only the hosts of the addresses and of the artifacts
// replaced: the members of etcd start from the program they have fetched, and after the death of a task, of the scheduler and of
// the agent below them each is the member it was, with its data.
func TestMesosExamples(t *testing.T) {
	m := &etcdOnMesos{onMesos: emptyMesos(t)}
	began := time.Now()
	for _, definition := range m.definitions() {
		m.ask(http.MethodPost, "/v2/apps", definition)
	}
	m.quiet()
	before, tasks := m.members(), m.allTasks()
	t.Logf("three members of etcd after %s", time.Since(began).Round(10*time.Millisecond))
	m.put("first")
	m.read("first")

	m.master.Crash(m.taskOn("node2"))
	m.put("second") // the others are a majority
	m.back("node2", before, tasks)
	m.read("first", "second")

	tasks = m.allTasks()
	m.kill("one")
	m.startOnMesos()
	m.quiet()
	m.put("third")
	if now := m.allTasks(); !maps.Equal(now, tasks) {
		t.Errorf("tasks after the scheduler was killed: %v; before: %v", now, tasks)
	}

	m.master.Restart("node3", time.Second)
	m.put("fourth")
	if now := m.allTasks(); !maps.Equal(now, tasks) {
		t.Errorf("tasks while an agent restarts: %v; before: %v", now, tasks)
	}
	m.master.Crash(m.taskOn("node3")) // it returns by an offer of the agent that has restarted
	m.back("node3", before, tasks)
	m.read("first", "second", "third", "fourth")
	if now := m.members(); !maps.Equal(now, before) {
		t.Errorf("members %v; in the beginning %v", now, before)
	}
}

// etcdOnMesos is the etcd of the examples.
type etcdOnMesos struct{ *onMesos }

var etcdHosts = []string{"node1", "node2", "node3"}

// definitions are those of the example, with addresses that are there.
func (m *etcdOnMesos) definitions() []string {
	m.t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(m.cfg.Program))))
	m.t.Cleanup(server.Close)
	text, err := os.ReadFile(filepath.Join(source, "examples", "mesos", "etcd.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	replaced := []string{"http://artifacts.example/", server.URL + "/"}
	for _, host := range etcdHosts {
		replaced = append(replaced, "http://"+host+":", "http://"+m.addressOf(host)+":")
	}
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(strings.NewReplacer(replaced...).Replace(string(text))), &all); err != nil || len(all) != len(etcdHosts) {
		m.t.Fatal(len(all), err)
	}
	var definitions []string
	for _, d := range all {
		definitions = append(definitions, string(d))
	}
	return definitions
}

func (m *etcdOnMesos) addressOf(host string) string {
	for _, h := range m.layout.Hosts {
		if h.Name == host {
			return h.Address.String()
		}
	}
	m.t.Fatalf("no host is named %s", host)
	return ""
}

// quiet waits until nothing is under way and the scheduler says that each member runs.
func (m *etcdOnMesos) quiet() {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		m.check(ctx)
		at := "http://" + schedulerAt(m.Agents, "one")
		code, text, err := sendTo(ctx, m.http, http.MethodGet, at+"/v2/deployments", "")
		if err != nil || code != http.StatusOK || strings.TrimSpace(text) != "[]" {
			return errors.Join(err, fmt.Errorf("deployments: %d %s", code, text))
		}
		_, text, err = sendTo(ctx, m.http, http.MethodGet, at+"/v2/tasks", "")
		if running := strings.Count(text, `"TASK_RUNNING"`); err != nil || running != len(etcdHosts) {
			return errors.Join(err, fmt.Errorf("%d of %d run: %s", running, len(etcdHosts), text))
		}
		return nil
	})
}

// check does the health check of the definitions, in place of the agents.
func (m *etcdOnMesos) check(ctx context.Context) {
	for _, host := range etcdHosts {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(m.addressOf(host), "31379"))
		if err != nil {
			continue
		}
		_ = conn.Close()
		for _, task := range m.master.Running(host) {
			m.master.Healthy(task, true)
		}
	}
}

func (m *etcdOnMesos) allTasks() map[string]string {
	m.t.Helper()
	tasks := map[string]string{}
	for _, host := range etcdHosts {
		tasks[host] = m.taskOn(host)
	}
	return tasks
}

// back waits until another task than before runs on a host, which is the member it was.
func (m *etcdOnMesos) back(host string, members, tasks map[string]string) {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		if running := m.master.Running(host); len(running) != 1 || running[0] == tasks[host] {
			return fmt.Errorf("%v run on %s", running, host)
		}
		id, err := m.member(ctx, host)
		if err == nil && id != members[host] {
			m.t.Fatalf("%s is member %s; it was %s", host, id, members[host])
		}
		return err
	})
	m.quiet()
}

// members are the ids of the members by their hosts. There are no others.
func (m *etcdOnMesos) members() map[string]string {
	m.t.Helper()
	ids := map[string]string{}
	m.inTime(func(ctx context.Context) error {
		for _, host := range etcdHosts {
			id, err := m.member(ctx, host)
			if err != nil {
				return err
			}
			ids[host] = id
		}
		var list struct{ Members []struct{ ID string } }
		if err := m.etcd3(ctx, etcdHosts[0], "cluster/member/list", nil, &list); err != nil {
			return err
		}
		for _, member := range list.Members {
			if !slices.Contains(slices.Collect(maps.Values(ids)), member.ID) {
				m.t.Fatalf("member %s runs nowhere: %v", member.ID, ids)
			}
		}
		return nil
	})
	return ids
}

// member is the id of the member on a host.
func (m *etcdOnMesos) member(ctx context.Context, host string) (string, error) {
	var status struct {
		Header struct {
			MemberID string `json:"member_id"`
		}
		Leader string
	}
	err := m.etcd3(ctx, host, "maintenance/status", nil, &status)
	if err == nil && (status.Leader == "" || status.Leader == "0") {
		err = errors.New(host + " knows of no leader")
	}
	return status.Header.MemberID, err
}

// put writes a key through the first member.
func (m *etcdOnMesos) put(key string) {
	m.t.Helper()
	body := map[string]any{"key": base64.StdEncoding.EncodeToString([]byte(key)), "value": base64.StdEncoding.EncodeToString([]byte("kept"))}
	m.inTime(func(ctx context.Context) error { return m.etcd3(ctx, etcdHosts[0], "kv/put", body, nil) })
}

// read waits until every member has the keys in its own data.
func (m *etcdOnMesos) read(keys ...string) {
	m.t.Helper()
	for _, host := range etcdHosts {
		for _, key := range keys {
			m.inTime(func(ctx context.Context) error {
				var found struct{ Count string }
				body := map[string]any{"key": base64.StdEncoding.EncodeToString([]byte(key)), "serializable": true}
				if err := m.etcd3(ctx, host, "kv/range", body, &found); err != nil {
					return err
				}
				if found.Count != "1" {
					return fmt.Errorf("%s has no %q", host, key)
				}
				return nil
			})
		}
	}
}

// etcd3 calls etcd's v3 API as JSON over HTTP.
func (m *etcdOnMesos) etcd3(ctx context.Context, host, call string, body map[string]any, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		text = []byte("{}")
	}
	at := "http://" + net.JoinHostPort(m.addressOf(host), "31379") + "/v3/" + call
	code, told, err := sendTo(ctx, m.http, http.MethodPost, at, string(text))
	if err != nil || code != http.StatusOK {
		return errors.Join(err, fmt.Errorf("%s: %d %s", at, code, told))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal([]byte(told), answer)
}
