package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/examples/mesos"
	"github.com/pgbaton/pgbaton/internal/chaos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker/dockertest"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// The app definition of examples/mesos, unchanged, through the whole product: etcd, scheduler, daemon, image, PostgreSQL.
func TestClusterInContainers(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole cluster takes a minute")
	}
	c := newCluster(t)
	began := time.Now()
	c.request(http.MethodPost, "/v2/apps", mesos.App)
	c.await("leader and 2 streaming, all healthy", func() bool { return c.settled(3) })
	t.Logf("from the definition to a leader, two streaming and three healthy: %.1f s", time.Since(began).Seconds())
	c.quorum()
	volumes := c.volumes()
	c.watch()

	c.take(deed{"kill -9 of the leader's container", unplanned, 3, func() {
		led := c.leader()
		killed := c.daemon.Docker("inspect", "-f", "{{.Id}}", c.container(led.Host))
		c.daemon.Docker("kill", killed)
		c.await("another leader and all streaming", func() bool {
			running := c.daemon.Docker("ps", "-q", "--no-trunc")
			return !strings.Contains(running, killed) && c.settled(3) && c.leader().Host != led.Host
		})
	}})
	c.take(deed{"the docker daemon dies and is back", rewired, 3, func() {
		before := c.daemon.Docker("ps", "-q", "--no-trunc")
		c.daemon.End(syscall.SIGKILL)
		c.await("silence", func() bool { return c.tasks("TASK_UNREACHABLE") == 3 })
		c.daemon.Begin()
		c.await("the same members", func() bool { return c.tasks("TASK_RUNNING") == 3 && c.settled(3) })
		if after := c.daemon.Docker("ps", "-q", "--no-trunc"); after != before {
			t.Errorf("containers before %s and after %s", before, after)
		}
	}})
	for _, n := range []int{2, 3} {
		c.take(deed{fmt.Sprintf("scale to %d", n), planned, n, func() {
			c.change(fmt.Sprintf(`{"instances": %d}`, n))
			c.await("that many members", func() bool { return c.settled(n) })
		}})
	}
	c.take(deed{"new environment, scheduler killed", planned, 3, func() {
		since := time.Now()
		c.change(`{"env": {"PATRONI_DCS_ETCD_HOSTS": "etcd-node1:2379,etcd-node2:2379,etcd-node3:2379", "PATRONI_SCOPE": "postgresql-cluster",
			"PATRONI_POSTGRESQL_DATA_DIR": "/data/postgres", "COLOUR": "blue"}}`)
		c.await("the first member anew", func() bool { return len(c.started(since)) > 0 })
		c.scheduler.kill()
		c.startScheduler()
		c.await("all members anew", func() bool { return c.settled(3) && c.all("{{.Config.Env}}", "COLOUR=blue") })
		if got := c.started(since); len(got) != 3 {
			t.Errorf("%d containers were started for 3 members: %v", len(got), got)
		}
	}})
	c.daemon.Docker("tag", "patroni:latest", "patroni:next")
	c.take(deed{"another image", planned, 3, func() {
		c.change(`{"container": {"type": "DOCKER", "docker": {"image": "patroni:next", "network": "BRIDGE",
			"portMappings": [{"containerPort": 5432, "hostPort": 0, "servicePort": 10000}, {"containerPort": 8008, "hostPort": 0, "servicePort": 10001}]}}}`)
		c.await("all members with it", func() bool { return c.settled(3) && c.all("{{.Config.Image}}", "patroni:next") })
	}})
	c.audit()
	if after := c.volumes(); !slices.Equal(after, volumes) {
		t.Errorf("volumes before %v and after %v", volumes, after)
	}
}

// cluster is a scheduler and what it needs.
type cluster struct {
	t         *testing.T
	daemon    *dockertest.Daemon
	program   string
	dir       string
	hosts     map[string]string // name to address
	scheduler *process

	writer     *chaos.Writer
	attendance *chaos.Attendance
	size       int // members that have to be there
}

