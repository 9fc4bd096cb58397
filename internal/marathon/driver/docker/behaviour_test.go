package docker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker/dockertest"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// goes on until it is asked to end.
const runsOn = `trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done`

// TestBehaviour tries on one daemon what the contract does not say.
func TestBehaviour(t *testing.T) {
	daemon := dockertest.Start(t)
	daemon.Shell(shell, "/")
	for name, test := range map[string]func(*testing.T, *trial){
		"docker parameters reach the container":                parametersReach,
		"what nobody knows is refused":                         refusals,
		"ports are published where the host is":                portsArePublished,
		"the network of the host":                              hostNetwork,
		"commands, arguments and entrypoints":                  commands,
		"secrets are files, folders of the host are there":     filesAreThere,
		"a port of a stranger is avoided":                      strangersPort,
		"a container that was made and not started is dropped": madeNotStarted,
		"resources kept for a role":                            keptForRole,
		"one task on a volume, whoever asks":                   twoSchedulers,
		"a volume of somebody else's is left alone":            strangersVolume,
		"a volume that is gone is said to be":                  volumeGone,
		"a container that somebody removed is gone":            containerGone,
		"resources are limits":                                 resourcesAreLimits,
		"a task that uses too much memory says so":             outOfMemory,
		"an image that declares volumes keeps them":            declaredVolumes,
		"health checks at ports":                               portChecks,
		"files are fetched into the sandbox":                   filesAreFetched,
		"files that cannot be had":                             filesNotToBeHad,
		"a kill while files are fetched":                       killedWhileFetching,
		"over TCP, with and without TLS":                       overTCP,
		"a gpu that the daemon does not know":                  strangeGPU,
		"an image that cannot be had":                          missingImage,
		"a disk that is full":                                  fullDisk,
		"a daemon that hangs makes nobody sick":                silentChecks,
		"several networks":                                     severalNetworks,
		"images behind a login":                                privateImages,
	} {
		t.Run(name, func(t *testing.T) {
			daemon.Clear()
			test(t, newTrial(t, daemon))
		})
	}
}

// trial is one driver under test.
type trial struct {
	*Driver
	t      *testing.T
	daemon *dockertest.Daemon
	cfg    Config
}

const testFramework = "test"

func newTrial(t *testing.T, daemon *dockertest.Daemon) *trial {
	t.Helper()
	r := &trial{t: t, daemon: daemon, cfg: testConfig(t, daemon.Endpoint)}
	r.cfg.Aliases = map[string]string{"etcd-node1": "10.91.0.21"}
	r.cfg.Dir = t.TempDir()
	r.cfg.Env = map[string]string{"GIVEN": "to all", "GREETING": "overruled"}
	r.Driver = r.another()
	return r
}

// another is one more driver of the same framework.
func (r *trial) another() *Driver {
	r.t.Helper()
	d := open(r.t, r.cfg)
	r.t.Cleanup(func() {
		if d.life.Err() == nil {
			_ = d.Close()
		}
	})
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if _, err := d.Subscribe(ctx, testFramework); err != nil {
		r.t.Fatal(err)
	}
	return d
}

// reopen is what the death of a driver and the next one do.
func (r *trial) reopen() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.Driver = r.another()
}

func (r *trial) spec(n int, a app.App) driver.Spec {
	instance := app.NewInstanceID("/trial", "00000000-0000-4000-8000-00000000000"+string(rune('0'+n)))
	a.ID = "/trial"
	if a.Container == nil {
		a.Container = &app.Container{}
	}
	a.Container.Type = app.ContainerDocker
	if a.Container.Docker == nil {
		a.Container.Docker = &app.Docker{}
	}
	if a.Container.Docker.Image == "" {
		a.Container.Docker.Image = shell
	}
	return driver.Spec{
		Task: app.NewTaskID(instance, 1), Instance: instance, Host: "docker1", Offer: "docker1", App: a,
		Resources: place.Resources{CPUs: 0.5, Mem: 64}, Env: map[string]string{"GREETING": "hello"},
	}
}

func (r *trial) launch(s driver.Spec) driver.Spec {
	r.t.Helper()
	if err := r.Launch(r.t.Context(), s); err != nil {
		r.t.Fatalf("launch: %v", err)
	}
	return s
}

