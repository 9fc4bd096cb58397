package config

import (
	"strings"
	"testing"
)

// FuzzLoad gives any document to all that reads one. Nothing panics, an error is one line for each problem, and no error,
// warning or printed configuration has the password that stands where a password is expected.
func FuzzLoad(f *testing.F) {
	const password = "hush-hush"
	for _, text := range []string{postgres0, everything, surface, "scope: {A}\n", "a: &a [*a]", "a: &a {b: 1}\nc: {<<: *a}\n", "restapi: {authentication: {password: PASSWORD}}"} {
		f.Add(text, "DEBUG")
	}
	f.Add("etcd: {hosts: 'http://u:PASSWORD@h'}\npostgresql:\n  authentication:\n    superuser: {username: u, password: PASSWORD}\n    replication: PASSWORD\n", "[a, {b: c}]")
	f.Add("etcd3: {url: 'https://u:PASSWORD@h:1'}\nrestapi: {keyfile_password: [PASSWORD]}\n", "- a")
	f.Fuzz(func(t *testing.T, text, value string) {
		if strings.Contains(text, password) || strings.Contains(value, password) {
			t.Skip("the password stands anywhere")
		}
		env := task("PATRONI_LOG_FORMAT="+value, "PATRONI_LOG_LOGGERS="+value, "PATRONI_RESTAPI_ALLOWLIST="+value, "PATRONI_REWIND_PASSWORD="+password,
			"PATRONI_CTL_PASSWORD="+password)
		src := Source{Path: "f", Text: []byte(inPlace(text, password)), Env: env}
		cfg, err := Load(src)
		said := strings.Join(cfg.Warnings, "\n")
		if err == nil {
			_, warnings := cfg.With(map[string]any{"ttl": value, "postgresql": map[string]any{"pg_hba": value, "use_pg_rewind": true}})
			said += strings.Join(warnings, "\n")
		} else if said = err.Error(); strings.Contains(said, "\n") {
			t.Fatalf("more than one line: %q", said)
		}
		if client, err := LoadClient(src); err != nil {
			said += err.Error()
		} else if client.Namespace == "" {
			t.Fatal("no namespace")
		}
		if shown, err := Effective(src); err == nil {
			said += shown
		}
		if strings.Contains(said, password) {
			t.Fatalf("the password is told: %s", said)
		}
	})
}

// inPlace puts the password where one belongs: after the name of an option that is one, and in an address.
func inPlace(text, password string) string {
	return strings.NewReplacer("password: PASSWORD", "password: "+password, "://u:PASSWORD@", "://u:"+password+"@").Replace(text)
}