const (
	schedulerAt = "http://10.91.0.1:8080"
	appPath     = "/v2/apps//postgresql/patroni"
	// soon is how long anything may take on a machine that has other things to do.
	soon = 2 * time.Minute
	// rewired is how long nobody can write when a daemon comes back and sets up the network of its containers anew: TCP sends
	// again what was lost meanwhile.
	rewired = 5 * time.Second
	// unplanned is how long nobody can write, at most, when the container of the leader is killed: its lease has to run out.
	unplanned = 22 * time.Second
)

func newCluster(t *testing.T) *cluster {
	t.Helper()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: t.TempDir(), hosts: map[string]string{}}
	c.program = filepath.Join(c.dir, "pgbaton")
	c.run(root, "go", []string{"CGO_ENABLED=0"}, "build", "-o", c.program, "./cmd/pgbaton")
	c.daemon = dockertest.Start(t, "--live-restore")
	if out, err := c.try(root, "scripts/image.sh", []string{"DOCKER_HOST=" + c.daemon.Endpoint, "PROGRAM=" + c.program, "BASE=debootstrap"}, "latest"); err != nil {
		peer.Missing(t, "the image cannot be made, scripts/image.sh base makes what it needs: "+out)
	}
	t.Logf("image: %s bytes", c.daemon.Docker("image", "inspect", "-f", "{{.Size}}", "patroni:latest"))
	dockertest.Address(t, 1)
	c.startEtcd()
	var file strings.Builder
	file.WriteString("hosts:\n")
	for i := range 3 {
		name, address := fmt.Sprintf("docker%d", i+1), dockertest.Address(t, 11+i)
		c.hosts[name] = address
		fmt.Fprintf(&file, "- {name: %s, address: %s, bind: %s, docker: %q, cpus: 4, mem: 8192, disk: 100000}\n", name, address, address, c.daemon.Endpoint)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "hosts.yml"), []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.startScheduler()
	return c
}

func (c *cluster) startEtcd() {
	members := "etcd-node1=http://10.91.0.21:2380,etcd-node2=http://10.91.0.22:2380,etcd-node3=http://10.91.0.23:2380"
	for i := range 3 {
		name, address := fmt.Sprintf("etcd-node%d", i+1), dockertest.Address(c.t, 21+i)
		c.start("etcd", "--name", name, "--data-dir", filepath.Join(c.dir, name), "--client-url", "http://"+address+":2379",
			"--peer-url", "http://"+address+":2380", "--initial-cluster", members)
	}
}

func (c *cluster) startScheduler() {
	c.t.Helper()
	c.scheduler = c.start("scheduler", "--driver", "docker", "--hosts", filepath.Join(c.dir, "hosts.yml"), "--listen", "10.91.0.1:8080",
		"--dcs", "10.91.0.21:2379,10.91.0.22:2379,10.91.0.23:2379", "--task-env", "PATRONI_SUPERUSER_PASSWORD=super", "--task-env", "PATRONI_REPLICATION_PASSWORD=replication")
	c.await("the scheduler", func() bool {
		_, err := c.get(schedulerAt + "/v2/info")
		return err == nil
	})
}

// process is one run of the program.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func (c *cluster) start(args ...string) *process {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.dir, args[0]+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(c.program, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "PGBATON_HOST_ALIASES=etcd-node1=10.91.0.21,etcd-node2=10.91.0.22,etcd-node3=10.91.0.23")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
		_ = log.Close()
	}()
	c.t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

