package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is shown is what the files and the environment say together, and no secret of either.
func TestEffectiveConfigurationHidesSecrets(t *testing.T) {
	text := `# the password is s3cret
scope: s # s3cret
name: n
etcd3: {url: "https://root:s3cret@h:2379"}
consul: {token: s3cret, auth_data: {a: s3cret}}
restapi: {authentication: {username: u, password: s3cret}, keyfile_password: s3cret}
postgresql:
  data_dir: /d
  authentication: {superuser: {password: "s3cret"}, replication: {password: 's3cret', sslpassword: s3cret}}
  recovery_conf: {restore_command: get --password=s3cret %f, primary_conninfo: "host=h password='s3cret' user=u"}
  parameters: {password_encryption: md5, ssl_passphrase_command: echo s3cret}
  backup: {command: fetch s3://key:s3cret@bucket}
`
	got, err := Effective(Source{Path: "f.yml", Text: []byte(text), Env: map[string]string{"PATRONI_REWIND_PASSWORD": "s3cret", "PATRONI_NAME": "m"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `scope: s
name: m
etcd3: {url: "https://root:[hidden]@h:2379"}
consul: {token: '[hidden]', auth_data: {a: '[hidden]'}}
restapi: {authentication: {username: u, password: '[hidden]'}, keyfile_password: '[hidden]'}
postgresql:
    data_dir: /d
    authentication: {superuser: {password: '[hidden]'}, replication: {password: '[hidden]', sslpassword: '[hidden]'}, rewind: {password: '[hidden]'}}
    recovery_conf: {restore_command: 'get --password=[hidden] %f', primary_conninfo: "host=h password=[hidden] user=u"}
    parameters: {password_encryption: md5, ssl_passphrase_command: '[hidden]'}
    backup: {command: 'fetch s3://key:[hidden]@bucket'}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(got, "s3cret") {
		t.Error("a secret is shown")
	}
}
