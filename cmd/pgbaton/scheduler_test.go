package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		"mesos":                 {nil, []string{"--driver", "mesos", "--dcs", "a:1"}, "not there yet"},
		"unknown driver":        {nil, []string{"--driver", "podman", "--dcs", "a:1"}, `--driver "podman" is none of local and docker`},
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
