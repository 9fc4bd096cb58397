package local

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/drivertest"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

func TestContract(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Platform {
		cfg := testConfig(t)
		return drivertest.Platform{Checks: true, Open: func(t *testing.T) driver.Driver { return open(t, cfg) }}
	})
}

// testConfig is a platform of two hosts in a temporary folder. When the tests run as root, tasks run as nobody.
func testConfig(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	cfg := Config{Dir: filepath.Join(dir, "state")}
	for i := range 2 {
		cfg.Hosts = append(cfg.Hosts, Host{
			Name: fmt.Sprintf("node%d", i+1), Address: fmt.Sprintf("127.3.%d.%d", os.Getpid()%250, i+1),
			Resources: place.Resources{CPUs: 4, Mem: 8192, Disk: 100000, GPUs: 2},
			Ports:     place.Ranges{{Begin: 5432, End: 5432}, {Begin: 31000, End: 31999}},
		})
	}
	if os.Geteuid() == 0 {
		cfg.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // made for this test, closed to other users
			t.Fatal(err)
		}
	}
	return cfg
}

func open(t *testing.T, cfg Config) *Driver {
	t.Helper()
	d, err := Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