func (r *trial) reserve(s driver.Spec) {
	r.t.Helper()
	err := r.Reserve(r.t.Context(), driver.Reservation{Volume: s.Volume, Instance: s.Instance, Host: s.Host, App: s.App})
	if err != nil {
		r.t.Fatalf("reserve: %v", err)
	}
}

// await waits for a state of a task at a driver.
func (r *trial) await(s driver.Spec, state app.TaskState) driver.Status {
	r.t.Helper()
	return r.awaitAt(r.Driver, s, func(got driver.Status) bool { return got.State == state })
}

func (r *trial) awaitAt(d *Driver, s driver.Spec, want func(driver.Status) bool) driver.Status {
	r.t.Helper()
	var seen []driver.Event
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case e := <-d.Events():
			seen = append(seen, e)
			if c, ok := e.(driver.StatusChanged); ok && c.Status.Task == s.Task && want(c.Status) {
				return c.Status
			}
		case <-limit.C:
			r.t.Fatalf("what was waited for did not happen, but %v", seen)
		}
	}
}

// inspect reads something off a task's container.
func (r *trial) inspect(s driver.Spec, format string) string {
	r.t.Helper()
	return r.daemon.Docker("inspect", "-f", format, newRecord(s, nil).container())
}

// finishes runs a script that has to end well.
func (r *trial) finishes(n int, a app.App) {
	r.t.Helper()
	s := r.launch(r.spec(n, a))
	if got := r.awaitAt(r.Driver, s, func(got driver.Status) bool { return got.State.Terminal() }); got.State != app.TaskFinished {
		r.t.Errorf("it ended with %s: %s", got.State, got.Message)
	}
}

func parametersReach(t *testing.T, r *trial) {
	a := app.App{Cmd: runsOn, Container: &app.Container{Docker: &app.Docker{}}}
	for _, p := range []string{
		"shm-size=256m", "label=team=dba", "env=COLOUR=blue", "ulimit=nofile=1024:2048", "cap-add=SYS_NICE", "cap-drop=MKNOD", "add-host=there:10.1.2.3",
		"dns=10.9.9.9", "hostname=pg", "user=65534", "workdir=/tmp", "tmpfs=/scratch:size=16m", "device=/dev/null:/dev/nothing:r", "sysctl=kernel.msgmax=65536",
		"security-opt=no-new-privileges", "read-only=", "stop-signal=SIGINT", "pids-limit=100", "oom-score-adj=500", "init=false", "expose=9000/tcp",
		"log-driver=json-file", "log-opt=max-size=10m", "memory-swap=-1", "cpus=1.5", "ipc=private", "group-add=5", "stop-timeout=7", "cpuset-cpus=0",
	} {
		k, v, _ := strings.Cut(p, "=")
		a.Container.Docker.Parameters = append(a.Container.Docker.Parameters, app.Parameter{Key: k, Value: v})
	}
	s := r.launch(r.spec(1, a))
	r.await(s, app.TaskRunning)
	for format, want := range map[string]string{
		"{{.HostConfig.ShmSize}}": "268435456", `{{index .Config.Labels "team"}}`: "dba", "{{.HostConfig.CapAdd}}": "SYS_NICE", "{{.Config.Hostname}}": "pg",
		"{{.Config.User}}": "65534", "{{.HostConfig.Tmpfs}}": "/scratch:size=16m", "{{(index .HostConfig.Ulimits 0).Hard}}": "2048", "{{.Config.Env}}": "COLOUR=blue",
		"{{.HostConfig.ReadonlyRootfs}}": "true", "{{.Config.StopSignal}}": "SIGINT", "{{.HostConfig.PidsLimit}}": "100", "{{.HostConfig.Sysctls}}": "kernel.msgmax:65536",
		"{{.HostConfig.ExtraHosts}}": "there:10.1.2.3", "{{.HostConfig.NanoCpus}}": "1500000000", "{{.HostConfig.LogConfig.Config}}": "max-size:10m",
		`{{index .Config.Labels "io.pgbaton.host"}}`: "docker1", "{{.HostConfig.RestartPolicy.Name}}": "no",
	} {
		if got := r.inspect(s, format); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", format, got, want)
		}
	}
	if err := r.Kill(t.Context(), s.Task, 0); err != nil { // it does not listen to SIGINT
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
}

