package app

import (
	"strings"
	"testing"
)

// What a reservation was made for stays; everything else may change.
func TestWhatAnAppWithVolumesMayNotChange(t *testing.T) {
	old := parsed(t, `{"id": "/db/x", "cmd": "x", "mem": 100, "portDefinitions": [{"port": 0}], "container": {"type": "MESOS", "volumes": [
		{"containerPath": "a", "persistent": {"size": 1}}, {"containerPath": "b", "persistent": {"size": 2}}]}}`)
	for update, want := range map[string]string{
		`{"instances": 5, "cmd": "y", "env": {"A": "b"}}`:     "",
		`{"portDefinitions": [{"port": 10005}]}`:              "",
		`{"mem": 200}`:                                        "/ " + msgResourcesFixed,
		`{"gpus": 1}`:                                         "/ " + msgResourcesFixed,
		`{"requirePorts": true}`:                              "/ " + msgResourcesFixed,
		`{"role": "db"}`:                                      "/role " + msgRoleFixed,
		`{"container": {"type": "MESOS"}, "residency": null}`: "/ " + msgVolumesFixed,
		`{"container": {"volumes": [{"containerPath": "a", "persistent": {"size": 1}}, {"containerPath": "b", "persistent": {"size": 3}}]}}`: "/ " + msgVolumesFixed,
		`{"container": {"volumes": [{"containerPath": "b", "persistent": {"size": 2}}, {"containerPath": "a", "persistent": {"size": 1}}]}}`: "",
	} {
		u, err := Parse([]byte(update))
		if err != nil {
			t.Fatal(err)
		}
		err = u.Apply(old).ValidateChange(old)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", update, err, want)
		}
	}
	plain := parsed(t, `{"cmd": "x"}`)
	if err := parsed(t, `{"cmd": "x", "mem": 7}`).ValidateChange(plain); err != nil {
		t.Errorf("an app without volumes: %v", err)
	}
}
