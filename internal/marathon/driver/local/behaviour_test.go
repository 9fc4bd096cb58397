package local

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/process"
)

const patience = 20 * time.Second

// untilTERM is a task that runs until it is asked to end.
const untilTERM = `trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done`

// bench is a driver under test.
type bench struct {
	*Driver
	t   *testing.T
	cfg Config
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	cfg := testConfig(t)
	for _, c := range change {
		c(&cfg)
	}
	b := &bench{Driver: open(t, cfg), t: t, cfg: cfg}
	t.Cleanup(b.end)
	return b
}

// end ends everything that works in the folder, whatever became of the test.
func (b *bench) end() {
	_ = b.Close()
	_ = killAll([]string{string(b.dir)})
}

func (b *bench) reopen() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.Driver = open(b.t, b.cfg)
}

var instance = app.NewInstanceID("/bench", "00000000-0000-4000-8000-000000000001")

// task is an incarnation of the bench's only instance, on node1 and with a volume.
func task(incarnation int, cmd string) driver.Spec {
	return driver.Spec{
		Task: app.NewTaskID(instance, incarnation), Instance: instance, Host: "node1", App: app.App{Cmd: cmd}, Volume: string(instance),
		Resources: place.Resources{CPUs: 1, Mem: 128},
	}
}

// imageApp is an app that is nothing but an image.
func imageApp(image string) app.App {
	return app.App{Container: &app.Container{Type: app.ContainerDocker, Docker: &app.Docker{Image: image}}}
}

func (b *bench) launch(s driver.Spec) {
	b.t.Helper()
	if err := b.Launch(b.t.Context(), s); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) await(s driver.Spec, state app.TaskState) driver.Status {
	b.t.Helper()
	return b.awaitThat(s, func(got app.TaskState) bool { return got == state }, string(state))
}

func (b *bench) awaitEnd(s driver.Spec) driver.Status {
	b.t.Helper()
	return b.awaitThat(s, app.TaskState.Terminal, "at an end")
}

func (b *bench) awaitThat(s driver.Spec, want func(app.TaskState) bool, what string) driver.Status {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	for {
		select {
		case e := <-b.Events():
			if c, ok := e.(driver.StatusChanged); ok && c.Status.Task == s.Task && want(c.Status.State) {
				return c.Status
			}
		case <-ctx.Done():
			b.t.Fatalf("%s never was %s", s.Task, what)
		}
	}
}

// said waits for a file that the task writes into its volume, whole lines only.
func (b *bench) said(name string) string {
	b.t.Helper()
	path := filepath.Join(b.dir.volume(string(instance)), name)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), "\n") {
			return strings.TrimSpace(string(text))
		}
		time.Sleep(time.Millisecond) // a file written by another process has no event here
	}
	b.t.Fatalf("%s was never written", name)
	return ""
}

// lives reports whether a process runs.
func lives(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false
	}
	_, err = process.Ticks(n)
	return err == nil
}

func TestFolderHasOneDriver(t *testing.T) {
	b := newBench(t)
	if _, err := Open(b.cfg, b.log); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second driver: %v", err)
	}
}

// TestServerSurvivesItsAgent says: when the main process ends by itself, what it started with its volume goes on, is
// there for the next incarnation, and ends with a kill.
func TestServerSurvivesItsAgent(t *testing.T) {
	b := newBench(t)
	agent := task(1, `setsid sh -c 'mkdir -p data; cd data; echo $$ >../server; exec sleep 1000' & while ! test -s server; do sleep 0.01; done; exit 1`)
	b.launch(agent)
	b.await(agent, app.TaskFailed)
	server := b.said("server")
	if !lives(server) {
		t.Fatal("the server died with its agent")
	}
	next := task(2, untilTERM)
	b.launch(next)
	b.await(next, app.TaskRunning)
	if !lives(server) {
		t.Fatal("the server died at the start of the next agent")
	}
	if err := b.Kill(t.Context(), next.Task, patience); err != nil {
		t.Fatal(err)
	}
	b.await(next, app.TaskKilled)
	if lives(server) {
		t.Error("the server survived the kill of its task")
	}
}

