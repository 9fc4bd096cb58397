package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/up"
)

// TestSchedulerOnMesos runs the scheduler on a master whose agents run their tasks as processes, each in a namespace of its own
// and on its persistent volume, in quorum mode while a client writes: the members form a cluster, and through the death of the
// leader's task, a restart, scaling, announced maintenance, an agent out of reach, one that reboots under another id, a master
// that fails over and schedulers that are killed in the middle no acknowledged row is lost, no planned operation takes more than
// one member down or costs a second of writes, and no task is started beside another one on its volume.
func TestSchedulerOnMesos(t *testing.T) {
	var m *onMesos
	t.Cleanup(func() {
		if t.Failed() && m != nil {
			t.Logf("in short, after all that was logged:\n%s%s", m.table.String(), m.broken.String())
		}
	})
	m = newMesos(t)
	direct := m.direct()
	var err error
	if m.writer, err = StartWriter(m.ctx, direct); err != nil {
		t.Fatal(err)
	}
	defer m.writer.Stop()
	if m.attendance, err = StartAttendance(m.ctx, Seats(m.layout.Hosts), direct); err != nil {
		t.Fatal(err)
	}
	defer m.attendance.Stop()
	for _, d := range m.deeds() {
		m.take(d)
	}
	t.Logf("%d rows acknowledged, none lost\n%-44s %9s %5s %7s\n%s", len(m.writer.Acks()), "operation", "no write", "down", "whole", m.table.String())
}

// onMesos is a scheduler over a master with an agent for each host. The members are tasks of its agents.
type onMesos struct {
	*schedulers

	master     *mesostest.Master
	writer     *Writer
	attendance *Attendance
	// table has a line for each deed, broken one for each promise that a deed broke.
	table, broken strings.Builder
}

// mesosDeed is something that happens.
type mesosDeed struct {
	name      string
	planned   bool // it costs no second of writes and takes one member down at a time
	killed    bool // the scheduler is, once a server came or went
	instances int  // that are there in the end
	do        func()
}

func (m *onMesos) deeds() []mesosDeed {
	ask := func(method, path, body string) func() { return func() { m.ask(method, path, body) } }
	return []mesosDeed{
		{name: "the leader's task is killed with kill -9", instances: 3, do: func() { m.master.Crash(m.taskOn(m.leads())) }},
		{name: "restart, the scheduler killed", planned: true, killed: true, instances: 3, do: ask(http.MethodPost, AppPath+"/restart", "")},
		{name: "scale 3 to 5, answers get lost", planned: true, instances: 5, do: func() {
			m.master.LoseAnswers(wire.CallAccept, 2)
			m.ask(http.MethodPatch, AppPath, `{"instances": 5}`)
		}},
		{name: "scale 5 to 3, the scheduler killed", planned: true, killed: true, instances: 3, do: ask(http.MethodPatch, AppPath, `{"instances": 3}`)},
		{name: "maintenance of the leader's host", planned: true, instances: 3, do: m.maintain},
		{name: "the leader's agent is drained", planned: true, instances: 3, do: m.drain},
		{name: "the leader's agent out of reach", planned: true, instances: 3, do: m.partition},
		{name: "restart, the master fails over", planned: true, instances: 3, do: m.failOver},
		{name: "the leader's agent reboots as another", instances: 3, do: func() { m.master.Reboot(m.leads(), true) }},
		{name: "update of the variables", planned: true, instances: 3, do: ask(http.MethodPatch, AppPath, `{"env": `+m.env("changed")+`}`)},
	}
}

