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
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// etcdOnMesos is the etcd of the examples.
type etcdOnMesos struct {
	*examplesOnMesos

	instances int // that run when all is well
}

var etcdHosts = []string{"node1", "node2", "node3"}

// startEtcd posts the definitions of the example and waits for its members.
func (m *examplesOnMesos) startEtcd() *etcdOnMesos {
	m.t.Helper()
	began := time.Now()
	e := &etcdOnMesos{m, len(etcdHosts)}
	m.post("etcd.json")
	m.quiet(e.instances)
	m.t.Logf("three members of etcd after %s", time.Since(began).Round(10*time.Millisecond))
	return e
}

func etcdApp(host string) app.ID { return app.ID("/etcd/" + host) }

func (m *etcdOnMesos) task(host string) string { return m.of(etcdApp(host), host) }

// survive loses a task, the scheduler and an agent: each member stays who it is, with its data.
func (m *etcdOnMesos) survive() {
	m.t.Helper()
	before, tasks := m.members(), m.allTasks()
	m.put("first")
	m.read("first")

	m.master.Crash(m.task("node2"))
	m.put("second") // the others are a majority
	m.back("node2", before, tasks)
	m.read("first", "second")

	tasks = m.allTasks()
	m.kill("one")
	m.startOnMesos()
	m.quiet(m.instances)
	m.put("third")
	if now := m.allTasks(); !maps.Equal(now, tasks) {
		m.t.Errorf("tasks after the scheduler was killed: %v; before: %v", now, tasks)
	}

	m.master.Restart("node3", time.Second)
	m.put("fourth")
	if now := m.allTasks(); !maps.Equal(now, tasks) {
		m.t.Errorf("tasks while an agent restarts: %v; before: %v", now, tasks)
	}
	m.master.Crash(m.task("node3")) // it returns by an offer of the agent that has restarted
	m.back("node3", before, tasks)
	m.read("first", "second", "third", "fourth")
	if now := m.members(); !maps.Equal(now, before) {
		m.t.Errorf("members %v; in the beginning %v", now, before)
	}
}

func (m *etcdOnMesos) allTasks() map[string]string {
	m.t.Helper()
	tasks := map[string]string{}
	for _, host := range etcdHosts {
		tasks[host] = m.task(host)
	}
	return tasks
}

// back waits until another task than before runs on a host, which is the member it was.
func (m *etcdOnMesos) back(host string, members, tasks map[string]string) {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		if task := m.task(host); task == "" || task == tasks[host] {
			return fmt.Errorf("%q runs on %s", task, host)
		}
		id, err := m.member(ctx, host)
		if err == nil && id != members[host] {
			m.t.Fatalf("%s is member %s; it was %s", host, id, members[host])
		}
		return err
	})
	m.quiet(m.instances)
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
