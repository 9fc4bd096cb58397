package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/up"
)

// What the app and the configuration under examples/mesos say.
const (
	AppPath       = "/v2/apps/postgresql/patroni"
	Prefix        = "/service/postgresql-cluster/"
	LeaderKey     = Prefix + "leader"
	appInstances  = 3
	appFile       = "examples/mesos/patroni-marathon.json"
	configFile    = "examples/mesos/postgres0.yml"
	destroyWithin = 30 * time.Second
)

// Config says what is put to the test.
type Config struct {
	// Program is the path of pgbaton.
	Program string
	// Source is the root of this repository. The app and the configuration below it are used as they stand.
	Source string
	// Tell, unless nil, is told what is waited for, whenever that changes.
	Tell func(waiting string)
}

// Platform is one `pgbaton up` with a network and a state directory of its own.
type Platform struct {
	cfg     Config
	dir     string // everything lies below it
	network netip.Prefix
	held    net.Listener
	layout  up.Layout
	peers   *client.Client
	http    *http.Client
	store   *etcd3.Store
	running *child
	told    string

	instances int             // how many members there are to be
	dark      map[string]bool // hosts with a member and without power
	sockets   map[string]bool // folders that servers were seen to have their sockets in
}

// Open chooses a network and makes a folder. Nothing is started yet. Destroy must be called in the end.
func Open(ctx context.Context, cfg Config) (*Platform, error) {
	network, held, err := reserve()
	if err != nil {
		return nil, err
	}
	p := &Platform{
		cfg: cfg, network: network, held: held, peers: client.New(nil, client.Options{}), http: &http.Client{Transport: &http.Transport{}}, instances: appInstances,
		dark: map[string]bool{}, sockets: map[string]bool{},
	}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, p.Destroy(ctx))
	}
	return p, nil
}

func (p *Platform) open() (err error) {
	if p.cfg.Program, err = filepath.Abs(p.cfg.Program); err != nil {
		return err
	}
	if p.cfg.Source, err = filepath.Abs(p.cfg.Source); err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "pgbaton-chaos-"); err != nil {
		return err
	}
	// The servers' user passes through.
	if err := os.Chmod(p.dir, 0o711); err != nil { //nolint:gosec // see above
		return err
	}
	listen := netip.MustParseAddrPort(address(p.network, 1, 8080))
	p.layout, err = up.NewLayout(p.network, listen, hostCount, etcdCount)
	return err
}

// path is a path below the platform's folder.
func (p *Platform) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir}, elements...)...)
}

// Dir is the folder below which everything lies; the state directory is "state" in it.
func (p *Platform) Dir() string { return p.dir }

// Network is the network that the platform listens on.
func (p *Platform) Network() netip.Prefix { return p.network }

// URLs are how clients connect, as the program wrote them down; empty before it ran.
func (p *Platform) URLs() up.URLs {
	vars := up.ReadEnv(p.path("state"))
	return up.URLs{
		Write: vars["PGBATON_WRITE_URL"], Read: vars["PGBATON_READ_URL"], Marathon: "http://" + p.layout.Listen.String(),
	}
}

// UpArgs is the command line of `pgbaton up` for this platform, with more arguments at the end.
func (p *Platform) UpArgs(more ...string) []string {
	return append([]string{
		"up", "--state-dir", p.path("state"), "--network", p.network.String(),
		"--app", filepath.Join(p.cfg.Source, appFile), "--config", filepath.Join(p.cfg.Source, configFile),
	}, more...)
}

// Up starts the program and waits until the platform is whole.
func (p *Platform) Up(ctx context.Context) (Picture, error) {
	if err := p.launch(); err != nil {
		return Picture{}, err
	}
	if err := p.connect(ctx); err != nil {
		return Picture{}, err
	}
	return p.Await(ctx, nil)
}

// connect opens etcd, which needs it to answer.
func (p *Platform) connect(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for p.store == nil {
		store, err := etcd3.Open(ctx, etcd3.Config{Endpoints: p.layout.EtcdEndpoints()})
		if err == nil {
			p.store = store
			return nil
		}
		p.tell(errors.New("etcd does not answer yet"))
		select {
		case <-ticker.C:
		case <-p.running.ended:
			return p.endedEarly()
		case <-ctx.Done():
			return fmt.Errorf("connect to etcd: %w", err)
		}
	}
	return nil
}

func (p *Platform) endedEarly() error {
	return fmt.Errorf("pgbaton up ended with exit code %d: %s", p.running.code, p.Output(5))
}

func (p *Platform) launch() error {
	output, err := os.OpenFile(p.path("output"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the output of pgbaton up: %w", err)
	}
	defer output.Close()                              //nolint:errcheck // the program holds it
	cmd := exec.Command(p.cfg.Program, p.UpArgs()...) //nolint:noctx,gosec // it is stopped by Stop, not by a context
	cmd.Dir, cmd.Env = p.cfg.Source, environment()
	cmd.Stdout, cmd.Stderr = output, output
	p.running, err = spawn(cmd)
	return err
}

// environment is ours without what would lead commands to other clusters.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		foreign := false
		for _, prefix := range []string{"PATRONI", "PGBATON", "PG", "ETCDCTL", "MARATHON"} {
			foreign = foreign || strings.HasPrefix(v, prefix)
		}
		if !foreign {
			kept = append(kept, v)
		}
	}
	return kept
}

// Output is the end of what the program printed, so many lines of it.
func (p *Platform) Output(lines int) string {
	text, err := os.ReadFile(p.path("output"))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// tell passes on what is waited for, once per change.
func (p *Platform) tell(why error) {
	if p.cfg.Tell != nil && p.told != why.Error() {
		p.told = why.Error()
		p.cfg.Tell(p.told)
	}
}

// Command runs a program in the environment that `. STATE/env` gives and returns what it printed on both outputs. An
// empty name is pgbaton itself.
func (p *Platform) Command(ctx context.Context, name string, args ...string) (string, error) {
	if name == "" {
		name = p.cfg.Program
	}
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the laboratory chooses what it runs
	cmd.Dir, cmd.Env = p.cfg.Source, environment()
	for name, value := range up.ReadEnv(p.path("state")) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	output, err := cmd.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("%s: %w: %s", strings.Join(append([]string{filepath.Base(name)}, args...), " "), err, bytes.TrimSpace(output))
	}
	return string(output), nil
}

// Send sends one request with a JSON text, unless that is empty, and returns code and body.
func (p *Platform) Send(ctx context.Context, method, url, body string) (int, string, error) {
	return sendTo(ctx, p.http, method, url, body)
}

func sendTo(ctx context.Context, c *http.Client, method, url, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// Stop asks the program to end, as Ctrl-C does, and makes sure that it ends well and with all that it started.
func (p *Platform) Stop(ctx context.Context) error {
	if err := p.running.process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("stop pgbaton up: %w", err)
	}
	code, err := p.running.wait(ctx)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("pgbaton up ended with exit code %d: %s", code, p.Output(5))
	}
	return p.nothingRuns()
}

// nothingRuns says which processes of the platform still run.
func (p *Platform) nothingRuns() error {
	left, err := parts(p.dir)
	if err != nil {
		return err
	}
	var lines []string
	for _, l := range left {
		lines = append(lines, l.String())
	}
	if len(lines) > 0 {
		return errors.New("left running: " + strings.Join(lines, "; "))
	}
	return nil
}