func refusals(t *testing.T, r *trial) {
	odd := r.spec(1, app.App{Cmd: "true", Container: &app.Container{Docker: &app.Docker{Parameters: []app.Parameter{{Key: "frobnicate"}}}}})
	if err := r.Launch(t.Context(), odd); !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), `"frobnicate" is not known`) {
		t.Errorf("a parameter nobody knows: %v", err)
	}
	executor := r.spec(1, app.App{Executor: "/opt/executor"})
	if err := r.Launch(t.Context(), executor); !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "program for Mesos' agents") {
		t.Errorf("an executor: %v", err)
	}
	bare := r.spec(1, app.App{Cmd: "true"})
	bare.App.Container = nil
	if err := r.Launch(t.Context(), bare); err == nil || !strings.Contains(err.Error(), "no container image") {
		t.Errorf("without image: %v", err)
	}
	lost := r.spec(1, app.App{Cmd: "true"})
	lost.Volume = "never-made"
	if err := r.Launch(t.Context(), lost); err == nil || !strings.Contains(err.Error(), "hide the loss") {
		t.Errorf("on a volume that is not there: %v", err)
	}
	wrong := r.launch(r.spec(3, app.App{Cmd: "true", User: "nobody-knows"}))
	if got := r.awaitAt(r.Driver, wrong, func(s driver.Status) bool { return s.State.Terminal() }); !strings.Contains(got.Message, "nobody-knows") {
		t.Errorf("a user that the image does not have: %q", got.Message)
	}
}

func bridged(cmd string, ports ...app.PortMapping) app.App {
	return app.App{Cmd: cmd, Networks: []app.Network{{Mode: app.NetworkBridge}}, Container: &app.Container{PortMappings: ports}}
}

func portsArePublished(t *testing.T, r *trial) {
	some := 0
	a := bridged(`while :; do echo "$GREETING $GIVEN $HOST_IP" | nc -l -p 8008; done`,
		app.PortMapping{ContainerPort: 5432, HostPort: &some, Protocol: "tcp"}, app.PortMapping{ContainerPort: 8008, HostPort: &some, Protocol: "udp,tcp"}, app.PortMapping{ContainerPort: 9})
	s := r.spec(1, a)
	s.Ports = []int{31500, 31501, 0}
	r.launch(s)
	status := r.await(s, app.TaskRunning)
	if len(status.Addresses) != 1 || !strings.HasPrefix(status.Addresses[0].IPAddress, "172.") {
		t.Errorf("addresses of its own: %v", status.Addresses)
	}
	if got := r.read("10.91.0.11:31501"); got != "hello to all 10.91.0.11" {
		t.Errorf("at the published port: %q", got)
	}
	if got := r.inspect(s, "{{.HostConfig.ExtraHosts}}"); got != "[docker1:10.91.0.11 docker2:10.91.0.12 etcd-node1:10.91.0.21]" {
		t.Errorf("names: %s", got)
	}
	if err := r.Kill(t.Context(), s.Task, 0); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
}

