package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	examples "github.com/pgbaton/pgbaton/examples/mesos"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/local"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/secret"
	"github.com/pgbaton/pgbaton/internal/up"
)

// schedulerOptions are what was typed.
type schedulerOptions struct {
	driver                    string
	configFile, dcs, prefix   string
	listen, advertise         string
	stateDir, hosts, agents   string
	user, secrets             string
	credentials, dockerConfig string
	images, origins, taskEnvs []string
	hostPaths                 []string
	concurrent                int
	verbose                   bool
	mesos                     mesosOptions
}

func schedulerCommand() *cobra.Command {
	var o schedulerOptions
	return schedulerFlags(&o)
}

// schedulerFlags is the command that keeps what is typed in o.
func schedulerFlags(o *schedulerOptions) *cobra.Command {
	c := &cobra.Command{
		Use:   "scheduler",
		Short: "Run apps through Marathon's API, and look after the databases among them",
		Long: `Serves Marathon's API and keeps the apps running that are posted to it, as processes of this
machine (--driver local), as containers (--driver docker) or on a Mesos cluster (--driver mesos).
Its state is in etcd: any number of schedulers may stand by, one of them leads. Tasks go on when
a scheduler ends, however it ends; the next one finds them again.

etcd is found as by the other commands: --dcs, else the configuration file of -c, else
PATRONI_ETCD3_HOSTS and its kin. Users of the API are asked for a login where one is given, in
a file by --http-credentials or in PGBATON_HTTP_CREDENTIALS, as user:password. Docker is found
as by its own programs: DOCKER_HOST and DOCKER_CERT_PATH, or for each host in the file of --hosts.
Mesos is found by --master: its masters, or the ZooKeeper that they share.`,
		Example: `  pgbaton scheduler --dcs 10.0.0.1:2379,10.0.0.2:2379 --listen 10.0.0.1:8080
  pgbaton scheduler --driver docker --dcs 10.0.0.1:2379 --listen 0.0.0.0:8080 --advertise 10.0.0.1:8080
  pgbaton scheduler --driver mesos --master zk://10.0.0.1:2181,10.0.0.2:2181/mesos --mesos-role database --dcs 10.0.0.1:2379
  pgbaton scheduler --driver mesos --master http://10.0.0.1:5050,http://10.0.0.2:5050 --mesos-role database --check
  pgbaton scheduler --dcs 127.0.0.1:2379 --hosts hosts.yml --images 'worker:*=/opt/worker --verbose'
  pgbaton scheduler -c postgres0.yml --secrets /etc/pgbaton/secrets --http-credentials /etc/pgbaton/login`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runScheduler(cmd.Context(), cmd.OutOrStdout(), *o) },
	}
	f := c.Flags()
	f.StringVar(&o.driver, "driver", driverLocal, "where tasks run: local (processes of this machine), docker or mesos")
	f.StringVarP(&o.configFile, "config-file", "c", "", "configuration file that says how etcd is reached; that of an agent will do")
	f.StringVar(&o.dcs, "dcs", "", "etcd instead: HOST:PORT[,HOST:PORT…]")
	f.StringVar(&o.prefix, "prefix", "/pgbaton/marathon/", "where in etcd the state is kept; schedulers of one prefix are one")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address:port of the API; port 0 takes a free one")
	f.StringVar(&o.advertise, "advertise", "", "host:port that clients and other schedulers reach it at (default --listen)")
	f.StringVar(&o.stateDir, "state-dir", filepath.Join(defaultStateDir(), "scheduler"), "local driver: where volumes, sandboxes and logs of tasks are kept; docker driver: files to fetch")
	f.StringVar(&o.hosts, "hosts", "", "YAML file of the hosts (default one: this machine, or the daemon of DOCKER_HOST)")
	f.StringArrayVar(&o.images, "images", nil, "local driver: PATTERN=COMMAND, what runs in place of a container image; may be repeated")
	f.StringVar(&o.agents, "config", "", "local driver: configuration file of tasks of the images patroni:* and pgbaton:* (default the built-in examples/mesos/postgres0.yml)")
	f.StringVar(&o.user, "user", "postgres", "local driver: whom tasks run as when the scheduler is root")
	f.StringArrayVar(&o.hostPaths, "host-path", nil, "local driver: folder of this machine that volumes of apps may show; may be repeated")
	f.StringArrayVar(&o.taskEnvs, "task-env", nil, "NAME of a variable that tasks inherit from the scheduler, or NAME=VALUE; may be repeated")
	f.StringVar(&o.dockerConfig, "docker-config", "", "docker driver: logins to registries, as docker login writes them (default config.json of DOCKER_CONFIG or ~/.docker)")
	f.StringVar(&o.secrets, "secrets", "", "folder of the secrets that apps refer to, one file each")
	f.StringVar(&o.credentials, "http-credentials", "", "file with user:password that the API asks for")
	f.StringArrayVar(&o.origins, "access-control-allow-origin", nil, "page whose scripts may use the API (or *); may be repeated")
	f.IntVar(&o.concurrent, "max-concurrent-requests", 0, "requests the API works on at once; more are told to come again (default no limit)")
	o.mesos.flags(c)
	f.BoolVarP(&o.verbose, "verbose", "v", false, "also log what the parts do")
	for name, extensions := range map[string][]string{"config-file": {"yml", "yaml"}, "hosts": {"yml", "yaml"}, "config": {"yml", "yaml"}, "mesos-ca": {"pem", "crt"}, "mesos-cert": {"pem", "crt"}, "mesos-key": {"pem", "key"}} {
		c.MarkFlagFilename(name, extensions...) //nolint:errcheck // the flag is there
	}
	//nolint:errcheck // the flag is there
	c.RegisterFlagCompletionFunc("driver", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return drivers(), cobra.ShellCompDirectiveNoFileComp
	})
	return c
}

