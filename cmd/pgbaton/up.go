package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/examples/mesos"
	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/haproxy"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/supervise"
	"github.com/pgbaton/pgbaton/internal/up"
)

// upOptions are what was typed.
type upOptions struct {
	stateDir, app, config string
	network, listen       string
	hosts, etcd           int
	verbose               bool
}

func upCommand() *cobra.Command {
	var o upOptions
	c := &cobra.Command{
		Use:   "up",
		Short: "Run a replicated PostgreSQL cluster on this machine, everything included",
		Long: `Starts three etcd members, a scheduler with Marathon's API over five virtual hosts,
the PostgreSQL app, and HAProxy, and stays in the foreground. Killed parts come back;
a second "up" on the same state directory adopts what still runs. Ctrl-C stops the
replicas first and the leader last.`,
		Example: `  pgbaton up                                # the cluster of examples/mesos
  pgbaton up --app my-app.json --state-dir /srv/pgbaton
  pgbaton up --network 127.0.7.0/24         # beside another one`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runUp(cmd.Context(), cmd.OutOrStdout(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.stateDir, "state-dir", defaultStateDir(), "where everything is kept; "+stateDirEnv+" names another default, for operator commands too")
	f.StringVar(&o.app, "app", "", "Marathon app to run (default the built-in examples/mesos/patroni-marathon.json)")
	f.StringVar(&o.config, "config", "", "configuration file of every task of the app (default the built-in examples/mesos/postgres0.yml)")
	f.IntVar(&o.hosts, "hosts", 5, "virtual hosts: node1, node2, …")
	f.IntVar(&o.etcd, "etcd-members", 3, "etcd members, an odd number")
	f.StringVar(&o.network, "network", "127.0.0.0/24", "loopback addresses to use: hosts from .11, etcd from .21")
	f.StringVar(&o.listen, "listen", "", "address:port of Marathon's API; HAProxy serves on the same address (default .1:8080 of --network)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "also log what the parts do")
	return c
}

// stateDirEnv names another place for the state of `pgbaton up`, for it and for the commands that look for its cluster.
const stateDirEnv = "PGBATON_STATE_DIR"

// defaultStateDir is the one of the environment, else /var/lib/pgbaton for root, and the place for state of everybody else.
func defaultStateDir() string {
	if dir := os.Getenv(stateDirEnv); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/pgbaton"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return filepath.Join(cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state")), "pgbaton")
}

func readEnvFile(dir string) map[string]string { return up.ReadEnv(dir) }

// platform is one running `pgbaton up`: what was read and opened, in the order it is needed.
type platform struct {
	options upOptions
	layout  up.Layout
	app     app.App
	posted  []byte
	agents  []byte // the configuration file of every task
	cluster config.Client
	called  client.Options // how members are called
	ports   up.Ports
	urls    up.URLs
	cred    *syscall.Credential
	state   *up.State
	screen  *up.Screen
	log     *slog.Logger
	group   *supervise.Group
	// adopted is true when something of a former one still ran.
	adopted bool
}

// stopWithin bounds the orderly end: long enough for a checkpoint of a busy server.
const stopWithin = 3 * time.Minute

func runUp(ctx context.Context, out io.Writer, o upOptions) (err error) {
	p := &platform{options: o, screen: up.NewScreen(out), log: slog.New(slog.DiscardHandler)}
	if o.verbose {
		p.log = newLog(slog.LevelInfo)
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.state.Close()) }()
	return p.run(ctx)
}

// prepare reads and checks everything before anything is started.
func (p *platform) prepare(ctx context.Context) error {
	if err := p.readInputs(); err != nil {
		return err
	}
	if err := p.lookAround(ctx); err != nil {
		return err
	}
	state, err := up.OpenState(p.options.stateDir, p.cred)
	if err != nil {
		return err
	}
	p.state = state
	if err := p.prepareState(); err != nil {
		return errors.Join(err, state.Close())
	}
	return nil
}

func (p *platform) readInputs() error {
	network, err := netip.ParsePrefix(p.options.network)
	if err != nil {
		return fmt.Errorf("--network: %w", err)
	}
	listen := p.options.listen
	if listen == "" {
		listen = netip.AddrPortFrom(network.Masked().Addr().Next(), 8080).String()
	}
	at, err := netip.ParseAddrPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if p.layout, err = up.NewLayout(network, at, p.options.hosts, p.options.etcd); err != nil {
		return err
	}
	if p.posted, err = fileOr(p.options.app, mesos.App); err != nil {
		return fmt.Errorf("--app: %w", err)
	}
	if p.agents, err = fileOr(p.options.config, mesos.Config); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if err := p.readApp(); err != nil {
		return fmt.Errorf("--app %s: %s", p.options.app, oneLine(err))
	}
	return p.readConfig()
}

// fileOr reads a file, or takes what is built in when none is named.
func fileOr(path string, builtIn []byte) ([]byte, error) {
	if path == "" {
		return builtIn, nil
	}
	return os.ReadFile(filepath.Clean(path))
}

func (p *platform) readApp() error {
	update, err := app.Parse(p.posted)
	if err != nil {
		return err
	}
	id, named := update.ID()
	if !named {
		return errors.New("the app has no id")
	}
	p.app = update.New(id)
	if err := (app.Definitions{}).Validate(p.app, ""); err != nil {
		return err
	}
	if !p.app.IsPostgres() {
		return fmt.Errorf("%s is no PostgreSQL app: it maps no container ports 5432 and 8008; post it to a running pgbaton up instead", id)
	}
	p.ports, err = up.PortsOf(p.app)
	return err
}

