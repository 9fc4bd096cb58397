package docker

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker/dockertest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/drivertest"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

func TestMain(m *testing.M) { os.Exit(dockertest.Main(m)) }

// shell is the image of tasks that are shell scripts.
const shell = "shell:latest"

func TestContract(t *testing.T) {
	daemon := dockertest.Start(t)
	daemon.Shell(shell, workFolder)
	drivertest.Run(t, func(t *testing.T) drivertest.Platform {
		daemon.Clear()
		cfg := testConfig(t, daemon.Endpoint)
		return drivertest.Platform{Image: shell, Checks: true, Open: func(t *testing.T) driver.Driver { return open(t, cfg) }}
	})
}

// testConfig is a daemon that stands for two hosts.
func testConfig(t *testing.T, endpoint string) Config {
	t.Helper()
	d := Daemon{Endpoint: endpoint}
	for i := range 2 {
		address := dockertest.Address(t, 11+i)
		d.Hosts = append(d.Hosts, Host{
			Name: fmt.Sprintf("docker%d", i+1), Address: address, Bind: address,
			Resources: place.Resources{CPUs: 4, Mem: 8192, Disk: 100000},
			Ports:     place.Ranges{{Begin: 31000, End: 31999}, {Begin: 5432, End: 5432}},
			GPUs:      []GPU{{ID: "0", Devices: []string{"/dev/null"}}},
		})
	}
	return Config{Daemons: []Daemon{d}}
}

func open(t *testing.T, cfg Config) *Driver {
	t.Helper()
	d, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