// A task joins all its networks, and tells its addresses in their order.
func severalNetworks(t *testing.T, r *trial) {
	for name, subnet := range map[string]string{"zulu": "10.92.1.0/24", "alpha": "10.92.2.0/24"} {
		r.daemon.Docker("network", "create", "--subnet", subnet, name)
	}
	t.Cleanup(func() {
		r.daemon.Clear()
		r.daemon.Docker("network", "rm", "zulu", "alpha")
	})
	some := 0
	a := bridged(`while :; do echo here | nc -l -p 8008; done`, app.PortMapping{ContainerPort: 8008, HostPort: &some, NetworkNames: []string{"alpha"}})
	a.Networks = []app.Network{{Mode: app.NetworkContainer, Name: "zulu"}, {Mode: app.NetworkContainer, Name: "alpha"}}
	s := r.spec(1, a)
	s.Ports = []int{31510}
	r.launch(s)
	status := r.await(s, app.TaskRunning)
	if len(status.Addresses) != 2 || !strings.HasPrefix(status.Addresses[0].IPAddress, "10.92.1.") || !strings.HasPrefix(status.Addresses[1].IPAddress, "10.92.2.") {
		t.Fatalf("addresses: %v", status.Addresses)
	}
	for _, at := range []string{"10.91.0.11:31510", status.Addresses[0].IPAddress + ":8008", status.Addresses[1].IPAddress + ":8008"} {
		if got := r.read(at); got != "here" {
			t.Errorf("at %s: %q", at, got)
		}
	}
	r.reopen()
	if again := r.await(s, app.TaskRunning); !slices.Equal(again.Addresses, status.Addresses) {
		t.Errorf("addresses of the adopted task: %v", again.Addresses)
	}
	a.Networks[1].Name = "nowhere"
	lost := r.launch(r.spec(2, a))
	if got := r.await(lost, app.TaskFailed); !strings.Contains(got.Message, "network nowhere") {
		t.Errorf("a network that is not there: %q", got.Message)
	}
	a.Networks = a.Networks[1:]
	lost = r.launch(r.spec(3, a))
	if got := r.await(lost, app.TaskFailed); !strings.Contains(got.Message, "nowhere") {
		t.Errorf("only a network that is not there: %q", got.Message)
	}
}

// read reads one line from an address, where the task may not listen yet.
func (r *trial) read(address string) string {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			continue
		}
		line := make([]byte, 200)
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, _ := conn.Read(line)
		_ = conn.Close()
		if n > 0 {
			return string(bytes.TrimSpace(line[:n]))
		}
	}
	r.t.Fatalf("nobody answers at %s", address)
	return ""
}

func hostNetwork(t *testing.T, r *trial) {
	s := r.spec(1, app.App{Cmd: `while :; do echo on $PORT0 | nc -l -p $PORT0; done`, PortDefinitions: []app.PortDefinition{{}}})
	s.Ports, s.Env["PORT0"] = []int{31600}, "31600"
	r.launch(s)
	if status := r.await(s, app.TaskRunning); status.Addresses != nil {
		t.Errorf("it has addresses of its own: %v", status.Addresses)
	}
	if got := r.read("10.91.0.1" + "1:31600"); got != "on 31600" {
		t.Errorf("at its port: %q", got)
	}
	if err := r.Kill(t.Context(), s.Task, 0); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
}

func commands(_ *testing.T, r *trial) {
	entry := []app.Parameter{{Key: "entrypoint", Value: "/bin/test"}}
	r.finishes(1, app.App{Cmd: `test "$0" != x && test $((1+1)) = 2`})
	r.finishes(2, app.App{Args: []string{"/bin/sh", "-c", "exit 0"}})
	r.finishes(3, app.App{Args: []string{"a b", "=", "a b"}, Container: &app.Container{Docker: &app.Docker{Parameters: entry}}})
	r.finishes(4, app.App{Cmd: `test "$(id -u)" = 65534 && echo x >$MESOS_SANDBOX/x`, User: "65534"})
	s := r.launch(r.spec(5, app.App{Args: []string{"/no/such/program"}}))
	r.await(s, app.TaskFailed)
}

func filesAreThere(t *testing.T, r *trial) {
	outside := t.TempDir()
	a := app.App{
		Cmd: `test "$(cat /etc/secrets/password)" = s3cr3t && test "$(cat $MESOS_SANDBOX/token)" = t0k3n && echo seen >/outside/file && ! touch /readonly/x`,
		Container: &app.Container{Volumes: []app.Volume{
			{ContainerPath: "/etc/secrets/password", Secret: "pw"},
			{ContainerPath: "token", Secret: "tk"},
			{ContainerPath: "/outside", HostPath: outside, Mode: "RW"},
			{ContainerPath: "/readonly", HostPath: outside, Mode: "RO"},
		}},
	}
	s := r.spec(1, a)
	s.Secrets = map[string]secret.Text{"pw": "s3cr3t", "tk": "t0k3n"}
	r.launch(s)
	r.await(s, app.TaskFinished)
	if got := r.inspect(s, "{{.Config.Env}} {{.Config.Labels}}"); strings.Contains(got, "s3cr3t") {
		t.Error("the secret stands on the container")
	}
	without := r.launch(r.spec(2, a))
	if got := r.await(without, app.TaskFailed); !strings.Contains(got.Message, "nobody knows secret pw") {
		t.Errorf("without the secret: %q", got.Message)
	}
}