// TestKillOfAnEndedTask says: what a dead agent left behind can be ended although the task has ended.
func TestKillOfAnEndedTask(t *testing.T) {
	b := newBench(t)
	agent := task(1, `setsid sh -c 'echo $$ >server; exec sleep 1000' & while ! test -s server; do sleep 0.01; done; exit 1`)
	b.launch(agent)
	status := b.await(agent, app.TaskFailed)
	if err := b.Ack(t.Context(), status); err != nil {
		t.Fatal(err)
	}
	server := b.said("server")
	if err := b.Kill(t.Context(), agent.Task, patience); err != nil {
		t.Fatal(err)
	}
	b.await(agent, app.TaskGone)
	if lives(server) {
		t.Error("the server is still there")
	}
}

// TestSandboxEndsWithItsTask says: without a volume nothing is worth keeping, neither processes nor files.
func TestSandboxEndsWithItsTask(t *testing.T) {
	b := newBench(t)
	s := task(1, `sleep 1000 & echo $! >&2; exit 3`)
	s.Volume = ""
	b.launch(s)
	status := b.await(s, app.TaskFailed)
	child := status.Message[strings.LastIndex(status.Message, " ")+1:]
	if lives(child) {
		t.Errorf("process %s outlived its task", child)
	}
	if err := b.Ack(t.Context(), status); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.dir.sandbox(s.Task)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the sandbox is still there: %v", err)
	}
}

// TestStubbornTaskIsEndedAsAWhole says: after the grace everything in the volume is killed, children in other sessions and
// sub-folders included, and a process of a person is not.
func TestStubbornTaskIsEndedAsAWhole(t *testing.T) {
	b := newBench(t)
	s := task(1, `trap '' TERM; mkdir -p a/b; (cd a/b; setsid sh -c 'trap "" TERM; echo $$ >../../deep; while :; do sleep 1; done') & while :; do sleep 1; done`)
	b.launch(s)
	b.await(s, app.TaskRunning)
	deep := b.said("deep")
	if err := b.Kill(t.Context(), s.Task, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskKilled)
	if lives(deep) {
		t.Error("a child of another session survived")
	}
}

// TestKillIsFinishedByTheNextDriver says: a kill under way is not forgotten when the scheduler dies.
func TestKillIsFinishedByTheNextDriver(t *testing.T) {
	b := newBench(t)
	s := task(1, `trap '' TERM; while :; do sleep 1; done`)
	b.launch(s)
	b.await(s, app.TaskRunning)
	if err := b.Kill(t.Context(), s.Task, time.Second); err != nil {
		t.Fatal(err)
	}
	b.await(s, app.TaskKilling)
	b.reopen()
	b.await(s, app.TaskKilled)
}

// TestPowerCutTakesEverything says: what a dead agent left behind on the host ends with it too, at once and for good.
func TestPowerCutTakesEverything(t *testing.T) {
	b := newBench(t)
	s := task(1, `trap '' TERM; setsid sh -c 'echo $$ >server; exec sleep 1000' & while :; do sleep 1; done`)
	b.launch(s)
	b.await(s, app.TaskRunning)
	server := b.said("server")
	if err := b.KillHost(t.Context(), "node1"); err != nil {
		t.Fatal(err)
	}
	if lives(server) {
		t.Error("the server survived the power cut")
	}
	b.await(s, app.TaskUnreachable)
	if err := b.StartHost(t.Context(), "node1"); err != nil {
		t.Fatal(err)
	}
	if got := b.await(s, app.TaskFailed); !strings.Contains(got.Message, "power") {
		t.Errorf("the message is %q", got.Message)
	}
	if err := b.KillHost(t.Context(), "node9"); !errors.Is(err, app.ErrUnknownHost) || !strings.Contains(err.Error(), "node1, node2") {
		t.Errorf("an unknown host: %v", err)
	}
}

