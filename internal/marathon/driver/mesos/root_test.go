package mesos

import (
	"testing"

	examples "github.com/pgbaton/pgbaton/examples/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// A database whose definition says nothing of volumes finds its data on the one that was made for it: nothing of it is lost
// with a container.
func TestDataOfAContainerLieOnItsVolume(t *testing.T) {
	plain := `{"id": "/web", "container": {"type": "DOCKER", "docker": {"image": "nginx"}, "volumes": [{"containerPath": "pgdata", "mode": "RW", "persistent": {"size": 9}}]}}`
	for name, c := range map[string]struct{ definition, volume, want string }{
		"database":          {string(examples.App), "v", "/mnt/mesos/sandbox/pgdata"},
		"without a volume":  {string(examples.App), "", ""},
		"no database":       {plain, "v", ""},
		"plain agent":       {`{"id": "/pg", "cmd": "pgbaton agent pg.yml", "labels": {"PGBATON_POSTGRES": "true"}}`, "v", ""},
		"volumes elsewhere": {`{"id": "/pg", "labels": {"PGBATON_POSTGRES": "true"}, "container": {"type": "DOCKER", "docker": {"image": "patroni"}, "volumes": [{"containerPath": "data", "mode": "RW", "persistent": {"size": 9}}]}}`, "v", ""},
	} {
		u, err := app.Parse([]byte(c.definition))
		if err != nil {
			t.Fatal(err)
		}
		s := driver.Spec{App: u.New(""), Volume: c.volume}
		got := ""
		for _, v := range command(s, Config{Env: map[string]string{"A": "b"}}).Environment.Variables {
			if v.Name == "PGBATON_VOLUME_ROOT" {
				got = v.Value
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