func (c *cluster) try(dir, name string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	if strings.HasPrefix(name, "scripts/") {
		cmd = exec.CommandContext(c.t.Context(), filepath.Join(dir, name), args...)
	}
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) run(dir, name string, env []string, args ...string) {
	c.t.Helper()
	if out, err := c.try(dir, name, env, args...); err != nil {
		c.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func (c *cluster) get(url string) ([]byte, error) { return c.ask(http.MethodGet, url, nil) }

func (c *cluster) ask(method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return text, err
}

func (c *cluster) request(method, path string, body []byte) {
	c.t.Helper()
	if _, err := c.ask(method, schedulerAt+path, body); err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// change changes the app once nothing else is being deployed.
func (c *cluster) change(body string) {
	c.t.Helper()
	c.await("the end of the last deployment", func() bool {
		text, err := c.get(schedulerAt + "/v2/deployments")
		return err == nil && string(bytes.TrimSpace(text)) == "[]"
	})
	c.request(http.MethodPut, appPath, []byte(body))
}

// await waits for something that nobody tells.
func (c *cluster) await(what string, so func() bool) {
	c.t.Helper()
	deadline := time.NewTimer(soon)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			log, _ := os.ReadFile(filepath.Join(c.dir, "scheduler.log"))
			members, _ := c.members()
			c.t.Fatalf("waited in vain for %s; members %v\n%s\n%s", what, members, c.daemon.Docker("ps", "-a"), log[max(0, len(log)-6000):])
		}
	}
}

type seen struct {
	App struct {
		TasksRunning, TasksHealthy int
		Deployments                []any
		Tasks                      []struct {
			ID, Host, State string
			Ports           []int
		}
	}
}

func (c *cluster) app() (seen, error) {
	var s seen
	text, err := c.get(schedulerAt + appPath)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// tasks is how many tasks are in a state.
func (c *cluster) tasks(state string) int {
	s, err := c.app()
	if err != nil {
		return 0
	}
	n := 0
	for _, task := range s.App.Tasks {
		if task.State == state {
			n++
		}
	}
	return n
}

type member struct {
	Name, Role, State, Host string
	Port                    int
	APIURL                  string `json:"api_url"`
}

// members is the cluster as any of its agents tells it.
func (c *cluster) members() ([]member, error) {
	s, err := c.app()
	if err != nil {
		return nil, err
	}
	for _, task := range s.App.Tasks {
		var all struct{ Members []member }
		text, err := c.get("http://" + net.JoinHostPort(c.hosts[task.Host], fmt.Sprint(task.Ports[1])) + "/cluster")
		if err == nil && json.Unmarshal(text, &all) == nil {
			return all.Members, nil
		}
	}
	return nil, fmt.Errorf("no agent answers")
}

// settled reports whether n members are there as they should be, and nothing is being deployed.
func (c *cluster) settled(n int) bool {
	s, err := c.app()
	if err != nil || s.App.TasksRunning != n || s.App.TasksHealthy != n || len(s.App.Tasks) != n || len(s.App.Deployments) != 0 {
		return false
	}
	members, err := c.members()
	leaders, streaming := 0, 0
	for _, m := range members {
		if m.Role == "leader" && m.State == "running" {
			leaders++
		}
		if m.Role != "leader" && m.State == "streaming" {
			streaming++
		}
	}
	return err == nil && leaders == 1 && streaming == n-1
}

// leader is the leading member.
func (c *cluster) leader() member {
	c.t.Helper()
	members, err := c.members()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range members {
		if m.Role == "leader" {
			return m
		}
	}
	c.t.Fatalf("nobody leads: %v", members)
	return member{}
}

// container is the name of the container on a host.
func (c *cluster) container(address string) string {
	c.t.Helper()
	for name, at := range c.hosts {
		if at == address {
			return c.daemon.Docker("ps", "--format", "{{.Names}}", "--filter", "label="+labelHost+"="+name)
		}
	}
	c.t.Fatalf("no host has %s", address)
	return ""
}

// all reports whether every running container shows a text.
func (c *cluster) all(format, want string) bool {
	for id := range strings.FieldsSeq(c.daemon.Docker("ps", "-q")) {
		if !strings.Contains(c.daemon.Docker("inspect", "-f", format, id), want) {
			return false
		}
	}
	return true
}

// started are the containers that were started since then.
func (c *cluster) started(since time.Time) []string {
	return strings.Fields(c.daemon.Docker("events", "--since", since.Format(time.RFC3339Nano), "--until", time.Now().Format(time.RFC3339Nano),
		"--filter", "type=container", "--filter", "event=start", "--format", "{{.Actor.ID}}"))
}

func (c *cluster) volumes() []string {
	names := strings.Fields(c.daemon.Docker("volume", "ls", "-q"))
	slices.Sort(names)
	return names
}

// planned is how long an operation that somebody asked for may keep anybody from writing.
const planned = time.Second

// deed is something that is done to the cluster while a client writes, and what it may cost.
type deed struct {
	what   string
	outage time.Duration // at most
	left   int           // members that the cluster has afterwards
	do     func()
}

// take does it, and holds it to its promise: whatever happens, one member at most is down at any sample.
func (c *cluster) take(d deed) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), soon)
	defer cancel()
	if err := c.attendance.Require(ctx, c.size); err != nil {
		c.t.Fatalf("before %s: %v", d.what, err)
	}
	began := time.Now()
	d.do()
	took, outage := time.Since(began), c.writer.Outage(began)
	down, samples := c.attendance.Down()
	c.t.Logf("%-36s %5.1f s, longest pause between two commits %4d ms, at most %d members down (%d samples)",
		d.what, took.Seconds(), outage.Length().Milliseconds(), down, samples)
	if outage.Length() > d.outage {
		c.t.Errorf("%s: nobody could write for %v, at most %v are allowed", d.what, outage.Length(), d.outage)
	}
	if down > 1 || samples == 0 {
		c.t.Errorf("%s: %d members were down at once (%d samples)", d.what, down, samples)
	}
	c.size = d.left
}

