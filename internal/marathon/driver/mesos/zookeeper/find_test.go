package zookeeper

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, want, user, password, wrong string
	}{
		{text: "zk://a:2181,b:2182/mesos", want: "zk://a:2181,b:2182/mesos"},
		{text: "zk://a,b/mesos/prod/", want: "zk://a:2181,b:2181/mesos/prod"},
		{text: "zk://[::1]:2181/mesos", want: "zk://[::1]:2181/mesos"},
		{text: "zk://me:hush@a:2181/mesos", want: "zk://a:2181/mesos", user: "me", password: "hush"},
		{text: "zk://me:h%40u:sh@a:2181/mesos", want: "zk://a:2181/mesos", user: "me", password: "h@u:sh"},
		{text: "http://a:2181/mesos", wrong: "zk://"},
		{text: "zk://a:2181", wrong: "path"},
		{text: "zk://a:2181/", wrong: "path"},
		{text: "zk:///mesos", wrong: "host:port"},
		{text: "zk://a:2181,/mesos", wrong: "host:port"},
		{text: "zk://a:b:c/mesos", wrong: "host:port"},
		{text: "zk://hush@a/mesos", wrong: "USER:PASSWORD"},
	} {
		e, err := Parse(c.text)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s: got %v, want a word of %s and no password", c.text, err, c.wrong)
			}
			continue
		}
		if err != nil || e.String() != c.want || e.User != c.user || e.Password.Reveal() != c.password {
			t.Errorf("%s: got %s %q %v", c.text, e, e.User, err)
		}
	}
}

// The lowest number leads, as a number and not as a text; other nodes are no masters.
func TestCandidates(t *testing.T) {
	got := candidates([]string{"json.info_0000000012", "log_replicas", "info_0000000001", "json.info_0000000003", "json.info_x", "json.info_10000000000"})
	want := []string{"json.info_0000000003", "json.info_0000000012", "json.info_10000000000"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The nodes of real masters are read.
func TestAddress(t *testing.T) {
	for file, want := range map[string]string{"info_1.json": "127.0.0.1:5050", "info_2.json": "127.0.0.1:5070", "info_3.json": "127.0.0.1:5060"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := address(text, false); err != nil || got != want {
			t.Errorf("%s: got %s, %v", file, got, err)
		}
	}
	named := `{"address":{"hostname":"m1","ip":"10.0.0.1","port":5050}}`
	if got, err := address([]byte(named), true); err != nil || got != "m1:5050" {
		t.Errorf("by name: %s, %v", got, err)
	}
	if got, err := address([]byte(named), false); err != nil || got != "10.0.0.1:5050" {
		t.Errorf("by address: %s, %v", got, err)
	}
	for _, text := range []string{"", "{}", `{"address":{"port":5050}}`, `{"address":{"ip":"10.0.0.1","port":70000}}`} {
		if got, err := address([]byte(text), false); err == nil {
			t.Errorf("%q: got %s", text, got)
		}
	}
}
