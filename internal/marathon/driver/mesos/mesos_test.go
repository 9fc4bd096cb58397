package mesos_test

import (
	"fmt"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/drivertest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/mesostest"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs the commands of tasks in folders of the test.
type shell struct{ root string }

func (s shell) Root() string     { return s.root }
func (s shell) Own(string) error { return nil }
func (s shell) Command(info wire.TaskInfo) (*exec.Cmd, error) {
	if c := info.Container; c != nil && c.Docker != nil {
		return nil, fmt.Errorf("docker pull %s: no such image", c.Docker.Image)
	}
	return exec.Command("sh", "-c", info.Command.Value), nil
}

// The contract of drivers, with tasks that really run.
func TestContract(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Platform {
		t.Helper()
		c := mesostest.Config{Run: shell{t.TempDir()}}
		for _, name := range []string{"a1", "a2"} {
			c.Agents = append(c.Agents, mesostest.AgentConfig{Hostname: name, IP: "127.0.0.1", Resources: mesostest.Machine(4, 4096, 20000, 31000, 31099)})
		}
		master := mesostest.New(t, c)
		return drivertest.Platform{Checks: true, Hosts: 2, Folder: "data", Open: func(t *testing.T) driver.Driver {
			t.Helper()
			d, err := mesos.New(mesos.Config{
				Masters: []string{master.Address()}, Role: "web", LeastPause: time.Millisecond, MostPause: 20 * time.Millisecond,
			}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}}
	})
}
