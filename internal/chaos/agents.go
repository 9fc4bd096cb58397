package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
	"github.com/pgbaton/pgbaton/internal/up"
)

// AgentsConfig says which agents are put to the test.
type AgentsConfig struct {
	// Program is the path of pgbaton.
	Program string
	// Members is how many agents there are: n1, n2 and so on. Zero stands for three, five is the most.
	Members int
	// Prefix stands before the number in a member's name, in place of n.
	Prefix string
	// EtcdMembers is how many etcd members there are, one or three. Zero stands for one.
	EtcdMembers int
	// Dynamic is laid over the first dynamic configuration, which has ttl 20, loop_wait 1 and retry_timeout 3.
	Dynamic map[string]any
	// Local, unless nil, changes the configuration file of a member before it is written for the first time. See Set.
	Local func(member string, file map[string]any)
	// Env is added to the environment of all agents.
	Env []string
	// Credential is who everything runs as; root must name somebody, because PostgreSQL refuses root.
	Credential *syscall.Credential
	// TLS has etcd and all REST APIs speak TLS alone, and only with clients that show a certificate. There is one etcd member
	// then, which is etcd itself.
	TLS bool
	// Contained makes every agent the first process of a PID namespace, as in a container. Only root may.
	Contained bool
}

// Agents are several `pgbaton agent` processes with their servers and an etcd, on loopback addresses and in a folder of
// their own: a Platform without scheduler and HAProxy, for what concerns members and nobody else. What ended, or was
// ended, stays so until a test starts it again.
//
//	a, err := OpenAgents(ctx, AgentsConfig{Program: program})   etcd runs, no agent does
//	a.Start("n1")                                               with the file that Edit may have changed
//	pic, err := a.Await(ctx, a.Whole)                           or any other condition on a picture
//	a.Signal("n1", syscall.SIGSTOP)                             freeze, thaw, reload, leave, kill
//	a.SQL(ctx, "n1", "select 1")                                asked at the server itself
//	a.Destroy(ctx)
//
// Member n1 has the first address of the network, PostgreSQL on port 5432 and the REST API on port 8008. The cluster
// has the names of the platform's, so that Prefix and LeaderKey lead to its documents.
type Agents struct {
	cfg     AgentsConfig
	dir     string
	network netip.Prefix
	held    net.Listener
	layout  up.Layout
	members []*agentMember
	etcd    map[string]*child
	peers   *client.Client
	http    *http.Client
	store   *etcd3.Store
	// secured is what TLS takes, nil without it.
	secured *secured
}

// OpenAgents chooses a network, makes a folder, writes the configuration files and starts etcd. No agent is started
// yet. Destroy must be called in the end.
func OpenAgents(ctx context.Context, cfg AgentsConfig) (*Agents, error) {
	network, held, err := reserve()
	if err != nil {
		return nil, err
	}
	a := &Agents{
		cfg: cfg, network: network, held: held, etcd: map[string]*child{}, peers: client.New(nil, client.Options{}),
		http: &http.Client{Transport: &http.Transport{}},
	}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Destroy(ctx))
	}
	return a, nil
}

func (a *Agents) open(ctx context.Context) (err error) {
	if a.cfg.Program, err = filepath.Abs(a.cfg.Program); err != nil {
		return err
	}
	if a.dir, err = os.MkdirTemp("", "pgbaton-agents-"); err != nil {
		return err
	}
	if err := os.Chmod(a.dir, 0o711); err != nil { //nolint:gosec // the agents' user passes through
		return err
	}
	listen := netip.MustParseAddrPort(address(a.network, 1, 8080))
	if a.layout, err = up.NewLayout(a.network, listen, hostCount, cmp.Or(a.cfg.EtcdMembers, 1)); err != nil {
		return err
	}
	if a.cfg.TLS {
		if err := a.prepareTLS(); err != nil {
			return err
		}
	}
	for _, e := range a.layout.Etcd {
		if err := a.StartEtcd(e.Name); err != nil {
			return err
		}
	}
	for i, host := range a.layout.Hosts[:cmp.Or(a.cfg.Members, appInstances)] {
		if err := a.add(fmt.Sprintf("%s%d", cmp.Or(a.cfg.Prefix, "n"), i+1), host.Address); err != nil {
			return err
		}
	}
	return a.connect(ctx)
}

// connect opens etcd, which needs it to answer.
func (a *Agents) connect(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	cfg := etcd3.Config{Endpoints: a.layout.EtcdEndpoints()}
	if a.secured != nil {
		cfg.TLS = a.secured.client
	}
	for {
		store, err := etcd3.Open(ctx, cfg)
		if err == nil {
			a.store = store
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("connect to etcd: %w", err)
		}
	}
}

// Dir is the folder below which everything lies: one for each process, with its output beside it as NAME.log.
func (a *Agents) Dir() string { return a.dir }

// Names are the names of the members.
func (a *Agents) Names() []string {
	var names []string
	for _, m := range a.members {
		names = append(names, m.name)
	}
	return names
}

