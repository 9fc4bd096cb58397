package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/zookeeper"
	"github.com/pgbaton/pgbaton/internal/secret"
	"github.com/pgbaton/pgbaton/internal/tlsfiles"
)

// mesosOptions are what was typed about a Mesos cluster.
type mesosOptions struct {
	master                string
	name, role, user      string
	principal, secretFile string
	ca, cert, key         string
	failover              time.Duration
	framework             string
	gpus                  bool
	check                 bool
}

// usualFailover is how long Mesos keeps the tasks of a framework that is away: long enough for a weekend nobody looked.
const usualFailover = 7 * 24 * time.Hour

func (o *mesosOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.master, "master", "", "mesos driver: where the masters are: http[s]://HOST:PORT[,HOST:PORT…], or zk://[USER:PASSWORD@]HOST:PORT[,…]/mesos")
	f.StringVar(&o.name, "framework-name", "", "mesos driver: name of the framework on Mesos' pages (default pgbaton)")
	f.StringVar(&o.role, "mesos-role", "", "mesos driver: role of all apps, whose resources are used and reserved for it; persistent volumes need one (default *)")
	f.StringVar(&o.user, "mesos-user", "", "mesos driver: whom tasks without an image run as where their definition names nobody (default root)")
	f.StringVar(&o.principal, "mesos-principal", "", "mesos driver: who this scheduler is, for Mesos' rules and reservations")
	f.StringVar(&o.secretFile, "mesos-secret-file", "", "mesos driver: file with the secret of the principal, where the masters ask for a login")
	f.StringVar(&o.ca, "mesos-ca", "", "mesos driver: file with the authorities of the masters' certificates (default those of this machine)")
	f.StringVar(&o.cert, "mesos-cert", "", "mesos driver: file with a certificate to show to the masters")
	f.StringVar(&o.key, "mesos-key", "", "mesos driver: file with the key of that certificate")
	f.DurationVar(&o.failover, "failover-timeout", usualFailover, "mesos driver: how long no scheduler may be there before Mesos ends all tasks")
	f.StringVar(&o.framework, "mesos-framework", "", "mesos driver: id of the framework that this scheduler was: one that has lost its state goes on as it, and where Mesos has removed it, as another one with its volumes")
	f.BoolVar(&o.check, "check", false, "mesos driver: say what of the cluster would not work, and end; exit code 1 when something would not")
	f.BoolVar(&o.gpus, "gpus", false, "mesos driver: also use agents that have GPUs")
}

// given is the name of an option that was given, empty without one.
func (o *mesosOptions) given() string {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"master", o.master != ""},
		{"framework-name", o.name != ""},
		{"mesos-role", o.role != ""},
		{"mesos-user", o.user != ""},
		{"mesos-principal", o.principal != ""},
		{"mesos-secret-file", o.secretFile != ""},
		{"mesos-ca", o.ca != ""},
		{"mesos-cert", o.cert != ""},
		{"mesos-key", o.key != ""},
		{"failover-timeout", o.failover != usualFailover},
		{"mesos-framework", o.framework != ""},
		{"gpus", o.gpus},
		{"check", o.check},
	} {
		if f.given {
			return f.name
		}
	}
	return ""
}

// readMesos is what the mesos driver is opened with.
func (p *schedulerPlan) readMesos(env map[string]string) error {
	o := p.schedulerOptions.mesos
	if o.failover < time.Minute {
		return fmt.Errorf("--failover-timeout %s is too short: Mesos would end the databases when this scheduler is restarted; a week is usual", o.failover)
	}
	host, _, err := net.SplitHostPort(cmp.Or(p.advertise, p.listen))
	if err != nil {
		return fmt.Errorf("--advertise: %w", err)
	}
	p.mesos = mesos.Config{
		Name: o.name, Role: o.role, User: o.user, Principal: o.principal, GPUs: o.gpus, FailoverTimeout: o.failover,
		Hostname: host, WebUI: "http://" + cmp.Or(p.advertise, p.listen),
	}
	if p.mesos.Env, err = taskEnvironment(p.taskEnvs, env); err != nil {
		return err
	}
	if p.mesos.Secret, err = o.secret(); err != nil {
		return err
	}
	return o.find(&p.mesos)
}

// secret reads the secret of the principal.
func (o *mesosOptions) secret() (secret.Text, error) {
	if o.secretFile == "" {
		return "", nil
	}
	if o.principal == "" {
		return "", errors.New("--mesos-secret-file needs --mesos-principal: whose secret is it?")
	}
	text, err := os.ReadFile(filepath.Clean(o.secretFile))
	if err != nil {
		return "", fmt.Errorf("--mesos-secret-file: %w", err)
	}
	return secret.Text(strings.TrimRight(string(text), "\r\n")), nil
}

// find reads where the masters are.
func (o *mesosOptions) find(cfg *mesos.Config) error {
	if o.master == "" {
		return errors.New("where Mesos is was not said: give --master http://HOST:5050 or --master zk://HOST:2181/mesos")
	}
	secure := o.ca != "" || o.cert != ""
	if zookeeper.IsURL(o.master) {
		ensemble, err := zookeeper.Parse(o.master)
		if err != nil {
			return fmt.Errorf("--master: %w", err)
		}
		ensemble.Names = secure
		cfg.Find = ensemble.Find
		return o.encrypt(cfg, secure)
	}
	for text := range strings.SplitSeq(o.master, ",") {
		master, encrypted, err := masterAddress(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("--master: %w", err)
		}
		secure = secure || encrypted
		cfg.Masters = append(cfg.Masters, master)
	}
	return o.encrypt(cfg, secure)
}

// masterAddress reads [http[s]://]HOST:PORT[/].
func masterAddress(text string) (address string, encrypted bool, err error) {
	if strings.Contains(text, "@") {
		return "", false, errors.New("a login is no part of the address of a master: give --mesos-principal and --mesos-secret-file")
	}
	rest, encrypted := strings.CutPrefix(text, "https://")
	rest = strings.TrimSuffix(strings.TrimPrefix(rest, "http://"), "/")
	u, err := url.Parse("//" + rest)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.Host != rest {
		return "", false, fmt.Errorf("%q is no address of a master such as http://10.0.0.1:5050", text)
	}
	return rest, encrypted, nil
}

// encrypt has everything said to masters encrypted, where that is wanted.
func (o *mesosOptions) encrypt(cfg *mesos.Config, wanted bool) error {
	if o.key != "" && o.cert == "" {
		return errors.New("--mesos-key needs --mesos-cert")
	}
	if !wanted {
		return nil
	}
	var err error
	if cfg.TLS, err = tlsfiles.Client(o.ca, o.cert, o.key, "", tlsfiles.VerifyFull); err != nil {
		return fmt.Errorf("certificates for Mesos: %w", err)
	}
	return nil
}

// openMesos makes the framework, which subscribes when the scheduler asks it to.
func (p *schedulerPlan) openMesos() (driver.Driver, error) {
	d, err := mesos.New(p.mesos, p.log)
	if err != nil {
		return nil, err
	}
	p.screen.Say("driver", "Mesos at "+p.masters())
	return d, nil
}

// masters is where Mesos is looked for, without a password.
func (p *schedulerPlan) masters() string {
	if ensemble, err := zookeeper.Parse(p.schedulerOptions.mesos.master); err == nil {
		return ensemble.String()
	}
	return strings.Join(p.mesos.Masters, ", ")
}
