package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/haproxy"
	"github.com/pgbaton/pgbaton/internal/proxy"
	"github.com/pgbaton/pgbaton/internal/route"
	"github.com/pgbaton/pgbaton/internal/supervise"
)

// proxyOptions are what was typed for `pgbaton proxy`.
type proxyOptions struct {
	scope, writes, reads, health, statistics string
	binary, dir, user                        string
}

const (
	usualWrites = "0.0.0.0:5000"
	usualReads  = "0.0.0.0:5001"
)

func proxyCommand() *cobra.Command {
	var o proxyOptions
	c := &cobra.Command{
		Use:   "proxy [CONFIG.yml]",
		Short: "Run HAProxy in front of a cluster: one port to the leader, one to those who follow",
		Long: `Starts an HAProxy and leads it where the cluster's picture in etcd says, wherever its members
run: the moment the leader's key moves, new connections go to the new leader and those to
the old one end. Which cluster and where etcd is are read as by the operator commands:
scope and etcd3 of a configuration, or PATRONI_SCOPE and PATRONI_ETCD3_HOSTS.

When etcd cannot be read nothing is changed: HAProxy goes on by its own checks of the
members' REST API, which has to be served without TLS. The same happens when this program
is killed; started again with the same ports it takes that HAProxy over. SIGTERM ends both.

Under Mesos and Marathon the ports are those of the app's ports named writes, reads and
health. HAProxy 2.6 or newer has to be installed.`,
		Example: `  pgbaton proxy /etc/patroni/postgres0.yml
  PATRONI_SCOPE=main PATRONI_ETCD3_HOSTS=node1:2379 pgbaton proxy --writes 0.0.0.0:5000 --reads 0.0.0.0:5001 --health 0.0.0.0:8405`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			p, err := o.plan(config.Source{Path: path, Env: processEnv()})
			if err != nil {
				return err
			}
			return p.run(cmd.Context(), newLog(slog.LevelInfo))
		},
	}
	f := c.Flags()
	f.StringVar(&o.scope, "scope", "", "name of the cluster, instead of that of the configuration")
	f.StringVar(&o.writes, "writes", "", "ADDRESS:PORT whose connections go to the leader (default $PORT_WRITES, or "+usualWrites+")")
	f.StringVar(&o.reads, "reads", "", "ADDRESS:PORT whose connections go to those who follow, or to the leader where nobody does (default $PORT_READS, or "+usualReads+")")
	f.StringVar(&o.health, "health", "", "ADDRESS:PORT where GET /health answers 200 while HAProxy does its work (default $PORT_HEALTH, or none)")
	f.StringVar(&o.statistics, "stats", "", "ADDRESS:PORT of HAProxy's page of statistics, read-only (default none)")
	f.StringVar(&o.binary, "haproxy", "", "the HAProxy to run (default: that of PATH)")
	f.StringVar(&o.dir, "dir", "", "folder for its configuration and sockets, a short path (default: one below /run, $XDG_RUNTIME_DIR or the temporary folder, for these ports)")
	f.StringVar(&o.user, "user", "nobody", "whom HAProxy runs as when root starts it")
	return c
}

// proxyPlan is what is going to run.
type proxyPlan struct {
	cluster config.Client
	haproxy haproxy.Config
	health  netip.AddrPort // none where it is not valid
	dir     string         // to be made
}

// plan reads the options and the environment, and looks for everything that can be wrong before anything is started.
func (o proxyOptions) plan(source config.Source) (proxyPlan, error) {
	var p proxyPlan
	var err error
	if p.cluster, err = config.LoadClient(source); err != nil && source.Path == "" {
		return p, fmt.Errorf("%w; give a configuration that says so, or set PATRONI_ETCD3_HOSTS", err)
	}
	if err != nil {
		return p, err
	}
	p.cluster.Scope = cmp.Or(o.scope, p.cluster.Scope)
	switch {
	case p.cluster.Scope == "":
		return p, errors.New("which cluster was not said: give --scope NAME, a configuration with a scope, or set PATRONI_SCOPE")
	case len(p.cluster.Etcd.Hosts) == 0 && p.cluster.Etcd.Service == "":
		return p, errors.New("where etcd is was not said: give a configuration with etcd3, or set PATRONI_ETCD3_HOSTS")
	}
	given := map[string]netip.AddrPort{}
	for _, a := range []struct{ option, text, variable, usual string }{
		{"writes", o.writes, "PORT_WRITES", usualWrites},
		{"reads", o.reads, "PORT_READS", usualReads},
		{"health", o.health, "PORT_HEALTH", ""},
		{"stats", o.statistics, "", ""},
	} {
		if given[a.option], err = listenAddress(a.text, source.Env[a.variable], a.usual); err != nil {
			return p, fmt.Errorf("--%s: %w", a.option, err)
		}
	}
	p.health = given["health"]
	p.haproxy = haproxy.Config{Binary: o.binary, Statistics: given["stats"], Services: []route.Service{
		{Name: "writes", Bind: given["writes"], Kind: route.Writes},
		{Name: "reads", Bind: given["reads"], Kind: route.Reads},
	}}
	if os.Geteuid() == 0 {
		u, err := user.Lookup(o.user)
		if err != nil {
			return p, fmt.Errorf("--user: look up user %s: %w", o.user, err)
		}
		if p.haproxy.Credential, err = credentialOf(u); err != nil {
			return p, fmt.Errorf("--user: %w", err)
		}
	}
	p.dir = cmp.Or(o.dir, proxyFolder(source.Env, given["writes"].Port()))
	if p.dir, err = filepath.Abs(p.dir); err != nil {
		return p, fmt.Errorf("--dir: %w", err)
	}
	p.haproxy.Dir = filepath.Join(p.dir, "haproxy")
	return p, nil
}