// Places are the members with their addresses, for a Watchman.
func (a *Agents) Places() []up.Place {
	var places []up.Place
	for _, m := range a.members {
		places = append(places, up.Place{Name: m.name, Address: m.address})
	}
	return places
}

// agentsPassword is the password of all roles.
const agentsPassword = "in-the-laboratory"

// URL is how a client finds whichever of the members accepts writes, for a Writer.
func (a *Agents) URL() string {
	var hosts []string
	for _, m := range a.members {
		hosts = append(hosts, m.address.String()+":5432")
	}
	return "postgres://postgres:" + agentsPassword + "@" + strings.Join(hosts, ",") + "/postgres?sslmode=disable&target_session_attrs=read-write"
}

// run starts the program in a folder of its own, with its output in a file.
func (a *Agents) run(name string, env []string, args ...string) (*child, error) {
	return a.runAs(a.cfg.Credential, name, env, append([]string{a.cfg.Program}, args...)...)
}

// contain runs the program as the first process of a PID namespace. What is started here only waits for it, and takes it
// along when it is killed.
func (a *Agents) contain(name string, env []string, args ...string) (*child, error) {
	line := []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if c := a.cfg.Credential; c != nil {
		line = append(line, "setpriv", fmt.Sprintf("--reuid=%d", c.Uid), fmt.Sprintf("--regid=%d", c.Gid), "--clear-groups")
	}
	return a.runAs(nil, name, env, append(append(line, a.cfg.Program), args...)...)
}

func (a *Agents) runAs(credential *syscall.Credential, name string, env []string, line ...string) (*child, error) {
	folder := filepath.Join(a.dir, name)
	if err := a.makeFolder(folder); err != nil {
		return nil, err
	}
	output, err := os.OpenFile(folder+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the output of %s: %w", name, err)
	}
	defer output.Close()                      //nolint:errcheck // the program holds it
	cmd := exec.Command(line[0], line[1:]...) //nolint:noctx,gosec // it is ended by a signal, not by a context
	cmd.Dir, cmd.Env = folder, append(environment(), env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return spawn(cmd)
}

// makeFolder makes a folder that belongs to whoever the agents run as.
func (a *Agents) makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return a.give(path)
}

func (a *Agents) give(path string) error {
	if a.cfg.Credential == nil {
		return nil
	}
	return os.Chown(path, int(a.cfg.Credential.Uid), int(a.cfg.Credential.Gid))
}

// Output is the end of what a process printed, so many lines of it.
func (a *Agents) Output(name string, lines int) string {
	text, err := os.ReadFile(filepath.Join(a.dir, name+".log"))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// StartEtcd starts a member of etcd, etcd-node1 and so on, on the data that it has.
func (a *Agents) StartEtcd(name string) error {
	var initial []string
	own := netip.Addr{}
	scheme := "http://"
	if a.secured != nil {
		scheme = "https://"
	}
	on := func(at netip.Addr, port int) string {
		return scheme + net.JoinHostPort(at.String(), strconv.Itoa(port))
	}
	for _, e := range a.layout.Etcd {
		initial = append(initial, e.Name+"="+on(e.Address, up.EtcdPeerPort))
		if e.Name == name {
			own = e.Address
		}
	}
	if a.secured != nil {
		process, err := a.runAs(a.cfg.Credential, name, nil, a.etcdWithTLS(name, on(own, up.EtcdClientPort), on(own, up.EtcdPeerPort))...)
		a.etcd[name] = process
		return err
	}
	process, err := a.run(name, nil, "etcd", "--name", name, "--data-dir", filepath.Join(a.dir, name, "data"),
		"--client-url", on(own, up.EtcdClientPort), "--peer-url", on(own, up.EtcdPeerPort), "--initial-cluster", strings.Join(initial, ","))
	if err != nil {
		return err
	}
	a.etcd[name] = process
	return nil
}

// SignalEtcd sends a signal to a member of etcd: SIGSTOP and SIGCONT freeze and thaw it, after SIGKILL it may be started
// again.
func (a *Agents) SignalEtcd(name string, s syscall.Signal) error {
	if !a.etcd[name].lives() {
		return fmt.Errorf("signal etcd: no %s runs", name)
	}
	if s == syscall.SIGKILL {
		return a.etcd[name].kill()
	}
	return a.etcd[name].process.Signal(s)
}

// EtcdNames are the names of the etcd members.
func (a *Agents) EtcdNames() []string { return slices.Sorted(maps.Keys(a.etcd)) }

// Destroy ends everything at once and removes it without a trace. It may be called in every state, and does its work
// also when the context has ended.
func (a *Agents) Destroy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyWithin)
	defer cancel()
	var errs []error
	for _, m := range a.members {
		if m.agent.lives() {
			errs = append(errs, m.agent.kill())
		}
	}
	for _, e := range a.etcd {
		if e.lives() {
			errs = append(errs, e.kill())
		}
	}
	if a.dir != "" {
		errs = append(errs, killBelow(ctx, a.dir))
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	a.peers.Close()
	a.http.CloseIdleConnections()
	if a.dir != "" {
		errs = append(errs, os.RemoveAll(a.dir))
	}
	return errors.Join(append(errs, a.held.Close())...)
}