// take does one deed and waits until everything is whole again.
func (m *onMesos) take(d mesosDeed) {
	m.t.Helper()
	if err := m.writer.Written(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	if err := m.attendance.Require(m.ctx, 3); err != nil {
		m.t.Fatal(err)
	}
	began, changed := time.Now(), m.attendance.Changed()
	d.do()
	if d.killed {
		m.await(changed)
		m.kill("one")
		m.startOnMesos()
	}
	m.present(d.instances)
	m.settled(d.instances)
	if err := m.writer.Written(m.ctx); err != nil {
		m.t.Fatal(err)
	}
	down, samples := m.attendance.Down()
	outage := m.writer.Outage(began).Length()
	fmt.Fprintf(&m.table, "%-44s %6d ms %5d %5.1f s\n", d.name, outage.Milliseconds(), down, time.Since(began).Seconds())
	if d.planned && (outage > planned || down > 1 || samples == 0) {
		m.breaks("%s: no write for %s, %d down at once (%d samples)", d.name, outage, down, samples)
	}
	if lost, err := m.writer.Audit(m.ctx, nil); err != nil || lost > 0 {
		m.breaks("%s: %d rows lost: %v", d.name, lost, err)
		m.t.FailNow()
	}
}

// breaks says that a promise was broken, at once and in the end.
func (m *onMesos) breaks(format string, args ...any) {
	m.t.Helper()
	text := fmt.Sprintf(format, args...)
	m.broken.WriteString(text + "\n")
	m.t.Error(text)
}

// present waits until so many tasks run, and the scheduler has heard of it. Each has a host and so a volume to itself.
func (m *onMesos) present(instances int) {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		tasks := 0
		for _, h := range m.layout.Hosts {
			running := m.master.Running(h.Name)
			if tasks += len(running); len(running) > 1 {
				m.t.Fatalf("%v run on %s at once", running, h.Name)
			}
		}
		text, err := m.tasks(ctx)
		if told := strings.Count(text, `"TASK_RUNNING"`); err != nil || tasks != instances || told != instances {
			return errors.Join(err, fmt.Errorf("%d tasks run, the scheduler knows of %d, %d are wanted", tasks, told, instances))
		}
		return nil
	})
}

// tasks are those of the app, as the scheduler tells them.
func (m *onMesos) tasks(ctx context.Context) (string, error) {
	_, text, err := sendTo(ctx, m.http, http.MethodGet, "http://"+schedulerAt(m.Agents, "one")+AppPath+"/tasks", "")
	return text, err
}

// maintain has the leader's host announced for maintenance, waits until somebody else leads, and calls it off.
func (m *onMesos) maintain() {
	host := m.leads()
	m.master.Maintain(host, time.Now().Add(time.Minute), time.Hour)
	m.inTime(func(context.Context) error {
		if m.leads() == host {
			return errors.New(host + " still leads")
		}
		return nil
	})
	m.master.Stay(host)
}

// drain has the leader's agent end its tasks, which nobody asks the scheduler about, and calls it off once somebody else leads.
func (m *onMesos) drain() {
	host := m.leads()
	m.master.Drain(host)
	m.inTime(func(context.Context) error {
		if m.leads() == host {
			return errors.New(host + " still leads")
		}
		return nil
	})
	m.master.Reactivate(host)
}

// failOver has another master lead in the middle of a restart. Its agents come to it after a second.
func (m *onMesos) failOver() {
	changed := m.attendance.Changed()
	m.ask(http.MethodPost, AppPath+"/restart", "")
	m.await(changed)
	m.master.Failover(time.Second)
}

// await waits until a server came or went.
func (m *onMesos) await(changed <-chan struct{}) {
	m.t.Helper()
	select {
	case <-changed:
	case <-m.ctx.Done():
		m.t.Fatal("no server came or went")
	}
}

// partition takes the leader's agent out of reach of the master until the scheduler says so. The database does not notice.
func (m *onMesos) partition() {
	host := m.leads()
	m.master.Partition(host)
	m.inTime(func(ctx context.Context) error {
		text, err := m.tasks(ctx)
		if err == nil && !strings.Contains(text, "TASK_UNREACHABLE") {
			err = errors.New("nobody is out of reach: " + text)
		}
		return err
	})
	if now := m.leads(); now != host {
		m.breaks("%s leads and not %s, because Mesos does not see it", now, host)
	}
	m.master.Heal(host)
}