func strangersPort(t *testing.T, r *trial) {
	l, err := net.Listen("tcp", "10.91.0.11:31700")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // only listened
	some := 0
	s := r.spec(1, bridged(runsOn, app.PortMapping{ContainerPort: 80, HostPort: &some}))
	s.Ports = []int{31700}
	r.launch(s)
	if got := r.await(s, app.TaskDropped); !strings.Contains(got.Message, "in use by another program") {
		t.Errorf("message: %q", got.Message)
	}
	offers, err := r.Offers(t.Context())
	if err != nil || offers[0].Ports.Contains(31700) || !offers[0].Ports.Contains(31701) {
		t.Errorf("offers: %v, %v", offers, err)
	}
	if left := r.daemon.Docker("ps", "-aq"); left != "" {
		t.Errorf("it left containers behind: %s", left)
	}
}

func madeNotStarted(t *testing.T, r *trial) {
	s := r.spec(1, app.App{Cmd: runsOn})
	s.Volume = "half-made"
	r.reserve(s)
	labels, err := newRecord(s, nil).labels(testFramework, nil)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"create", "--name", newRecord(s, nil).container()}
	for k, v := range labels {
		args = append(args, "--label", k+"="+v)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.daemon.Docker(append(args, shell, "true")...)
	r.Driver = r.another()
	r.await(s, app.TaskDropped)
	if left := r.daemon.Docker("ps", "-aq"); left != "" {
		t.Errorf("the container is still there: %s", left)
	}
	r.launchAgain(s)
}

// launchAgain launches the next task of an instance.
func (r *trial) launchAgain(s driver.Spec) driver.Spec {
	r.t.Helper()
	s.Task = app.NewTaskID(s.Instance, s.Task.Incarnation()+1)
	r.launch(s)
	r.await(s, app.TaskRunning)
	return s
}

func keptForRole(t *testing.T, r *trial) {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h := &r.cfg.Daemons[0].Hosts[0]
	h.Roles, h.Region, h.Zone = []string{"databases"}, "north", "a"
	r.Driver = r.another()
	offers, err := r.Offers(t.Context())
	if err != nil || offers[0].Free.CPUs != 0 || offers[0].Reserved["databases"].CPUs != 4 || offers[0].Region != "north" || offers[0].Zone != "a" {
		t.Errorf("offers: %+v, %v", offers, err)
	}
	s := r.launch(r.spec(1, app.App{Cmd: "exit 0"}))
	r.await(s, app.TaskFinished)
}

// This machine's daemon has no runtime for GPUs, so it has to say so.
func strangeGPU(_ *testing.T, r *trial) {
	r.cfg.Daemons[0].Hosts[0].GPUs = []GPU{{ID: "GPU-1"}}
	r.reopen()
	s := r.spec(1, app.App{Cmd: "true", GPUs: 1})
	s.Resources.GPUs = 1
	r.launch(s)
	if got := r.await(s, app.TaskFailed); !strings.Contains(got.Message, "device driver") {
		r.t.Errorf("message: %q", got.Message)
	}
}

func missingImage(_ *testing.T, r *trial) {
	a := app.App{Cmd: "true", Container: &app.Container{Docker: &app.Docker{Image: "127.0.0.1:1/nobody/has:1"}}}
	s := r.launch(r.spec(1, a))
	got := r.await(s, app.TaskFailed)
	if want := "image 127.0.0.1:1/nobody/has:1 cannot be pulled to host docker1: "; !strings.HasPrefix(got.Message, want) || !strings.Contains(got.Message, "connection refused") {
		r.t.Errorf("message: %q", got.Message)
	}
}