// The drivers.
const (
	driverLocal  = "local"
	driverDocker = "docker"
	driverMesos  = "mesos"
)

func drivers() []string { return []string{driverLocal, driverDocker, driverMesos} }

// schedulerPlan is what the options mean, checked before anything is opened.
type schedulerPlan struct {
	schedulerOptions

	etcd      config.Etcd
	aliases   map[string]string
	login     login
	local     local.Config // of the local driver
	docker    docker.Config
	mesos     mesos.Config
	agentText []byte // the configuration file of its agents
	level     *slog.LevelVar
	log       *slog.Logger
	screen    *up.Screen
}

// login is what users of the API have to know; empty when nothing is asked.
type login struct {
	user     string
	password secret.Text
}

func (o schedulerOptions) plan(ctx context.Context, out io.Writer, env map[string]string) (schedulerPlan, error) {
	p := schedulerPlan{schedulerOptions: o, level: &slog.LevelVar{}, screen: up.NewScreen(out)}
	p.level.Set(slog.LevelWarn)
	if o.verbose {
		p.level.Set(slog.LevelInfo)
	}
	p.log = newLog(p.level)
	for _, check := range []func() error{
		p.checkDriver, p.checkAddresses, p.checkPrefix, p.checkRest,
		func() error {
			if o.mesos.check {
				return nil // nothing is kept
			}
			return p.readEtcd(env)
		},
		func() error { return p.readLogin(env) },
	} {
		if err := check(); err != nil {
			return p, err
		}
	}
	switch o.driver {
	case driverDocker:
		return p, p.readDocker(env)
	case driverMesos:
		return p, p.readMesos(env)
	}
	return p, p.readLocal(ctx, env)
}

// checkDriver refuses options of another driver: whoever gives one expects it to mean something.
func (p *schedulerPlan) checkDriver() error {
	if !slices.Contains(drivers(), p.driver) {
		return fmt.Errorf("--driver %q is none of local, docker and mesos", p.driver)
	}
	for _, o := range []struct {
		name, value string
		drivers     []string
	}{
		{"config", p.agents, []string{driverLocal}},
		{"images", strings.Join(p.images, ""), []string{driverLocal}},
		{"host-path", strings.Join(p.hostPaths, ""), []string{driverLocal}},
		{"docker-config", p.dockerConfig, []string{driverDocker}},
		{"hosts", p.hosts, []string{driverLocal, driverDocker}},
		{p.schedulerOptions.mesos.given(), p.schedulerOptions.mesos.given(), []string{driverMesos}},
	} {
		if o.value != "" && !slices.Contains(o.drivers, p.driver) {
			return fmt.Errorf("--%s belongs to the %s driver: leave it out, or choose --driver %s", o.name, strings.Join(o.drivers, " or "), o.drivers[0])
		}
	}
	return nil
}

func (p *schedulerPlan) checkAddresses() error {
	host, _, err := net.SplitHostPort(p.listen)
	if err != nil {
		return fmt.Errorf("--listen %q is no address:port such as 127.0.0.1:8080", p.listen)
	}
	if p.advertise == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("--listen %s is every address of this machine: say with --advertise host:port which one others are to use", p.listen)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(p.advertise)
	if ip := net.ParseIP(host); err != nil || host == "" || port == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("--advertise %q is no host:port that others could reach", p.advertise)
	}
	return nil
}

func (p *schedulerPlan) checkPrefix() error {
	if !strings.HasPrefix(p.prefix, "/") || strings.Trim(p.prefix, "/") == "" {
		return fmt.Errorf("--prefix %q does not begin with / or names nothing: /pgbaton/marathon/ is usual", p.prefix)
	}
	p.prefix = strings.TrimRight(p.prefix, "/") + "/"
	return nil
}