// leads is the host of the leader.
func (m *onMesos) leads() (host string) {
	m.t.Helper()
	m.inTime(func(ctx context.Context) error {
		leader, err := m.Document(ctx, "leader")
		if host = strings.TrimPrefix(leader, "patroni-"); err == nil && host == "" {
			err = errors.New("nobody leads")
		}
		return err
	})
	return host
}

func (m *onMesos) taskOn(host string) string {
	m.t.Helper()
	running := m.master.Running(host)
	if len(running) != 1 {
		m.t.Fatalf("%v run on %s", running, host)
	}
	return running[0]
}

func newMesos(t *testing.T) *onMesos {
	t.Helper()
	m := emptyMesos(t, samePorts)
	m.ask(http.MethodPost, "/v2/apps", m.definition())
	began := time.Now()
	m.settled(appInstances)
	t.Logf("three members after %s", time.Since(began).Round(10*time.Millisecond))
	return m
}

// samePorts are agents that all have the ports of the app to give away: each host has its address.
func samePorts(int, up.Place) []wire.Resource {
	return []wire.Resource{
		{Name: "ports", Type: wire.TypeRanges, Ranges: &wire.Ranges{Range: []wire.Range{{Begin: 5432, End: 5432}, {Begin: 8008, End: 8008}, {Begin: 31000, End: 31999}}}},
		{Name: "cpus", Type: wire.TypeScalar, Scalar: wire.Amount(4)},
		{Name: "mem", Type: wire.TypeScalar, Scalar: wire.Amount(8192)},
		{Name: "disk", Type: wire.TypeScalar, Scalar: wire.Amount(50000)},
	}
}

// emptyMesos is a scheduler that has no apps yet, on agents with those resources.
func emptyMesos(t *testing.T, resources func(n int, h up.Place) []wire.Resource) *onMesos {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	m := &onMesos{schedulers: &schedulers{Agents: agents(t, AgentsConfig{}), t: t, ctx: ctx, running: map[string]*child{}}}
	config := filepath.Join(m.Dir(), "agent.yml")
	folder := filepath.Join(m.Dir(), "agents")
	if err := errors.Join(os.WriteFile(config, []byte(mesosAgentFile), 0o600), m.give(config), m.makeFolder(folder), os.Chmod(folder, 0o711), m.makeFolder(m.sockets()), m.keepSecrets()); err != nil { //nolint:gosec // tasks pass through
		t.Fatal(err)
	}
	var machines []mesostest.AgentConfig
	for n, h := range m.layout.Hosts {
		machines = append(machines, mesostest.AgentConfig{Hostname: h.Name, IP: h.Address.String(), Resources: resources(n, h)})
	}
	m.master = mesostest.New(t, mesostest.Config{Agents: machines, Run: namespaces{m.Agents, folder}})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the scheduler printed last:\n%s", m.Output("one", 40))
			m.logSandboxes(folder)
		}
	})
	m.startOnMesos()
	return m
}

// sockets is the folder of the servers' sockets: volumes have paths that are too long for them, and below /tmp those of servers
// that were killed would stay.
func (m *onMesos) sockets() string { return filepath.Join(m.Dir(), "run") }

func (m *onMesos) secrets() string { return filepath.Join(m.Dir(), "secrets") }

// keepSecrets writes the passwords that the examples refer to.
func (m *onMesos) keepSecrets() error {
	err := m.makeFolder(m.secrets())
	for _, name := range []string{"superuser", "replication"} {
		file := filepath.Join(m.secrets(), name)
		err = errors.Join(err, os.WriteFile(file, []byte(agentsPassword), 0o600), m.give(file))
	}
	return err
}

// logSandboxes shows the end of what each task printed.
func (m *onMesos) logSandboxes(folder string) {
	files, err := filepath.Glob(filepath.Join(folder, "*", "sandboxes", "*", "stdout"))
	if err != nil {
		m.t.Error(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			continue
		}
		m.t.Logf("%s:\n%s", filepath.Base(filepath.Dir(file)), last(string(text), 15))
	}
}

