package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// surface is a member that uses all options about whoever talks with it.
const surface = `
scope: s
postgresql:
  name: n1
  listen: 127.0.0.1:5432
  data_dir: /data
  config_dir: /etc/pg
  config_base_name: main
  bin_name: {postgres: postgres15, pg_ctl: pg_ctl15}
  database: admin
  proxy_address: 127.0.0.1
  krbsrvname: pg
  use_unix_socket: on
  use_unix_socket_repl: yes
  parameters: {work_mem: 4MB}
  parameters_primary: {work_mem: 8MB}
  pg_hba_replica: [local all boss trust]
  pg_ident_standby_leader: [a b c]
  authentication:
    superuser: {username: su, password: s, sslmode: require, sslcert: /c, sslkey: /k, sslpassword: sp, sslrootcert: , application_name: x}
    replication: {password: r}
thread_pool_size: 7
thread_stack_size: 1MB
etcd3:
  hosts: [127.0.0.1, "[::1]:2381", localhost:7]
  port: 2380
  protocol: HTTPS
  username: u
  password: p
  cacert: /ca
  cert: /cert
  key: /key
restapi:
  listen: 127.0.0.1:8008
  authentication: {username: admin, password: word}
  certfile: /rest.crt
  keyfile: /rest.key
  keyfile_password: kp
  cafile: /rest.ca
  ciphers: HIGH
  verify_client: Optional
  allowlist: 10.0.0.0/8, host
  allowlist_include_members: 1
  allow_from_anywhere: true
  http_extra_headers: {X-A: 1, X-B: yes}
  https_extra_headers: {X-C: c}
  server_tokens: ProductOnly
  request_queue_size: 5
  thread_pool_size: 9
ctl: {insecure: true, cacert: /ctl.ca, certfile: /ctl.crt, keyfile: /ctl.key, keyfile_password: ckp}
log:
  type: json
  level: warn
  traceback_level: debug
  format: [message, {asctime: "@timestamp", levelname: level}]
  dateformat: "%Y"
  static_fields: {app: db, n: 1}
  max_queue_size: 10
  dir: /var/log/p
  mode: 0640
  file_size: 1_000
  file_num: 0
  loggers: {ha: DEBUG, etcd: fatal}
  deduplicate_heartbeat_logs: on
`

func TestEveryOptionOfTheSurface(t *testing.T) {
	cfg := mustParse(t, surface, nil)
	pg := cfg.Postgres
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"warnings", cfg.Warnings, []string{"postgresql.authentication.superuser.application_name is not acted on by this version"}},
		{"name", cfg.Name, "n1"},
		{"etcd", cfg.Etcd, Etcd{
			Hosts: []string{"127.0.0.1:2380", "[::1]:2381", "localhost:7"}, Username: "u", Password: "p", Secure: true,
			ClientTLS: ClientTLS{CA: "/ca", Cert: "/cert", Key: "/key"},
		}},
		{"restapi", cfg.RestAPI, RestAPI{
			Endpoint: Endpoint{[]string{"127.0.0.1"}, 8008, "127.0.0.1:8008"}, Login: BasicLogin{"admin", "word"},
			TLS:       ServerTLS{Cert: "/rest.crt", Key: "/rest.key", KeyPassword: "kp", CA: "/rest.ca", Ciphers: "HIGH", Verify: VerifyOptional},
			Allowlist: []string{"10.0.0.0/8", "host"}, AllowMembers: true, Open: true,
			Headers: map[string]string{"X-A": "1", "X-B": "yes"}, HTTPSHeaders: map[string]string{"X-C": "c"}, ServerTokens: TokensProduct,
		}},
		{"ctl", cfg.Ctl, Ctl{
			ClientTLS: ClientTLS{CA: "/ctl.ca", Cert: "/ctl.crt", Key: "/ctl.key", KeyPassword: "ckp", Insecure: true}, Login: BasicLogin{"admin", "word"},
		}},
		{"log", cfg.Log, Log{
			JSON: true, Level: "WARNING", TracebackLevel: "DEBUG", Fields: []LogField{{"message", "message"}, {"asctime", "@timestamp"}, {"levelname", "level"}},
			Static: map[string]any{"app": "db", "n": 1}, DateFormat: "%Y", Queue: 10, Dir: "/var/log/p", Mode: 0o640, FileSize: 1000, FileNum: 0,
			Loggers: map[string]string{"ha": "DEBUG", "etcd": "CRITICAL"}, Deduplicate: true,
		}},
		{"superuser", pg.Superuser, Login{"su", "s", "sp", map[string]string{"sslmode": "require", "sslcert": "/c", "sslkey": "/k"}}},
		{"rewind", pg.Rewind, pg.Superuser},
		{"places", []string{pg.ConfigDir, pg.ConfigBase, pg.Database, pg.Proxy, pg.Kerberos}, []string{"/etc/pg", "main", "admin", "127.0.0.1:5432", "pg"}},
		{"programs", pg.Programs, map[string]string{"postgres": "postgres15", "pg_ctl": "pg_ctl15"}},
		{"sockets", []bool{pg.SocketForSuperuser, pg.SocketForReplication}, []bool{true, true}},
		{"roles", pg.ByRole, map[cluster.Role]RoleSettings{
			cluster.RolePrimary:       {Parameters: map[string]any{"work_mem": "8MB"}},
			cluster.RoleReplica:       {HBA: []string{"local all boss trust"}},
			cluster.RoleStandbyLeader: {Ident: []string{"a b c"}},
		}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

func TestDefaultsOfTheSurface(t *testing.T) {
	cfg := mustParse(t, postgres0, task())
	want := Log{Level: "INFO", TracebackLevel: "ERROR", Queue: 1000, FileSize: 25_000_000, FileNum: 4}
	if diff := cmp.Diff(want, cfg.Log); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(RestAPI{Endpoint: cfg.RestAPI.Endpoint}, cfg.RestAPI); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Ctl{}, cfg.Ctl); diff != "" {
		t.Error(diff)
	}
	if pg := cfg.Postgres; pg.Database != "postgres" || pg.ConfigBase != "postgresql" || pg.ConfigDir != "" || pg.ByRole != nil || pg.Proxy != "" {
		t.Errorf("%+v", pg)
	}
}

