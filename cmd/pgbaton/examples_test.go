package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/config"
)

// The schedulers of examples/mesos are started with options that there are.
func TestSchedulersOfTheExamples(t *testing.T) {
	folder := filepath.Join("..", "..", "examples", "mesos")
	unit, err := os.ReadFile(filepath.Join(folder, "pgbaton-scheduler.service"))
	if err != nil {
		t.Fatal(err)
	}
	_, start, _ := strings.Cut(strings.ReplaceAll(string(unit), "\\\n", ""), "ExecStart=")
	start, _, _ = strings.Cut(start, "\n")
	text, err := os.ReadFile(filepath.Join(folder, "scheduler.json"))
	if err != nil {
		t.Fatal(err)
	}
	var definition struct{ Cmd string }
	if err := json.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	secret, login := file(t, "secret", "hush\n"), file(t, "login", "me:hush\n")
	known := strings.NewReplacer(
		"${CREDENTIALS_DIRECTORY}/mesos-secret", secret, "${CREDENTIALS_DIRECTORY}/login", login, "%H", "host",
		"/etc/pgbaton/mesos-secret", secret, "/etc/pgbaton/login", login, "/etc/pgbaton/secrets", t.TempDir(), "$PORT0", "8080", "$HOST", "host",
	)
	for _, command := range []string{start, definition.Cmd} {
		words, err := config.Words(known.Replace(command))
		if err != nil {
			t.Fatal(err)
		}
		_, options, _ := strings.Cut(strings.Join(words, "\x00"), "scheduler\x00")
		p, err := schedulerArgs(t, nil, strings.Split(options, "\x00")...)
		if err != nil || p.mesos.Find == nil || p.mesos.Role != "database" || p.mesos.Secret.Reveal() != "hush" {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// The proxy of the example finds its cluster and its ports in what Marathon and Mesos give it.
func TestProxyOfTheExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "mesos", "haproxy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Env             map[string]string
		PortDefinitions []struct {
			Name string
			Port int
		}
	}
	if err := json.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	env := definition.Env
	for _, p := range definition.PortDefinitions {
		env["PORT_"+strings.ToUpper(p.Name)] = strconv.Itoa(p.Port)
	}
	p, err := proxyOptions{user: "nobody"}.plan(config.Source{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if p.cluster.Scope != "main" || p.health.Port() != 31502 || p.haproxy.Services[0].Bind.Port() != 31500 || p.haproxy.Services[1].Bind.Port() != 31501 {
		t.Errorf("it would run %+v", p)
	}
}