// startOnMesos starts the scheduler. Its other names are those of other tests.
func (m *onMesos) startOnMesos() {
	m.t.Helper()
	c, err := m.run("one", []string{"PATRONI_SUPERUSER_PASSWORD=" + agentsPassword, "PATRONI_REPLICATION_PASSWORD=" + agentsPassword},
		"scheduler", "--dcs", strings.Join(m.layout.EtcdEndpoints(), ","), "--listen", schedulerAt(m.Agents, "one"), "--driver", "mesos",
		"--master", m.master.Address(), "--mesos-role", "postgresql", "--mesos-principal", "pgbaton",
		"--task-env", "PATRONI_SUPERUSER_PASSWORD", "--task-env", "PATRONI_REPLICATION_PASSWORD", "--task-env", "PGBATON_RUN_DIR="+m.sockets(), "--task-env", "XDG_RUNTIME_DIR="+m.sockets(), "--secrets", m.secrets())
	if err != nil {
		m.t.Fatal(err)
	}
	m.running["one"] = c
}

// mesosAgentFile is the configuration of a member, whose host shows in what a platform tells it.
const mesosAgentFile = `scope: postgresql-cluster
namespace: /service/
name: patroni-{HOST}
restapi:
  listen: 0.0.0.0:8008
bootstrap:
  dcs: {ttl: 20, loop_wait: 10, retry_timeout: 5}
postgresql:
  listen: 0.0.0.0:5432
  data_dir: pgdata/postgres
  parameters: {fsync: false, shared_buffers: 16MB}
`

// command is that of a member on an agent which has PostgreSQL installed. All hosts being this machine, it listens on its own
// address only.
const mesosCommand = `export HOST_IP=$LIBPROCESS_IP PGBATON_BIND_ADDRESS=$LIBPROCESS_IP PATRONI_POSTGRESQL_DATA_DIR=$MESOS_SANDBOX/pgdata/postgres
exec %s agent %s`

func (m *onMesos) env(round string) string {
	text, err := json.Marshal(map[string]string{
		"PATRONI_DCS_ETCD_HOSTS": strings.Join(m.layout.EtcdEndpoints(), ","), "PATRONI_SCOPE": "postgresql-cluster", "PGBATON_ROUND": round,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *onMesos) definition() string {
	m.t.Helper()
	text, err := json.Marshal(map[string]any{
		"id": "/postgresql/patroni", "cpus": 1, "mem": 512, "instances": appInstances,
		"cmd":      fmt.Sprintf(mesosCommand, m.cfg.Program, filepath.Join(m.Dir(), "agent.yml")),
		"env":      json.RawMessage(m.env("first")),
		"networks": []any{map[string]any{"mode": "host"}}, "requirePorts": true,
		"portDefinitions": []any{map[string]any{"port": 5432, "name": "postgresql"}, map[string]any{"port": 8008, "name": "api"}},
		"container": map[string]any{"type": "MESOS", "volumes": []any{
			map[string]any{"containerPath": "pgdata", "mode": "RW", "persistent": map[string]any{"size": 2048}},
		}},
		"labels": map[string]string{"PGBATON_POSTGRES": "true"},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// namespaces make each task the first process of a PID namespace, as Mesos' isolator does: with it everything of it ends.
type namespaces struct {
	agents *Agents
	root   string
}

// Root implements mesostest.Runner.
func (n namespaces) Root() string { return n.root }

// Own implements mesostest.Runner.
func (n namespaces) Own(path string) error {
	return errors.Join(os.Chmod(path, 0o700), n.agents.give(path)) //nolint:gosec // a folder of the test
}

// Command implements mesostest.Runner.
func (n namespaces) Command(info wire.TaskInfo) (*exec.Cmd, error) {
	command := info.Command.Value
	c := n.agents.cfg.Credential
	if c == nil {
		return exec.Command("/bin/sh", "-c", command), nil
	}
	cmd := exec.Command("/bin/sh", "-c", `mount -t proc none /proc && exec setpriv --reuid="$0" --regid="$1" --clear-groups /bin/sh -c "$2"`,
		strconv.Itoa(int(c.Uid)), strconv.Itoa(int(c.Gid)), command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	return cmd, nil
}
