package docker

import (
	"bytes"
	"cmp"
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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/examples/mesos"
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
	volumes := c.volumes()
	w := c.writer()

	c.during(w, "kill -9 of the leader's container", func() {
		led := c.leader()
		killed := c.daemon.Docker("inspect", "-f", "{{.Id}}", c.container(led))
		c.daemon.Docker("kill", killed)
		c.await("another leader and all streaming", func() bool {
			running := c.daemon.Docker("ps", "-q", "--no-trunc")
			return !strings.Contains(running, killed) && c.settled(3) && c.leader() != led
		})
	})
	w.forgive() // replication is asynchronous here: what a crash took is not the scheduler's to keep
	c.during(w, "kill -9 of the scheduler", func() {
		before := c.daemon.Docker("ps", "-q", "--no-trunc")
		c.scheduler.kill()
		c.startScheduler()
		c.await("adoption", func() bool { return c.settled(3) })
		if after := c.daemon.Docker("ps", "-q", "--no-trunc"); after != before {
			t.Errorf("containers before %s and after %s", before, after)
		}
	})
	for _, n := range []int{2, 3} {
		c.during(w, fmt.Sprintf("scale to %d", n), func() {
			c.change(fmt.Sprintf(`{"instances": %d}`, n))
			c.await("that many members", func() bool { return c.settled(n) })
		})
	}
	c.during(w, "change of the environment", func() {
		c.change(`{"env": {"PATRONI_DCS_ETCD_HOSTS": "etcd-node1:2379,etcd-node2:2379,etcd-node3:2379", "PATRONI_SCOPE": "postgresql-cluster",
			"PATRONI_POSTGRESQL_DATA_DIR": "/data/postgres", "COLOUR": "blue"}}`)
		c.await("all members anew", func() bool { return c.settled(3) && c.all("{{.Config.Env}}", "COLOUR=blue") })
	})
	c.daemon.Docker("tag", "patroni:latest", "patroni:next")
	c.during(w, "another image", func() {
		c.change(`{"container": {"type": "DOCKER", "docker": {"image": "patroni:next", "network": "BRIDGE",
			"portMappings": [{"containerPort": 5432, "hostPort": 0, "servicePort": 10000}, {"containerPort": 8008, "hostPort": 0, "servicePort": 10001}]}}}`)
		c.await("all members with it", func() bool { return c.settled(3) && c.all("{{.Config.Image}}", "patroni:next") })
	})
	w.end()
	w.check()
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
}

const (
	schedulerAt = "http://10.91.0.1:8080"
	appPath     = "/v2/apps//postgresql/patroni"
	// soon is how long anything may take on a machine that has other things to do.
	soon = 2 * time.Minute
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
	c.daemon = dockertest.Start(t)
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
			ID, Host string
			Ports    []int
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

type member struct {
	Name, Role, State, Host string
	Port                    int
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
		if m.Role == "replica" && m.State == "streaming" {
			streaming++
		}
	}
	return err == nil && leaders == 1 && streaming == n-1
}

// leader is the address of the leading member.
func (c *cluster) leader() string {
	c.t.Helper()
	members, err := c.members()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range members {
		if m.Role == "leader" {
			return m.Host
		}
	}
	c.t.Fatalf("nobody leads: %v", members)
	return ""
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

func (c *cluster) volumes() []string {
	names := strings.Fields(c.daemon.Docker("volume", "ls", "-q"))
	slices.Sort(names)
	return names
}

// during does something while the writer writes, and tells how long it could not.
func (c *cluster) during(w *writer, what string, do func()) {
	c.t.Helper()
	began := time.Now()
	w.pause()
	do()
	c.t.Logf("%-36s %5.1f s, longest pause between two commits %4.0f ms", what, time.Since(began).Seconds(), float64(w.pause().Microseconds())/1000)
}

// writer commits one row after the other where the leader is.
type writer struct {
	c      *cluster
	stop   context.CancelFunc
	ended  chan struct{}
	ask    chan chan time.Duration
	forget chan struct{}
	first  int // rows from here on have to be there
	last   int // acknowledged
}

func (c *cluster) writer() *writer {
	ctx, stop := context.WithCancel(c.t.Context())
	w := &writer{c: c, stop: stop, ended: make(chan struct{}), ask: make(chan chan time.Duration), forget: make(chan struct{})}
	go w.run(ctx)
	c.t.Cleanup(w.end)
	return w
}

func (w *writer) end() {
	w.stop()
	<-w.ended
}

// pause is the longest pause between two commits since it was asked last.
func (w *writer) pause() time.Duration {
	answer := make(chan time.Duration)
	w.ask <- answer
	return <-answer
}

// forgive lets go of what was written until now.
func (w *writer) forgive() { w.forget <- struct{}{} }

func (w *writer) run(ctx context.Context) {
	defer close(w.ended)
	var conn *pgx.Conn
	var longest time.Duration
	before := time.Now()
	for ctx.Err() == nil {
		select {
		case answer := <-w.ask:
			answer <- max(longest, time.Since(before))
			longest = 0
		case <-w.forget:
			w.first = w.last + 1
		default:
		}
		if conn == nil {
			conn = w.connect(ctx)
		}
		if conn != nil && w.write(ctx, conn) {
			longest, before = max(longest, time.Since(before)), time.Now()
			continue
		}
		if conn != nil {
			_ = conn.Close(context.Background())
			conn = nil
		}
	}
}

func (w *writer) write(ctx context.Context, conn *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := conn.Exec(ctx, "insert into written values ($1) on conflict do nothing", w.last+1)
	if err == nil {
		w.last++
	}
	return err == nil
}

// connect looks for the leader where members are.
func (w *writer) connect(ctx context.Context) *pgx.Conn {
	s, err := w.c.app()
	if err != nil || len(s.App.Tasks) == 0 {
		return w.again(ctx)
	}
	var at []string
	var ports []string
	for _, task := range s.App.Tasks {
		at, ports = append(at, w.c.hosts[task.Host]), append(ports, fmt.Sprint(task.Ports[0]))
	}
	return w.dial(ctx, strings.Join(at, ","), strings.Join(ports, ","))
}

// again tries the hosts at their usual ports while the scheduler is away.
func (w *writer) again(ctx context.Context) *pgx.Conn {
	return w.dial(ctx, "10.91.0.11,10.91.0.12,10.91.0.13", "31000,31000,31000")
}

func (w *writer) dial(ctx context.Context, hosts, ports string) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%s user=postgres password=super dbname=postgres sslmode=disable target_session_attrs=read-write connect_timeout=1", hosts, ports))
	if err != nil {
		return nil
	}
	if _, err := conn.Exec(ctx, "create table if not exists written (n int primary key)"); err != nil {
		_ = conn.Close(ctx)
		return nil
	}
	return conn
}

// check counts what was acknowledged and is not there.
func (w *writer) check() {
	w.c.t.Helper()
	conn := w.connect(w.c.t.Context())
	if conn == nil {
		w.c.t.Fatal("the leader cannot be reached")
	}
	defer conn.Close(context.Background()) //nolint:errcheck // only read
	var rows int
	if err := conn.QueryRow(w.c.t.Context(), "select count(*) from written where n between $1 and $2", max(w.first, 1), w.last).Scan(&rows); err != nil {
		w.c.t.Fatal(err)
	}
	if want := w.last - cmp.Or(max(w.first, 1), 1) + 1; rows != want {
		w.c.t.Errorf("%d of %d acknowledged rows are there", rows, want)
	}
	w.c.t.Logf("%d rows acknowledged, %d of them since the crash, none of those lost", w.last, rows)
}