// watch begins to write, and to ask every member all the time whether it is there; both go to the published ports.
func (c *cluster) watch() {
	c.t.Helper()
	s, err := c.app()
	if err != nil {
		c.t.Fatal(err)
	}
	var seats []chaos.Seat
	var at []string
	for _, task := range s.App.Tasks {
		seats = append(seats, chaos.Seat{Name: task.Host, Address: c.hosts[task.Host], Port: uint16(task.Ports[0])})
		at = append(at, net.JoinHostPort(c.hosts[task.Host], strconv.Itoa(task.Ports[0])))
	}
	c.size = len(seats)
	url := "postgres://postgres:super@" + strings.Join(at, ",") + "/postgres?sslmode=disable&target_session_attrs="
	if c.writer, err = chaos.StartWriter(c.t.Context(), url+"read-write"); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.writer.Stop)
	if c.attendance, err = chaos.StartAttendance(c.t.Context(), seats, url+"any"); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.attendance.Stop)
}

// quorum has commits wait for a member that may lead afterwards, so that no crash takes one that was acknowledged.
func (c *cluster) quorum() {
	c.t.Helper()
	at := strings.TrimSuffix(c.leader().APIURL, "/patroni")
	if _, err := c.ask(http.MethodPatch, at+"/config", []byte(`{"synchronous_mode": "quorum"}`)); err != nil {
		c.t.Fatal(err)
	}
	c.await("quorum standbys", func() bool {
		members, err := c.members()
		return err == nil && len(slices.DeleteFunc(members, func(m member) bool { return m.Role != "quorum_standby" })) == 2
	})
}

// audit counts what was acknowledged and is not there.
func (c *cluster) audit() {
	c.t.Helper()
	lost, err := c.writer.Audit(c.t.Context(), nil)
	if err != nil || lost > 0 {
		c.t.Errorf("%d acknowledged rows are lost: %v", lost, err)
	}
	c.t.Logf("%d rows were acknowledged", len(c.writer.Acks()))
}