func TestWhereEtcdIs(t *testing.T) {
	for text, want := range map[string]Etcd{
		"{host: h}":                                      {Hosts: []string{"h:2379"}},
		"{host: h, port: 5}":                             {Hosts: []string{"h:5"}},
		"{host: 'h:6', port: 5}":                         {Hosts: []string{"h:6"}},
		"{hosts: 'a,b:1'}":                               {Hosts: []string{"a:2379", "b:1"}},
		"{hosts: '[::1]:2379,[::2]'}":                    {Hosts: []string{"[::1]:2379", "[::2]:2379"}},
		"{hosts: '[a, b]'}":                              {Hosts: []string{"a:2379", "b:2379"}},
		"{url: 'http://h'}":                              {Hosts: []string{"h:2379"}},
		"{url: 'https://u:p%40@h:1', host: x}":           {Hosts: []string{"h:1"}, Username: "u", Password: "p@", Secure: true},
		"{proxy: 'http://gate:3', url: 'http://h'}":      {Hosts: []string{"gate:3"}},
		"{srv: example.org}":                             {Service: "example.org"},
		"{discovery_srv: a.b, srv_suffix: x, host: h}":   {Service: "a.b", Suffix: "x"},
		"{srv_domain: a.b, protocol: https, cacert: /c}": {Service: "a.b", Secure: true, ClientTLS: ClientTLS{CA: "/c"}},
	} {
		c, err := LoadClient(Source{Path: "f", Text: []byte("etcd3: " + text)})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, c.Etcd); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestWrongSurface(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"etcd: {hosts: 'http://h:1'}", `etcd.hosts: "http://h:1" is not host:port; write h:1, and protocol: http beside it`},
		{"etcd3: {hosts: ['http://u:hidden@h:1']}", "line 1: etcd.hosts: an address is host:port; a name and a password have options of their own"},
		{"a: {{b: c}: d}", "line 1: the name of an option is a text"},
		{"etcd:\nconsul: {host: h}", "consul: this version keeps clusters in etcd (v3 API) only"},
		{"etcd3: {hosts: [h:1:2]}", `line 1: etcd.hosts: "h:1:2" is not host:port`},
		{"etcd3: {hosts: [h:x]}", `line 1: etcd.hosts: "h:x" is not host:port`},
		{"etcd: {url: 'ftp://u:hidden@h'}", "etcd.url is not an address as http://host:port"},
		{"etcd: {url: ['http://u:hidden@h']}", "etcd.url: a single value is expected, not a list"},
		{"etcd: {port: 70000, host: h}", "etcd.port: a whole number from 1 to 65535 is expected, not 70000"},
		{"etcd: {protocol: gopher}", `etcd.protocol: one of http, https is expected, not the text "gopher"`},
		{"consul: {host: h}", "consul: this version keeps clusters in etcd (v3 API) only; give etcd3.hosts in place of the section consul"},
		{"kubernetes: {labels: {a: b}}", "kubernetes: this version keeps clusters in etcd"},
		{"restapi: {verify_client: sometimes}", `restapi.verify_client: one of none, optional, required is expected, not the text "sometimes"`},
		{"restapi: {authentication: {username: u}}", "restapi.authentication.password is missing beside the user name"},
		{"restapi: {authentication: hidden}", "restapi.authentication: a section with options of its own is expected, not what stands there"},
		{"restapi: {http_extra_headers: [a]}", "restapi.http_extra_headers: a section with options of its own is expected, not a list"},
		{"restapi: {request_queue_size: 5000}", "restapi.request_queue_size: a whole number from 0 to 4096 is expected, not 5000"},
		{"restapi: {allowlist: {a: b}}", "restapi.allowlist: a list, or names with commas between them, is expected, not a section"},
		{"ctl: {authentication: {password: hidden}}", "ctl.authentication.username is missing beside the password"},
		{"log: {level: LOUD}", "log.level: one of DEBUG, INFO, WARN, WARNING, ERROR, FATAL, CRITICAL, NOTSET is expected"},
		{"log: {mode: '0888'}", `log.mode: permissions as 0644 is expected, not the text "0888"`},
		{"log: {mode: 07777}", "log.mode: permissions as 0644 is expected"},
		{"log: {format: {a: b}}", "log.format: a text with places such as %(message)s, or a list of fields, is expected, not a section"},
		{"log: {loggers: {a: [b]}}", "log.loggers.a: one of DEBUG"},
		{"log: {file_size: big}", "log.file_size: a whole number, 0 or more, is expected"},
		{"postgresql: {superuser: hidden}", "postgresql.superuser: a section with options of its own is expected, not what stands there"},
		{"postgresql: {config_base_name: a/b}", "postgresql.config_base_name"},
		{"postgresql: {config_dir: a}", `line 1: postgresql.config_dir: "a" is not an absolute path`},
		{"postgresql: {pg_hba_primary: all}", `postgresql.pg_hba_primary: a list is expected`},
		{"postgresql: {authentication: {superuser: {password: *hidden}}}", "an alias stands for nothing"},
		{"a: &a [b, *c]\nd: &c [*a]", "alias stands for nothing"},
		{"a: &a {b: 1}\nc:\n  <<: [*a, 5]", "<< stands for no section"},
		{"restapi:\n  listen: x\n  port: [", "this is not the YAML of a configuration"},
	} {
		_, err := parse("f", c.text, Source{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

// Older files have logins without a section for them.
func TestOlderLogins(t *testing.T) {
	text := strings.Replace(postgres0, "  parameters:", "  superuser: {username: a, password: b}\n  replication: {username: c, password: d}\n  parameters:", 1)
	cfg := mustParse(t, text, barred(task()))
	if pg := cfg.Postgres; pg.Superuser.Username != "a" || pg.Replication.Username != "c" || pg.UseRewind {
		t.Errorf("%+v", pg)
	}
	text = strings.Replace(text, "  superuser:", "  pg_rewind: {username: e, password: f}\n  superuser:", 1)
	if pg := mustParse(t, text, barred(task())).Postgres; pg.Rewind.Username != "e" || !pg.UseRewind {
		t.Errorf("%+v", pg)
	}
}

// barred is a task's environment without passwords.
func barred(env map[string]string) map[string]string {
	delete(env, "PATRONI_SUPERUSER_PASSWORD")
	delete(env, "PATRONI_REPLICATION_PASSWORD")
	return env
}

// A password may be left out where the file says who is let in how, or where a certificate takes its place.
func TestLoginsWithoutPasswords(t *testing.T) {
	for _, more := range []string{
		"  pg_hba: [local all boss peer]\n",
		"  authentication: {superuser: {sslcert: /c}, replication: {sslcert: /d}}\n",
		"  krbsrvname: pg\n",
		"bootstrap: {pg_hba: [host all boss samenet trust]}\n",
		"bootstrap: {dcs: {postgresql: {pg_hba: [host all boss samenet trust]}}}\n",
	} {
		if _, err := parse("f", postgres0+more, Source{Env: barred(task())}); err != nil {
			t.Errorf("%s: %v", more, err)
		}
	}
}

func TestFormats(t *testing.T) {
	for text, want := range map[string]Log{
		"{type: json, format: '%(levelname)s x %(message)s'}": {JSON: true, Format: "%(levelname)s x %(message)s", Fields: []LogField{{"levelname", "levelname"}, {"message", "message"}}},
		"{format: '%(message)s'}":                             {Format: "%(message)s"},
		"{format: [message]}":                                 {},
	} {
		cfg := mustParse(t, postgres0+"log: "+text+"\n", task())
		if got := (Log{JSON: cfg.Log.JSON, Format: cfg.Log.Format, Fields: cfg.Log.Fields}); !cmp.Equal(want, got) {
			t.Errorf("%s: %s", text, cmp.Diff(want, got))
		}
		if said := len(cfg.Warnings) > 0; said != (text == "{format: [message]}") {
			t.Errorf("%s: %v", text, cfg.Warnings)
		}
	}
}

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("%q is not there", from)
	}
	return strings.Replace(text, from, to, 1)
}
