package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// file writes a file for one test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// schedulerArgs is what becomes of a command line.
func schedulerArgs(t *testing.T, env map[string]string, args ...string) (schedulerPlan, error) {
	t.Helper()
	var o schedulerOptions
	c := schedulerFlags(&o)
	if err := c.ParseFlags(args); err != nil {
		return schedulerPlan{}, err
	}
	if o.user == "postgres" {
		o.user = "nobody" // whom every machine knows
	}
	if !c.Flags().Changed("state-dir") {
		o.stateDir = filepath.Join("/var/lib", "pgbaton-of-a-test") // nothing is written yet
	}
	return o.plan(t.Context(), io.Discard, env)
}

// TestWhatTheSchedulerRefuses says: every wrong option is answered with a sentence about it, before anything is opened.
func TestWhatTheSchedulerRefuses(t *testing.T) {
	hosts := func(text string) string { return file(t, "hosts.yml", text) }
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"no etcd":               {nil, nil, "where etcd is was not said"},
		"etcd without port":     {nil, []string{"--dcs", "host1,host2:2379"}, `--dcs: "host1" is no host:port`},
		"no such configuration": {nil, []string{"-c", "/nowhere.yml"}, "--config-file"},
		"no mesos":              {nil, []string{"--driver", "mesos", "--dcs", "a:1"}, "where Mesos is was not said"},
		"mesos option":          {nil, []string{"--master", "a:5050", "--dcs", "a:1"}, "--master belongs to the mesos driver"},
		"gpus of mesos":         {nil, []string{"--driver", "docker", "--gpus", "--dcs", "a:1"}, "--gpus belongs to the mesos driver"},
		"hosts of mesos":        {nil, []string{"--driver", "mesos", "--hosts", "x", "--dcs", "a:1"}, "--hosts belongs to the local or docker driver"},
		"master without port":   {nil, []string{"--driver", "mesos", "--master", "http://a", "--dcs", "a:1"}, `"http://a" is no address of a master`},
		"master with a path":    {nil, []string{"--driver", "mesos", "--master", "http://a:5050/mesos", "--dcs", "a:1"}, "is no address of a master"},
		"master with a login":   {nil, []string{"--driver", "mesos", "--master", "http://me:hush@a:5050", "--dcs", "a:1"}, "--mesos-principal"},
		"ensemble without path": {nil, []string{"--driver", "mesos", "--master", "zk://me:hush@a:2181", "--dcs", "a:1"}, "--master: the path of the masters is missing"},
		"nobody's secret":       {nil, []string{"--driver", "mesos", "--master", "a:5050", "--mesos-secret-file", "x", "--dcs", "a:1"}, "--mesos-principal"},
		"no secret of mesos":    {nil, []string{"--driver", "mesos", "--master", "a:5050", "--mesos-principal", "p", "--mesos-secret-file", "/nowhere", "--dcs", "a:1"}, "--mesos-secret-file: open /nowhere"},
		"nobody's key":          {nil, []string{"--driver", "mesos", "--master", "a:5050", "--mesos-key", "x", "--dcs", "a:1"}, "--mesos-key needs"},
		"no authorities":        {nil, []string{"--driver", "mesos", "--master", "a:5050", "--mesos-ca", "/nowhere.pem", "--dcs", "a:1"}, "certificates for Mesos"},
		"short failover":        {nil, []string{"--driver", "mesos", "--master", "a:5050", "--failover-timeout", "10s", "--dcs", "a:1"}, "too short"},
		"unknown driver":        {nil, []string{"--driver", "podman", "--dcs", "a:1"}, `--driver "podman" is none of local, docker and mesos`},
		"docker option":         {nil, []string{"--dcs", "a:1", "--docker-config", "x"}, "--docker-config belongs to the docker driver"},
		"no logins":             {nil, []string{"--driver", "docker", "--dcs", "a:1", "--docker-config", "/nowhere/config.json"}, "--docker-config: stat /nowhere"},
		"local option":          {nil, []string{"--driver", "docker", "--dcs", "a:1", "--images", "x=y"}, "--images belongs to the local driver"},
		"no address":            {nil, []string{"--listen", "8080", "--dcs", "a:1"}, "--listen"},
		"every address":         {nil, []string{"--listen", "0.0.0.0:8080", "--dcs", "a:1"}, "say with --advertise"},
		"advertised badly":      {nil, []string{"--advertise", "0.0.0.0:8080", "--dcs", "a:1"}, "--advertise"},
		"prefix":                {nil, []string{"--prefix", "marathon", "--dcs", "a:1"}, "--prefix"},
		"limit":                 {nil, []string{"--max-concurrent-requests", "-1", "--dcs", "a:1"}, "negative"},
		"no secrets":            {nil, []string{"--secrets", "/nowhere", "--dcs", "a:1"}, "--secrets"},
		"secrets in a file":     {nil, []string{"--secrets", "/etc/passwd", "--dcs", "a:1"}, "is no folder"},
		"login as argument":     {nil, []string{"--http-credentials", "me:hush", "--dcs", "a:1"}, "takes the name of a file"},
		"login without name":    {nil, []string{"--http-credentials", file(t, "login", "hush\n"), "--dcs", "a:1"}, "user:password"},
		"login of two lines":    {map[string]string{"PGBATON_HTTP_CREDENTIALS": "me:hush\nyou:hush"}, []string{"--dcs", "a:1"}, "user:password"},
		"image":                 {nil, []string{"--images", "worker", "--dcs", "a:1"}, "is not PATTERN=COMMAND"},
		"image quote":           {nil, []string{"--images", "worker:*=sh -c 'x", "--dcs", "a:1"}, "quote"},
		"variable":              {nil, []string{"--task-env", "NOTHING", "--dcs", "a:1"}, `"NOTHING" is neither`},
		"no hosts file":         {nil, []string{"--hosts", "/nowhere.yml", "--dcs", "a:1"}, "--hosts"},
		"no hosts":              {nil, []string{"--hosts", hosts(""), "--dcs", "a:1"}, "has no hosts"},
		"unknown field":         {nil, []string{"--hosts", hosts("hosts: [{name: a, address: 127.0.0.1, cores: 3}]"), "--dcs", "a:1"}, "cores"},
		"nameless host":         {nil, []string{"--hosts", hosts("hosts: [{address: 127.0.0.1}]"), "--dcs", "a:1"}, "host 1: it needs a name"},
		"ports":                 {nil, []string{"--hosts", hosts("hosts: [{name: a, address: 127.0.0.1, ports: [9-1]}]"), "--dcs", "a:1"}, `"9-1" is no port`},
		"negative":              {nil, []string{"--hosts", hosts("hosts: [{name: a, address: 127.0.0.1, mem: -1}]"), "--dcs", "a:1"}, "mem is negative"},
		"foreign address":       {nil, []string{"--hosts", hosts("hosts: [{name: a, address: 192.0.2.77}]"), "--dcs", "a:1"}, "does not belong to this machine"},
		"twice":                 {nil, []string{"--hosts", hosts("hosts: [{name: a, address: 127.0.0.1}, {name: a, address: 127.0.0.2}]"), "--dcs", "a:1"}, "used twice"},
		"agents":                {nil, []string{"--config", "/nowhere.yml", "--dcs", "a:1"}, "--config"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schedulerArgs(t, test.env, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestWhatTheSchedulerUnderstandsOfMesos says how a cluster is found and how it is told who comes.
func TestWhatTheSchedulerUnderstandsOfMesos(t *testing.T) {
	word := file(t, "secret", "hu:sh\n")
	p, err := schedulerArgs(t, map[string]string{"PASS": "on"}, "--driver", "mesos", "--master", "http://a:5050, b:5051,[::1]:5052/", "--dcs", "a:1",
		"--mesos-role", "db", "--mesos-principal", "me", "--mesos-secret-file", word, "--gpus", "--task-env", "PASS", "--listen", "0.0.0.0:8080", "--advertise", "sched:8080")
	if err != nil {
		t.Fatal(err)
	}
	m := p.mesos
	if strings.Join(m.Masters, " ") != "a:5050 b:5051 [::1]:5052" || m.Find != nil || m.TLS != nil || p.masters() != "a:5050, b:5051, [::1]:5052" {
		t.Errorf("the masters are %v", m.Masters)
	}
	if m.Role != "db" || m.Principal != "me" || m.Secret.Reveal() != "hu:sh" || !m.GPUs || m.FailoverTimeout != 7*24*time.Hour || m.Env["PASS"] != "on" ||
		m.Hostname != "sched" || m.WebUI != "http://sched:8080" {
		t.Errorf("the framework is %+v", m)
	}
	p, err = schedulerArgs(t, nil, "--driver", "mesos", "--master", "zk://me:hush@a:2181,b/mesos", "--dcs", "a:1")
	if err != nil || p.mesos.Find == nil || p.mesos.TLS != nil || p.masters() != "zk://a:2181,b:2181/mesos" {
		t.Errorf("by ZooKeeper: %s, %v", p.masters(), err)
	}
	p, err = schedulerArgs(t, nil, "--driver", "mesos", "--master", "https://a:5050", "--dcs", "a:1")
	if err != nil || p.mesos.TLS == nil {
		t.Errorf("encrypted: %v, %v", p.mesos.TLS, err)
	}
}

// TestWhatTheSchedulerUnderstands says what options mean, and what is taken where none is given.
func TestWhatTheSchedulerUnderstands(t *testing.T) {
	text := `hosts:
- {name: a, address: 127.0.0.1, cpus: 3, gpus: 2, ports: [31000-31099, 5432], zone: z1, region: r1, roles: [db], attributes: {rack: "7"}}
- {name: b, address: 127.0.0.2}
`
	p, err := schedulerArgs(t, map[string]string{"PGBATON_HTTP_CREDENTIALS": "me:hu:sh", "PASS": "on"}, "--dcs", "a:1, b:2", "--prefix", "/x/y",
		"--hosts", file(t, "hosts.yml", text), "--images", "worker:*=/opt/worker 'two words'", "--task-env", "PASS", "--task-env", "SET=this=that")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(p.etcd.Hosts, " ") != "a:1 b:2" || p.prefix != "/x/y/" || leaderKey(p.prefix) != "/x/y.leader" {
		t.Errorf("etcd is %v, prefix %s", p.etcd.Hosts, p.prefix)
	}
	if p.login.user != "me" || p.login.password.Reveal() != "hu:sh" {
		t.Errorf("the login is %s %s", p.login.user, p.login.password.Reveal())
	}
	if p.local.Env["PASS"] != "on" || p.local.Env["SET"] != "this=that" {
		t.Errorf("tasks get %v", p.local.Env)
	}
	if got := p.local.Images[0]; got.Pattern != "worker:*" || strings.Join(got.Command, "|") != "/opt/worker|two words" {
		t.Errorf("the image is %v", got)
	}
	a, b := p.local.Hosts[0], p.local.Hosts[1]
	if a.Resources.CPUs != 3 || a.Resources.GPUs != 2 || a.Zone != "z1" || a.Region != "r1" || a.Roles[0] != "db" || a.Attributes["rack"] != "7" {
		t.Errorf("host a is %+v", a)
	}
	if a.Ports[1] != (place.Range{Begin: 5432, End: 5432}) || b.Ports[0] != (place.Range{Begin: 31000, End: 32000}) || b.Resources.Mem == 0 {
		t.Errorf("ports are %v and %v", a.Ports, b.Ports)
	}
}

// TestEtcdIsFoundAsByOtherCommands says: the variables and files of agents tell where it is, and --dcs wins.
func TestEtcdIsFoundAsByOtherCommands(t *testing.T) {
	conf := file(t, "postgres0.yml", "scope: demo\netcd3:\n  hosts: c:3\n")
	env := map[string]string{"PATRONI_ETCD3_HOSTS": "e:5"}
	for _, test := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{env, nil, "e:5"},
		{nil, []string{"-c", conf}, "c:3"},
		{env, []string{"--dcs", "d:4"}, "d:4"},
	} {
		p, err := schedulerArgs(t, test.env, test.args...)
		if err != nil || strings.Join(p.etcd.Hosts, ",") != test.want {
			t.Errorf("%v: %v %v, want %s", test.args, p.etcd.Hosts, err, test.want)
		}
	}
}
