package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// folderOf writes files into a folder conf.d.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conf.d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// All mistakes of all files and variables are told at once, each with the place where it stands.
func TestMistakesNameTheirFileOrVariable(t *testing.T) {
	dir := folderOf(t, map[string]string{
		"1.yml":  "scope: s\nname: a/b\nlog: {level: LOUD}\n",
		"2.yaml": "log: {file_num: many, mode: null}\netcd: {host: h}\n",
		"3.yml":  "log: {mode: 9999}\n",
		"4.txt":  "no: [yaml",
	})
	_, err := Load(Source{Path: dir, Env: map[string]string{"PATRONI_LOG_TYPE": "loud", "PATRONI_CTL_INSECURE": "perhaps", "PATRONI_LOG_LOGGERS": "["}})
	want := strings.Split(`conf.d: conf.d/1.yml: line 3: log.level: one of DEBUG, INFO, WARN, WARNING, ERROR, FATAL, CRITICAL, NOTSET is expected, not the text "LOUD"; `+
		`conf.d/2.yaml: line 1: log.file_num: a whole number, 0 or more, is expected, not the text "many"; `+
		`conf.d/3.yml: line 1: log.mode: permissions as 0644 is expected, not the number 9999; `+
		`PATRONI_LOG_TYPE: log.type: one of plain, json is expected, not the text "loud"; `+
		`PATRONI_CTL_INSECURE: ctl.insecure: true or false is expected, not the text "perhaps"; `+
		`PATRONI_LOG_LOGGERS: log.loggers: a YAML section of name: value is expected`, "; ")
	if diff := cmp.Diff(want, strings.Split(err.Error(), "; ")); diff != "" {
		t.Error(diff)
	}
	_, err = Load(Source{Path: dir, Env: map[string]string{"PATRONI_LOG_LEVEL": "INFO", "PATRONI_LOG_FILE_NUM": "2", "PATRONI_LOG_MODE": "0644"}})
	if err == nil || !strings.Contains(err.Error(), `conf.d/1.yml: line 2: name: "a/b" may only have letters`) {
		t.Errorf("what makes no sense: %v", err)
	}
}

func TestFoldersThatCannotBeRead(t *testing.T) {
	for name, dir := range map[string]string{
		"there is no *.yml or *.yaml in":                                folderOf(t, nil),
		"b.yml: this is not the YAML of a configuration":                folderOf(t, map[string]string{"a.yml": "scope: s", "b.yml": "scope: ["}),
		"b.yml: a section with options of its own is expected":          folderOf(t, map[string]string{"a.yml": "scope: s", "b.yml": "- scope"}),
		"b.yml: line 1: {NOWHERE} has no value; set the environment":    folderOf(t, map[string]string{"a.yml": "scope: s", "b.yml": "name: {NOWHERE}"}),
		"read the configuration: stat /nowhere/at/all: no such file or": "/nowhere/at/all",
	} {
		if _, err := Load(Source{Path: dir}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

// A whole configuration in a variable counts where there is no file, and nothing else of the environment does then.
func TestWholeConfigurationInAVariable(t *testing.T) {
	env := map[string]string{"PATRONI_CONFIGURATION": surface + "\nname: inside", "PATRONI_NAME": "outside"}
	cfg, err := Load(Source{Path: filepath.Join(t.TempDir(), "missing.yml"), Env: env})
	if err != nil || cfg.Name != "inside" {
		t.Errorf("%s %v", cfg.Name, err)
	}
	env["PATRONI_CONFIGURATION"] = "scope: ["
	if _, err := Load(Source{Env: env}); err == nil || !strings.HasPrefix(err.Error(), "PATRONI_CONFIGURATION: ") {
		t.Error(err)
	}
	if _, err := Load(Source{Path: "f.yml", Text: []byte(surface), Env: env}); err != nil {
		t.Errorf("beside a file: %v", err)
	}
	if _, err := Load(Source{}); err == nil || !strings.HasPrefix(err.Error(), "the environment: scope is missing") {
		t.Error(err)
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		env  string
		path string
		want string
	}{
		{"PATRONI_LOGLEVEL=DEBUG", "log.level", "DEBUG"},
		{"PATRONI_LOG_DATEFMT=%Y", "log.dateformat", "'%Y'"},
		{"PATRONI_LOGFORMAT=[a, {b: c}]", "log.format", "[a, {b: c}]"},
		{"PATRONI_LOG_FORMAT=- message", "log.format", "[message]"},
		{"PATRONI_LOG_STATIC_FIELDS=a: 1", "log.static_fields", "{a: 1}"},
		{"PATRONI_RESTAPI_SERVER_TOKENS=Minimal", "restapi.server_tokens", "Minimal"},
		{"PATRONI_RESTAPI_REQUEST_QUEUE_SIZE=0x10", "restapi.request_queue_size", "16"},
		{"PATRONI_POSTGRESQL_BIN_PG_ISREADY=ready", "postgresql.bin_name.pg_isready", "ready"},
		{"PATRONI_SUPERUSER_USERNAME=1", "postgresql.authentication.superuser.username", `"1"`},
		{"PATRONI_ETCD_HOST=127.0.0.7", "etcd3.host", "127.0.0.7"},
		{"PATRONI_ETCD_SRV=example.org", "etcd3.srv", "example.org"},
		{"PATRONI_ETCD3_USE_PROXIES=on", "etcd3.use_proxies", "true"},
		{"PATRONI_CONSUL_TOKEN=x", "consul.token", "x"},
		{"PATRONI_CITUS_GROUP=1", "citus.group", `"1"`},
	} {
		name, value, _ := strings.Cut(c.env, "=")
		text, err := Overlaid(Source{Path: "f", Text: []byte(barredSurface()), Env: map[string]string{name: value}})
		if err != nil {
			t.Errorf("%s: %v", c.env, err)
			continue
		}
		got, err := parseYAML(string(text))
		if err != nil {
			t.Fatal(err)
		}
		want, err := parseYAML(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain(t, want), plain(t, (&tree{root: got}).at(c.path))); diff != "" {
			t.Errorf("%s: %s", c.env, diff)
		}
	}
}

// barredSurface is the surface without what variables of a test say.
func barredSurface() string {
	return strings.Replace(surface, "hosts: [127.0.0.1, ", "hosts: [127.0.0.9, ", 1)
}

func TestVariablesThatNobodyKnows(t *testing.T) {
	cfg := mustParse(t, postgres0, task("PATRONI_RESTAPI_CERTFLE=x", "PATRONI_ADMIN_PASSWORD=secret", "PATRONI_GUARD=on", "PATRONI_KUBERNETES_LABELS={a: b}", "PATRONI_NONE="))
	want := []string{
		"the variable PATRONI_ADMIN_PASSWORD is not acted on by this version",
		"the variable PATRONI_RESTAPI_CERTFLE is not acted on by this version; did you mean PATRONI_RESTAPI_CERTFILE?",
		"kubernetes is not acted on by this version; etcd is used",
	}
	if diff := cmp.Diff(want, cfg.Warnings); diff != "" {
		t.Error(diff)
	}
}

// plain is what a node stands for.
func plain(t *testing.T, node *yaml.Node) any {
	t.Helper()
	if node == nil {
		return nil
	}
	var v any
	if err := node.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