func TestPortsOfOtherPrograms(t *testing.T) {
	b := newBench(t)
	address := b.cfg.Hosts[0].Address
	well, err := net.Listen("tcp", net.JoinHostPort(address, "5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = well.Close() }()
	inRange, err := net.Listen("tcp", net.JoinHostPort(address, "31000"))
	if err != nil {
		t.Fatal(err)
	}
	if o := b.offerOf("node1"); o.Ports.Contains(5432) || !o.Ports.Contains(31000) {
		t.Errorf("offered are %v; nobody looks at a whole range, but at the single port", o.Ports)
	}
	s := task(1, untilTERM)
	s.Ports = []int{31000}
	err = b.Launch(t.Context(), s)
	if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("launch on a used port: %v", err)
	}
	if b.offerOf("node1").Ports.Contains(31000) {
		t.Error("the port is offered again")
	}
	closeListener(t, inRange)
	if !b.offerOf("node1").Ports.Contains(31000) {
		t.Error("the port is free and not offered")
	}
	b.launch(s)
	b.await(s, app.TaskRunning)
}

// TestPortOfItsOwnServer says: the server a dead agent left behind does not keep the next incarnation from its port.
func TestPortOfItsOwnServer(t *testing.T) {
	b := newBench(t)
	first := task(1, `exit 1`)
	first.Ports = []int{5432}
	b.launch(first)
	b.await(first, app.TaskFailed)
	server, err := net.Listen("tcp", net.JoinHostPort(b.cfg.Hosts[0].Address, "5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	if !b.offerOf("node1").Ports.Contains(5432) {
		t.Error("the port is not offered to the volume it belongs to")
	}
	second := task(2, untilTERM)
	second.Ports = []int{5432}
	b.launch(second)
	b.await(second, app.TaskRunning)
}

func closeListener(t *testing.T, l net.Listener) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) offerOf(host string) place.Offer {
	b.t.Helper()
	offers, err := b.Offers(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(offers, func(o place.Offer) bool { return o.Host == host })
	return offers[i]
}

func TestEnvironmentOfATask(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Env = map[string]string{"SECRET": "s3cret", "SHARED": "platform"}
		c.Aliases = map[string]string{"etcd-node1": "127.0.0.21"}
		c.Images = []Image{{Pattern: "patroni:*", Command: []string{"sh", "-c", "env | sort >$0.part; mv $0.part $0; exec sleep 1000", "{MESOS_SANDBOX}/{NAME}"}}}
	})
	s := task(1, "")
	s.App.Container = imageApp("registry.example/team/patroni").Container
	s.Env = map[string]string{"NAME": "env", "SHARED": "app", "HOST_IP": "6.6.6.6", "HOST": "node1"}
	b.launch(s)
	b.await(s, app.TaskRunning)
	got := map[string]string{}
	for line := range strings.Lines(b.said("env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		got[name] = value
	}
	volume, address := b.dir.volume(string(instance)), b.cfg.Hosts[0].Address
	for name, want := range map[string]string{
		"SECRET": "s3cret", "SHARED": "app", "HOST": "node1", "HOST_IP": address, "PGBATON_BIND_ADDRESS": address,
		"MESOS_SANDBOX": volume, "PGBATON_VOLUME_ROOT": volume, "HOME": volume, "PWD": volume, "MESOS_TASK_ID": string(s.Task),
		"PGBATON_HOST_ALIASES": "etcd-node1=127.0.0.21,node1=" + address + ",node2=" + b.cfg.Hosts[1].Address,
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestWhatCannotRun(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Images = []Image{
			{Pattern: "lost:*", Command: []string{"/no/such/program"}},
			{Pattern: "leak:*", Command: []string{"sh", "{SECRET}"}},
			{Pattern: "data:*", Command: []string{"/etc/passwd"}},
		}
		c.Env = map[string]string{"SECRET": "s3cret"}
	})
	for name, test := range map[string]struct {
		change func(*driver.Spec)
		want   string
	}{
		"nothing to run":      {func(s *driver.Spec) { s.App.Cmd = "" }, "neither a container image nor a command"},
		"unknown image":       {func(s *driver.Spec) { s.App = imageApp("other:1") }, `stands for image "other:1"`},
		"missing program":     {func(s *driver.Spec) { s.App = imageApp("lost:1") }, "/no/such/program"},
		"not a program":       {func(s *driver.Spec) { s.App = imageApp("data:1") }, "/etc/passwd"},
		"secret in a command": {func(s *driver.Spec) { s.App = imageApp("leak:1") }, "no variable SECRET"},
		"another user":        {func(s *driver.Spec) { s.App.User = "daemon" }, `asks for user "daemon"`},
		"foreign volume":      {func(s *driver.Spec) { s.Volume = "../../etc" }, "not a plain name"},
		"foreign task":        {func(s *driver.Spec) { s.Task = "x/../../y" }, "is not a task id"},
	} {
		t.Run(name, func(t *testing.T) {
			s := task(1, untilTERM)
			test.change(&s)
			err := b.Launch(t.Context(), s)
			if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want a refusal with %q", err, test.want)
			}
			if _, err := os.Stat(b.dir.task(s.Task)); err == nil {
				t.Error("a record of the task was left")
			}
		})
	}
}

