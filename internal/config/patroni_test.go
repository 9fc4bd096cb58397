package config

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/peer"
)

// debianPython is the one that Debian's package is for.
const debianPython = "/usr/bin/python3"

// sayLocal prints what Patroni makes of a file, a folder, or its environment alone.
const sayLocal = `
import json, sys
from patroni.config import Config
print(json.dumps(Config(sys.argv[1] if len(sys.argv) > 1 else None, None)._local_configuration))
`

// What the files and the environment say together is the same for Patroni and for us.
func TestSourcesAsPatroniReadsThem(t *testing.T) {
	if exec.CommandContext(t.Context(), debianPython, "-c", "import patroni.config").Run() != nil {
		peer.Missing(t, "Patroni for python3: install Debian's package patroni")
	}
	for _, c := range []struct {
		name, path string
		env        map[string]string
	}{
		{"a folder", "testdata/folder", nil},
		{"the environment over it", "testdata/folder", map[string]string{
			"PATRONI_NAME": "m2", "PATRONI_SCOPE": "", "PATRONI_RESTAPI_KEYFILE": "/k", "PATRONI_POSTGRESQL_DATA_DIR": "/x",
			"PATRONI_SUPERUSER_SSLMODE": "verify-full", "PATRONI_LOGLEVEL": "DEBUG", "PATRONI_LOG_FILE_SIZE": "1000", "PATRONI_LOG_FILE_NUM": "0x10",
			"PATRONI_CTL_INSECURE": "on", "PATRONI_RESTAPI_ALLOWLIST_INCLUDE_MEMBERS": "no", "PATRONI_LOG_LOGGERS": "a: DEBUG, b.c: INFO",
			"PATRONI_RESTAPI_ALLOWLIST": "127.0.0.1, 10.0.0.0/8", "PATRONI_RESTAPI_HTTP_EXTRA_HEADERS": "'A': 'b c', D: e",
			"PATRONI_RESTAPI_HTTPS_EXTRA_HEADERS": "{A: b}", "PATRONI_LOG_LEVEL": "WARNING", "PATRONI_LOGFORMAT": "%(message)s",
		}},
		{"lists in their other forms", "testdata/folder", map[string]string{
			"PATRONI_RESTAPI_ALLOWLIST": "- a\n- b", "PATRONI_LOG_LOGGERS": "{a: DEBUG}", "PATRONI_LOG_LOGLEVEL": "",
		}},
		{"the environment alone", "", map[string]string{
			"PATRONI_NAME": "m", "PATRONI_SCOPE": "s", "PATRONI_NAMESPACE": "/n/", "PATRONI_ETCD3_HOSTS": "'10.0.0.1:2379','10.0.0.2:2379'",
			"PATRONI_ETCD3_PROTOCOL": "https", "PATRONI_ETCD3_USERNAME": "u", "PATRONI_ETCD3_PASSWORD": "p", "PATRONI_ETCD3_CACERT": "/ca",
			"PATRONI_REPLICATION_USERNAME": "r", "PATRONI_REPLICATION_PASSWORD": "p", "PATRONI_REWIND_USERNAME": "w", "PATRONI_REWIND_PASSWORD": "p",
			"PATRONI_SUPERUSER_PASSWORD": "p", "PATRONI_POSTGRESQL_LISTEN": "127.0.0.1:5432", "PATRONI_RESTAPI_CERTFILE": "/c",
			"PATRONI_RESTAPI_VERIFY_CLIENT": "required", "PATRONI_POSTGRESQL_PROXY_ADDRESS": "h:6432", "PATRONI_POSTGRESQL_CONFIG_DIR": "/etc/pg",
		}},
		{"one variable with all", "", map[string]string{
			"PATRONI_CONFIGURATION": "scope: s\nname: n\nlog: {level: INFO}\n", "PATRONI_SCOPE": "other",
		}},
		{"no such file", "testdata/none.yml", map[string]string{"PATRONI_CONFIGURATION": "{scope: s, name: n}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(patroniReads(t, c.path, c.env), weRead(t, c.path, c.env)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func patroniReads(t *testing.T, path string, env map[string]string) any {
	t.Helper()
	args := []string{"-c", sayLocal}
	if path != "" {
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), debianPython, args...)
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask Patroni: %v %s", err, out)
	}
	return decoded(t, out)
}

func weRead(t *testing.T, path string, env map[string]string) any {
	t.Helper()
	src := Source{Path: path, Env: env}
	tree, err := read(src, src.substitute)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tree.decode(); err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := tree.root.Decode(&all); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, out)
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}