// listenAddress reads ADDRESS:PORT, :PORT for all addresses, or the port that a platform has given; the zero value where
// nothing says anything.
func listenAddress(text, port, usual string) (netip.AddrPort, error) {
	if text == "" && port != "" {
		text = "0.0.0.0:" + port
	}
	text = cmp.Or(text, usual)
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if text[0] == ':' {
		text = "0.0.0.0" + text
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no ADDRESS:PORT such as 0.0.0.0:5000", text)
	}
	return at, nil
}

// proxyFolder is a folder that whoever is started again for the same ports finds again.
func proxyFolder(env map[string]string, port uint16) string {
	name := "pgbaton-proxy-" + strconv.Itoa(int(port))
	switch {
	case os.Geteuid() == 0:
		return filepath.Join("/run", name)
	case env["XDG_RUNTIME_DIR"] != "":
		return filepath.Join(env["XDG_RUNTIME_DIR"], name)
	}
	return filepath.Join(os.TempDir(), name+"-"+strconv.Itoa(os.Geteuid()))
}

// ownFolder makes a folder, or takes one that is ours: in a place that all may write to somebody else could have put theirs.
func ownFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // as /run is
		return fmt.Errorf("make the folder for HAProxy: %w", err)
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // HAProxy's user passes through
		return fmt.Errorf("make the folder for HAProxy: %w", err)
	}
	at, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the folder for HAProxy: %w", err)
	}
	owner, ok := at.Sys().(*syscall.Stat_t)
	if !at.IsDir() || !ok || owner.Uid != uint32(os.Geteuid()) || at.Mode().Perm()&0o022 != 0 { //nolint:gosec // an id of a user is none of them
		return fmt.Errorf("%s is not a folder of this user that only they may write to; give another one with --dir", dir)
	}
	return nil
}

// run drives HAProxy until ctx ends, and ends it.
func (p proxyPlan) run(ctx context.Context, log *slog.Logger) (err error) {
	if err := ownFolder(p.dir); err != nil {
		return err
	}
	documents, err := openDocuments(ctx, p.cluster.Etcd, p.cluster.Aliases, true, dcs.Config{Namespace: p.cluster.Namespace, Scope: p.cluster.Scope})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, documents.Close()) }()
	process, err := haproxy.Open(ctx, p.haproxy, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Stop(context.WithoutCancel(ctx)), process.Close()) }()
	group, serving := supervise.New(ctx)
	group.Go("HAProxy", process.Run)
	routing := proxy.Config{Services: p.haproxy.Services, Resolver: net.DefaultResolver}
	group.Go("proxy", func(ctx context.Context) error {
		return proxy.Run(ctx, routing, picture{documents.Store}, process, log)
	})
	if p.health.IsValid() {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.health.String())
		if err != nil {
			return errors.Join(fmt.Errorf("--health: %w", err), group.Stop(errEnd))
		}
		group.Go("health", func(ctx context.Context) error { return serveHealth(ctx, listener, process) })
	}
	<-serving.Done()
	return group.Stop(errEnd)
}

// healthWithin bounds the question whether HAProxy works.
const healthWithin = 2 * time.Second

// serveHealth answers whether HAProxy does its work. Whether etcd can be read does not matter: HAProxy goes on without, and
// whoever would end it for that would cut connections that work.
func serveHealth(ctx context.Context, listener net.Listener, process *haproxy.Process) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthWithin)
		defer cancel()
		if _, err := process.Look(ctx); err != nil {
			http.Error(w, "HAProxy does not answer: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "HAProxy works")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: healthWithin}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the health of the proxy: %w", err)
	}
	return nil
}