// A daemon whose disk is full says no, which is not the same as silence; what it has stays as it is.
func fullDisk(t *testing.T, r *trial) {
	s := r.spec(1, app.App{Cmd: runsOn})
	s.Volume = "in-time"
	r.reserve(s)
	r.launch(s)
	r.await(s, app.TaskRunning)
	volumes := r.daemon.Docker("info", "-f", "{{.DockerRootDir}}") + "/volumes"
	if err := unix.Mount("tmpfs", volumes, "tmpfs", 0, "nr_inodes=1"); err != nil {
		t.Fatal(err)
	}
	full := true
	free := func() {
		if full {
			full = false
			if err := unix.Unmount(volumes, 0); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(free)
	late := r.spec(2, app.App{Cmd: runsOn})
	late.Volume = "too-late"
	reservation := driver.Reservation{Volume: late.Volume, Instance: late.Instance, Host: late.Host, App: late.App}
	if err := r.Reserve(t.Context(), reservation); !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("reserve: %v", err)
	}
	s.App.Container.Volumes = []app.Volume{{ContainerPath: "/more", Persistent: &app.PersistentVolume{}}}
	if err := r.Kill(t.Context(), s.Task, patience); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
	s.Task = app.NewTaskID(s.Instance, 2)
	r.launch(s)
	if got := r.await(s, app.TaskFailed); !strings.Contains(got.Message, "make volume for /more") || !strings.Contains(got.Message, "no space left") {
		t.Errorf("launch: %q", got.Message)
	}
	free()
	r.reserve(late)
	r.launchAgain(s)
}

func twoSchedulers(t *testing.T, r *trial) {
	s := r.spec(1, app.App{Cmd: runsOn})
	s.Volume = "wanted-twice"
	r.reserve(s)
	rival := r.another()
	next := s
	next.Task = app.NewTaskID(s.Instance, 2)
	first, second := r.Launch(t.Context(), s), rival.Launch(t.Context(), next)
	if first != nil || second != nil {
		t.Fatalf("launch: %v and %v", first, second)
	}
	settled := func(got driver.Status) bool { return got.State == app.TaskRunning || got.State.Terminal() }
	states := []app.TaskState{r.awaitAt(r.Driver, s, settled).State, r.awaitAt(rival, next, settled).State}
	slices.Sort(states)
	if !slices.Equal(states, []app.TaskState{app.TaskDropped, app.TaskRunning}) {
		t.Errorf("the two tasks are %v", states)
	}
	if n := len(strings.Fields(r.daemon.Docker("ps", "-q"))); n != 1 {
		t.Errorf("%d containers run", n)
	}
}

func strangersVolume(t *testing.T, r *trial) {
	r.daemon.Docker("volume", "create", prefix+"precious")
	err := r.Reserve(t.Context(), driver.Reservation{Volume: "precious", Instance: r.spec(1, app.App{}).Instance, Host: "docker1"})
	if err == nil || !strings.Contains(err.Error(), "was not made for this") {
		t.Errorf("reserve: %v", err)
	}
}

func volumeGone(t *testing.T, r *trial) {
	s := r.spec(1, app.App{})
	s.Volume = "lost"
	r.reserve(s)
	r.daemon.Docker("volume", "rm", prefix+"lost")
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case e := <-r.Events():
			if v, ok := e.(driver.VolumeChanged); ok && !v.There {
				return
			}
		case <-limit.C:
			t.Fatal("nobody said so")
		}
	}
}

func containerGone(_ *testing.T, r *trial) {
	s := r.launch(r.spec(1, app.App{Cmd: runsOn}))
	r.await(s, app.TaskRunning)
	r.daemon.Docker("rm", "-f", newRecord(s, nil).container())
	r.awaitAt(r.Driver, s, func(got driver.Status) bool { return got.State.Terminal() })
}

func resourcesAreLimits(t *testing.T, r *trial) {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.cfg.CPUQuota = true
	r.Driver = r.another()
	s := r.launch(r.spec(1, app.App{Cmd: runsOn}))
	r.await(s, app.TaskRunning)
	if got := r.inspect(s, "{{.HostConfig.CpuShares}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}"); got != "512 67108864 500000000" {
		t.Errorf("shares, memory and quota: %s", got)
	}
}

