package docker

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	c.Request(http.MethodPost, "/v2/apps", mesos.App)
	c.Await("leader and 2 streaming", func() bool { return c.Settled(3) })
	t.Logf("from the definition to a leader and two streaming: %.1f s", time.Since(began).Seconds())
	c.Quorum()
	volumes := c.volumes()
	c.Watch("super")

	c.Take(chaos.Deed{What: "kill -9 of the leader's container", Outage: unplanned, Left: 3, Do: func() {
		led := c.Leader()
		killed := c.daemon.Docker("inspect", "-f", "{{.Id}}", c.container(led.Host))
		c.daemon.Docker("kill", killed)
		c.Await("another leader and all streaming", func() bool {
			running := c.daemon.Docker("ps", "-q", "--no-trunc")
			return !strings.Contains(running, killed) && c.Settled(3) && c.Leader().Host != led.Host
		})
	}})
	c.Take(chaos.Deed{What: "the docker daemon dies and is back", Outage: rewired, Left: 3, Do: func() {
		before := c.daemon.Docker("ps", "-q", "--no-trunc")
		c.daemon.End(syscall.SIGKILL)
		c.Await("silence", func() bool { return c.Tasks("TASK_UNREACHABLE") == 3 })
		c.daemon.Begin()
		c.Await("the same members", func() bool { return c.Tasks("TASK_RUNNING") == 3 && c.Settled(3) })
		if after := c.daemon.Docker("ps", "-q", "--no-trunc"); after != before {
			t.Errorf("containers before %s and after %s", before, after)
		}
	}})
	for _, n := range []int{2, 3} {
		c.Take(chaos.Deed{What: fmt.Sprintf("scale to %d", n), Outage: chaos.PlannedOutage, Left: n, Do: func() {
			c.Change(fmt.Sprintf(`{"instances": %d}`, n))
			c.Await("that many members", func() bool { return c.Settled(n) })
		}})
	}
	c.Take(chaos.Deed{What: "new environment, scheduler killed", Outage: chaos.PlannedOutage, Left: 3, Do: func() {
		since := time.Now()
		c.Change(`{"env": {"PATRONI_DCS_ETCD_HOSTS": "etcd-node1:2379,etcd-node2:2379,etcd-node3:2379", "PATRONI_SCOPE": "postgresql-cluster",
			"PATRONI_POSTGRESQL_DATA_DIR": "/data/postgres", "COLOUR": "blue"}}`)
		c.Await("the first member anew", func() bool { return len(c.started(since)) > 0 })
		c.scheduler.kill()
		c.startScheduler()
		c.Await("all members anew", func() bool { return c.Settled(3) && c.all("{{.Config.Env}}", "COLOUR=blue") })
		if got := c.started(since); len(got) != 3 {
			t.Errorf("%d containers were started for 3 members: %v", len(got), got)
		}
	}})
	c.daemon.Docker("tag", "patroni:latest", "patroni:next")
	c.Take(chaos.Deed{What: "another image", Outage: chaos.PlannedOutage, Left: 3, Do: func() {
		c.Change(`{"container": {"type": "DOCKER", "docker": {"image": "patroni:next", "network": "BRIDGE",
			"portMappings": [{"containerPort": 5432, "hostPort": 0, "servicePort": 10000}, {"containerPort": 8008, "hostPort": 0, "servicePort": 10001}]}}}`)
		c.Await("all members with it", func() bool { return c.Settled(3) && c.all("{{.Config.Image}}", "patroni:next") })
	}})
	c.Audit()
	c.Await("health of all", func() bool { return c.Healthy(3) })
	if after := c.volumes(); !slices.Equal(after, volumes) {
		t.Errorf("volumes before %v and after %v", volumes, after)
	}
}

// cluster is a scheduler and what it needs.
type cluster struct {
	*chaos.AppField

	t         *testing.T
	daemon    *dockertest.Daemon
	program   string
	dir       string
	hosts     map[string]string // name to address
	scheduler *process
}

const (
	schedulerAt = "http://10.91.0.1:8080"
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
	c.AppField = chaos.NewAppField(t, schedulerAt, c.hosts, c.trouble)
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
	c.Await("the scheduler", func() bool {
		_, err := c.Get(schedulerAt + "/v2/info")
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

// trouble is what tells why something was waited for in vain.
func (c *cluster) trouble() string {
	log, err := os.ReadFile(filepath.Join(c.dir, "scheduler.log"))
	if err != nil {
		return err.Error()
	}
	return c.daemon.Docker("ps", "-a") + "\n" + string(log[max(0, len(log)-6000):])
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