func (p *schedulerPlan) checkRest() error {
	if p.concurrent < 0 {
		return errors.New("--max-concurrent-requests is negative: give a number, or leave it out for no limit")
	}
	if p.secrets == "" {
		return nil
	}
	info, err := os.Stat(p.secrets)
	if err != nil {
		return fmt.Errorf("--secrets: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("--secrets %s is no folder", p.secrets)
	}
	return nil
}

// readEtcd finds out where etcd is.
func (p *schedulerPlan) readEtcd(env map[string]string) error {
	if p.dcs != "" {
		for host := range strings.SplitSeq(p.dcs, ",") {
			if name, port, err := net.SplitHostPort(strings.TrimSpace(host)); err != nil || name == "" || port == "" {
				return fmt.Errorf("--dcs: %q is no host:port of an etcd", host)
			}
			p.etcd.Hosts = append(p.etcd.Hosts, strings.TrimSpace(host))
		}
		p.aliases = config.ParseAliases(env["PGBATON_HOST_ALIASES"])
		return nil
	}
	found, err := config.LoadClient(config.Source{Path: p.configFile, Env: env})
	if err != nil && p.configFile != "" {
		return fmt.Errorf("--config-file: %w", err)
	}
	if err != nil || len(found.Etcd.Hosts) == 0 && found.Etcd.Service == "" {
		return errors.New("where etcd is was not said: give --dcs HOST:PORT, a configuration with -c FILE, or set PATRONI_ETCD3_HOSTS")
	}
	p.etcd, p.aliases = found.Etcd, found.Aliases
	return nil
}

// envCredentials is the variable with the login of the API.
const envCredentials = "PGBATON_HTTP_CREDENTIALS"

// readLogin reads the login of the API, which is never printed.
func (p *schedulerPlan) readLogin(env map[string]string) error {
	text, from := env[envCredentials], envCredentials
	if p.credentials != "" {
		b, err := os.ReadFile(filepath.Clean(p.credentials))
		if errors.Is(err, os.ErrNotExist) && strings.Contains(p.credentials, ":") {
			return errors.New("--http-credentials takes the name of a file, for everybody on this machine can read arguments")
		}
		if err != nil {
			return fmt.Errorf("--http-credentials: %w", err)
		}
		text, from = string(b), "--http-credentials "+p.credentials
	}
	text = strings.TrimSpace(text)
	if text == "" && p.credentials == "" {
		return nil
	}
	user, password, ok := strings.Cut(text, ":")
	if !ok || user == "" || password == "" || strings.Contains(text, "\n") {
		return fmt.Errorf("%s is not one line of the form user:password", from)
	}
	p.login = login{user, secret.Text(password)}
	return nil
}

// readDocker is what the docker driver is opened with.
func (p *schedulerPlan) readDocker(env map[string]string) error {
	var err error
	if p.docker.Daemons, err = readDaemons(p.hosts, env); err != nil {
		return err
	}
	if p.docker.DockerConfig, err = loginsFile(p.dockerConfig, env); err != nil {
		return err
	}
	p.docker.Aliases, p.docker.Dir = p.aliases, p.stateDir
	p.docker.Env, err = taskEnvironment(p.taskEnvs, env)
	return err
}

// readLocal is what the local driver is opened with, but for what has to be written to its folder first.
func (p *schedulerPlan) readLocal(ctx context.Context, env map[string]string) error {
	var err error
	if p.stateDir, err = filepath.Abs(p.stateDir); err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	if p.local.Hosts, err = readHosts(p.hosts, p.stateDir); err != nil {
		return err
	}
	if p.local.Images, err = parseImages(p.images); err != nil {
		return err
	}
	if p.local.Env, err = taskEnvironment(p.taskEnvs, env); err != nil {
		return err
	}
	if p.agentText, err = fileOr(p.agents, examples.Config); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if p.local.Credential, err = p.credential(); err != nil {
		return err
	}
	p.local.Aliases, p.local.HostPaths, p.local.Dir = p.aliases, p.hostPaths, p.stateDir
	if err := p.local.Validate(); err != nil {
		return err
	}
	if err := up.CheckReach(p.stateDir, p.local.Credential); err != nil {
		return err
	}
	return ctx.Err()
}

func (p *schedulerPlan) credential() (*syscall.Credential, error) {
	if os.Geteuid() == 0 {
		return credential(p.user)
	}
	return nil, nil //nolint:nilnil // tasks run as this process does
}

// parseImages reads PATTERN=COMMAND.
func parseImages(texts []string) ([]local.Image, error) {
	var images []local.Image
	for _, text := range texts {
		pattern, command, ok := strings.Cut(text, "=")
		words, err := config.Words(command)
		if err != nil {
			return nil, fmt.Errorf("--images %q: %w", text, err)
		}
		if !ok || pattern == "" || len(words) == 0 {
			return nil, fmt.Errorf("--images %q is not PATTERN=COMMAND such as 'worker:*=/opt/worker --verbose'", text)
		}
		images = append(images, local.Image{Pattern: pattern, Command: words})
	}
	return images, nil
}

// taskEnvironment reads NAME and NAME=VALUE.
func taskEnvironment(texts []string, env map[string]string) (map[string]string, error) {
	variables := map[string]string{}
	for _, text := range texts {
		name, value, given := strings.Cut(text, "=")
		if !given {
			value, given = env[name]
		}
		if name == "" || !given {
			return nil, fmt.Errorf("--task-env: %q is neither NAME=VALUE nor a variable that is set", name)
		}
		variables[name] = value
	}
	return variables, nil
}

// address is what others reach the API at, once it listens.
func (p *schedulerPlan) address(l net.Listener) string { return cmp.Or(p.advertise, l.Addr().String()) }