func outOfMemory(t *testing.T, r *trial) {
	s := r.launch(r.spec(1, app.App{Cmd: `a=x; while :; do a=$a$a; done`}))
	if got := r.awaitAt(r.Driver, s, func(got driver.Status) bool { return got.State.Terminal() }); got.State != app.TaskFailed || !strings.Contains(got.Message, "memory") {
		t.Errorf("it ended with %s: %q", got.State, got.Message)
	}
}

func declaredVolumes(_ *testing.T, r *trial) {
	r.daemon.Shell("declares:latest", "/")
	r.daemon.Docker("create", "--name", "template", "declares:latest", "true")
	r.daemon.Docker("commit", "--change", "VOLUME /data", "template", "declares:latest")
	s := r.spec(1, app.App{Cmd: "echo kept >/data/file; echo kept >$MESOS_SANDBOX/file", Container: &app.Container{Docker: &app.Docker{Image: "declares:latest"}}})
	s.Volume = "declared"
	r.reserve(s)
	r.launch(s)
	end := r.await(s, app.TaskFinished)
	if err := r.Ack(r.t.Context(), end); err != nil {
		r.t.Fatal(err)
	}
	r.reopen()
	next := s
	next.Task = app.NewTaskID(s.Instance, 2)
	next.App.Cmd = "cat /data/file $MESOS_SANDBOX/file"
	r.launch(next)
	r.await(next, app.TaskFinished)
	persists := s
	persists.Task = app.NewTaskID(s.Instance, 3)
	persists.App = app.App{Cmd: "test ! -e $MESOS_SANDBOX/file && test -d /data && echo kept >pg/x", Container: &app.Container{
		Docker: &app.Docker{Image: shell}, Type: app.ContainerDocker, Volumes: []app.Volume{{ContainerPath: "/data", Persistent: &app.PersistentVolume{Size: 1}}},
	}}
	persists.App.Cmd = "test ! -e $MESOS_SANDBOX/file && test -e /data/file"
	r.launch(persists)
	r.await(persists, app.TaskFinished)
}

func portChecks(t *testing.T, r *trial) {
	some, index, port := 0, 0, 8080
	// a server that takes connections of several checks at once
	a := bridged(`mkdir /www && echo well >/www/index.html && exec httpd -f -p 8080 -h /www`, app.PortMapping{ContainerPort: 8080, HostPort: &some})
	a.HealthChecks = []app.HealthCheck{
		{Protocol: app.ProtocolMesosTCP, PortIndex: &index, IntervalSeconds: 1, TimeoutSeconds: 2, MaxConsecutiveFailures: 3, GracePeriodSeconds: 20},
		{Protocol: app.ProtocolMesosHTTP, Port: &port, Path: "/", IntervalSeconds: 1, TimeoutSeconds: 2, MaxConsecutiveFailures: 3, GracePeriodSeconds: 20},
		{Protocol: app.ProtocolCommand, Command: &app.Command{Value: "true"}, IntervalSeconds: 1, TimeoutSeconds: 2, MaxConsecutiveFailures: 3},
	}
	s := r.spec(1, a)
	s.Ports = []int{31800}
	r.launch(s)
	healthy := func(got driver.Status) bool { return got.Healthy != nil && *got.Healthy }
	r.awaitAt(r.Driver, s, healthy)
	r.reopen()
	r.awaitAt(r.Driver, s, healthy)
	if err := r.Kill(t.Context(), s.Task, 0); err != nil {
		t.Fatal(err)
	}
	r.await(s, app.TaskKilled)
}

func TestConfigIsChecked(t *testing.T) {
	host := Host{Name: "a", Address: "10.0.0.1"}
	for word, c := range map[string]Config{
		"at least one daemon": {}, "neither unix": {Daemons: []Daemon{{Endpoint: "http://x", Hosts: []Host{host}}}},
		"stands for no host": {Daemons: []Daemon{{Endpoint: "unix:///x"}}}, "used twice": {Daemons: []Daemon{{Endpoint: "unix:///x", Hosts: []Host{host, host}}}},
		"is not an IP address": {Daemons: []Daemon{{Endpoint: "unix:///x", Hosts: []Host{{Name: "a", Address: "somewhere"}}}}},
	} {
		if _, err := Open(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want %q", err, word)
		}
	}
}