// TestRefusedVolumeIsNotBound says: a volume in which nothing has ever run does not keep its instance from another host.
func TestRefusedVolumeIsNotBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	b := newBench(t, func(c *Config) { c.Images = []Image{{Pattern: "x:*", Command: []string{path}}} })
	// This user finds it; the user of the tasks, when that is another one, cannot execute it and learns so at the gate.
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if b.cfg.Credential == nil {
		b.Driver.cfg.Images[0].Command = []string{filepath.Dir(path)}
	}
	s := task(1, "")
	s.App.Container = imageApp("x").Container
	if err := b.Launch(t.Context(), s); !errors.Is(err, driver.ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	elsewhere := task(2, untilTERM)
	elsewhere.Host = "node2"
	b.launch(elsewhere)
	b.await(elsewhere, app.TaskRunning)
}

// TestLostVolumeIsNotReplaced says: where data was, no empty folder takes its place.
func TestLostVolumeIsNotReplaced(t *testing.T) {
	b := newBench(t)
	first := task(1, `exit 0`)
	b.launch(first)
	b.await(first, app.TaskFinished)
	if err := os.RemoveAll(b.dir.volume(string(instance))); err != nil {
		t.Fatal(err)
	}
	if volumes := b.offerOf("node1").Volumes; len(volumes) > 0 {
		t.Errorf("the lost volume is offered: %v", volumes)
	}
	err := b.Launch(t.Context(), task(2, untilTERM))
	if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), "its folder is gone") {
		t.Errorf("got %v", err)
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"relative folder": {func(c *Config) { c.Dir = "state" }, "absolute"},
		"no hosts":        {func(c *Config) { c.Hosts = nil }, "at least one host"},
		"same name":       {func(c *Config) { c.Hosts[1].Name = c.Hosts[0].Name }, "used twice"},
		"same address":    {func(c *Config) { c.Hosts[1].Address = c.Hosts[0].Address }, "two hosts"},
		"no address":      {func(c *Config) { c.Hosts[0].Address = "node1" }, "not an IP address"},
		"foreign address": {func(c *Config) { c.Hosts[0].Address = "192.0.2.1" }, "does not belong to this machine"},
		"bad ports":       {func(c *Config) { c.Hosts[0].Ports = place.Ranges{{Begin: 9, End: 8}} }, "not a range"},
		"bad pattern":     {func(c *Config) { c.Images = []Image{{Pattern: "[", Command: []string{"x"}}} }, "valid pattern"},
		"no command":      {func(c *Config) { c.Images = []Image{{Pattern: "x"}} }, "a command"},
		"unusable folder": {func(c *Config) { c.Dir = "/dev/null/state" }, "prepare state directory"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			test.change(&cfg)
			d, err := Open(cfg, nil)
			if err == nil {
				t.Fatal(d.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDamagedRecord(t *testing.T) {
	cfg := testConfig(t)
	if err := folder(cfg.Dir).create(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "tasks", "x.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg, nil); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("got %v", err)
	}
}

// TestOfferSaysWhereAndForWhom says: region, zone and role of a host are part of its offer, and a task of that role fits.
func TestOfferSaysWhereAndForWhom(t *testing.T) {
	b := newBench(t, func(cfg *Config) {
		cfg.Hosts[0].Region, cfg.Hosts[0].Zone, cfg.Hosts[0].Roles = "north", "north-1", []string{"db"}
		cfg.Hosts[0].Attributes = map[string]string{"rack": "7"}
	})
	s := task(1, untilTERM)
	b.launch(s)
	b.await(s, app.TaskRunning)
	o := b.offerOf("node1")
	whole := b.cfg.Hosts[0].Resources
	if o.Region != "north" || o.Zone != "north-1" || o.Attributes["rack"] != "7" {
		t.Errorf("it is at %s %s %v", o.Region, o.Zone, o.Attributes)
	}
	if o.Free != (place.Resources{}) || o.Reserved["db"] != whole.Sub(s.Resources) {
		t.Errorf("free is %v, kept is %v", o.Free, o.Reserved)
	}
}
