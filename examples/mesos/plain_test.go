package mesos_test

import (
	"maps"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	examples "github.com/pgbaton/pgbaton/examples/mesos"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// read is one definition of this folder.
func read(t *testing.T, file string) app.App {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	u, err := app.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := u.ID()
	return u.New(id)
}

// The databases that are given volumes keep their members apart, ask what a member that starts answers too, and give its
// last checkpoint time.
func TestDatabasesWithVolumes(t *testing.T) {
	for _, file := range []string{"postgresql.json", "patroni-plain.json"} {
		a := read(t, file)
		if len(a.Container.Volumes) != 1 || a.Container.Volumes[0].Persistent == nil || a.Residency == nil {
			t.Errorf("%s: volumes %+v", file, a.Container.Volumes)
		}
		if c := a.Constraints[0]; c.Field != "hostname" || c.Operator != app.OperatorUnique {
			t.Errorf("%s: constraint %+v", file, c)
		}
		agent, _ := a.PortIndex(app.AgentPort)
		if h := a.HealthChecks[0]; h.Path != "/liveness" || h.PortIndex == nil || *h.PortIndex != agent {
			t.Errorf("%s: health check %+v", file, h)
		}
		if grace := a.TaskKillGracePeriodSeconds; grace == nil || *grace < 60 {
			t.Errorf("%s: a grace of %v", file, grace)
		}
		if a.UpgradeStrategy.MaximumOverCapacity != 0 {
			t.Errorf("%s: one more than there are volumes", file)
		}
	}
}

// What Marathon and Mesos tell a task is enough for its agent to listen where it is reached and to advertise that.
func TestAgentsFindTheirPlace(t *testing.T) {
	plain, err := os.ReadFile("patroni-plain.yml")
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		Listen, ListenAPI   int
		Connect, ConnectAPI string
		Data                string
	}
	for _, tt := range []struct {
		file   string
		config []byte
		want   place
	}{
		// With ports of its own, mapped.
		{"patroni-marathon.json", examples.Config, place{5432, 8008, "agent7:31012", "agent7:31013", "/data/postgres"}},
		// With those of its host.
		{"patroni-plain.json", plain, place{31012, 31013, "agent7:31012", "agent7:31013", "/sandbox/pgdata/data"}},
	} {
		env := read(t, tt.file).TaskEnv("t._app.1", "agent7", []int{31012, 31013})
		maps.Copy(env, map[string]string{"MESOS_SANDBOX": "/sandbox", "PATRONI_SUPERUSER_PASSWORD": "s", "PATRONI_REPLICATION_PASSWORD": "r"})
		cfg, err := config.Load(config.Source{Path: tt.file, Text: tt.config, Env: env})
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		got := place{cfg.Postgres.Port, cfg.RestAPI.Port, cfg.Postgres.Connect, cfg.RestAPI.Connect, cfg.Postgres.DataDir}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.file, diff)
		}
		if len(cfg.Warnings) > 0 {
			t.Errorf("%s: %v", tt.file, cfg.Warnings)
		}
	}
}