// readConfig makes sure that the agents will understand their configuration, and finds out which cluster they form.
func (p *platform) readConfig() error {
	first := p.layout.Hosts[0]
	env := p.app.TaskEnv("", first.Name, nil)
	for name, value := range map[string]string{
		"HOST_IP": first.Address.String(), "PGBATON_BIND_ADDRESS": first.Address.String(), "PGBATON_HOST_ALIASES": p.layout.AliasText(),
		"PATRONI_SUPERUSER_PASSWORD": "generated", "PATRONI_REPLICATION_PASSWORD": "generated",
	} {
		env[name] = cmp.Or(env[name], value)
	}
	source := config.Source{Path: cmp.Or(p.options.config, "postgres0.yml"), Text: p.agents, Env: env}
	if _, err := config.Load(source); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	c, err := config.LoadClient(source)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if c.Scope == "" {
		return fmt.Errorf("--config %s: scope is missing: give the name of the cluster", p.options.config)
	}
	c.Aliases = p.layout.Aliases()
	p.cluster = c
	return nil
}

// lookAround makes sure that what the servers need is there: programs, a user, the port.
func (p *platform) lookAround(ctx context.Context) error {
	const install = "install it with: apt-get install postgresql haproxy (make run does, as root)"
	if _, _, err := postgres.FindBinaries(ctx, "", 0); err != nil {
		return fmt.Errorf("PostgreSQL is missing (%w): %s", err, install)
	}
	if _, err := haproxy.Find(); err != nil {
		return fmt.Errorf("%w: %s", err, install)
	}
	if up.Fresh(p.options.stateDir) {
		if err := p.layout.CheckPorts(ctx, p.ports); err != nil {
			return err
		}
	}
	if os.Geteuid() != 0 {
		return nil
	}
	var err error
	if p.cred, err = credential("postgres"); err != nil {
		return err
	}
	return up.CheckReach(p.options.stateDir, p.cred)
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("servers do not run as root, and there is no user %s to run them as: install postgresql, or run pgbaton as an ordinary user", name)
	}
	return credentialOf(u)
}

// credentialOf is who a program runs as that root starts for a user.
func credentialOf(u *user.User) (*syscall.Credential, error) {
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("look up user %s: %w", u.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (p *platform) prepareState() error {
	passwords, err := p.state.Passwords()
	if err != nil {
		return err
	}
	pgpass, err := p.state.WritePgPass(p.layout.Listen.Addr().String(), passwords)
	if err != nil {
		return err
	}
	p.urls = p.layout.URLs(p.ports, pgpass)
	return p.state.WriteEnv(p.layout.Environment(p.urls, p.cluster.Scope, p.cluster.Namespace, pgpass))
}

// run starts the parts, tells how they come up, and stops them in good order when the context ends.
func (p *platform) run(ctx context.Context) error {
	// The parts outlive the context: an orderly end needs them.
	group, life := supervise.New(context.WithoutCancel(ctx))
	p.group = group
	stop, err := p.start(ctx, life)
	if err == nil {
		select {
		case <-ctx.Done():
			p.screen.Say("stop", "stopping: replicas first, the leader last (once more Ctrl-C leaves everything running)")
		case <-life.Done():
			err = context.Cause(life)
		}
	}
	if err == nil {
		limited, cancel := context.WithTimeout(life, stopWithin)
		defer cancel()
		err = stop(limited)
	}
	err = errors.Join(err, group.Stop(errEnd))
	if err == nil {
		p.screen.Say("stop", "stopped; the data stay in "+p.options.stateDir)
	}
	return err
}

// stops are how the parts end that were started: the last first.
type stops []func(context.Context) error

func (s stops) run(ctx context.Context) error {
	for _, stop := range slices.Backward(s) {
		if err := stop(ctx); err != nil {
			return err // what the others stand on stays
		}
	}
	return nil
}

// start brings everything up in order. The returned function ends it in the opposite order. When a part cannot be
// started, those before it are stopped again, unless something was adopted: what a former one left goes on. When the
// context ends meanwhile, what had begun is returned, to be ended like the whole.
func (p *platform) start(ctx, life context.Context) (func(context.Context) error, error) {
	var begun stops
	err := p.startParts(ctx, life, &begun)
	if err == nil {
		return begun.run, nil
	}
	if p.adopted {
		return nil, err
	}
	if ctx.Err() != nil {
		return begun.run, nil
	}
	limited, cancel := context.WithTimeout(life, stopWithin)
	defer cancel()
	return nil, errors.Join(err, begun.run(limited))
}

func (p *platform) startParts(ctx, life context.Context, begun *stops) error {
	program, err := p.state.InstallProgram()
	if err != nil {
		return err
	}
	agents, err := p.state.InstallConfig(p.agents)
	if err != nil {
		return err
	}
	if err := p.startEtcd(ctx, life, program, begun); err != nil {
		return err
	}
	if p.adopted {
		// Members may run that only the scheduler can stop, replicas first: who asks for the end now waits until it does.
		ctx = life
	}
	kvstore, err := p.quorum(ctx)
	if err != nil {
		return err
	}
	*begun = append(*begun, func(context.Context) error { return kvstore.Close() })
	documents, err := dcs.New(kvstore, dcs.Config{Namespace: p.cluster.Namespace, Scope: p.cluster.Scope})
	if err != nil {
		return err
	}
	scheduler, err := p.startScheduler(ctx, life, program, agents, kvstore, begun)
	if err != nil {
		return err
	}
	if err := p.post(ctx); err != nil {
		return err
	}
	if err := p.startProxy(ctx, life, documents, begun); err != nil {
		return err
	}
	p.narrate(documents, scheduler)
	return nil
}

// oneLine is an error's text as one sentence.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
