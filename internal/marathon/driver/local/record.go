package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// record is what is remembered of a task from before it is forked until its end is acknowledged.
type record struct {
	Task      app.TaskID      `json:"task"`
	Instance  app.InstanceID  `json:"instance"`
	Host      string          `json:"host"`
	Volume    string          `json:"volume,omitempty"`
	Ports     []int           `json:"ports,omitempty"`
	Resources place.Resources `json:"resources"`
	// Process is the main process; its pid is 0 until the shell waits at the gate.
	Process   identity   `json:"process"`
	LogOffset int64      `json:"log_offset"` // where this incarnation's part of the log begins
	Kill      *killOrder `json:"kill,omitempty"`
	Status    status     `json:"status"`
	// Checks run beside the task.
	Checks []check `json:"checks,omitempty"`
}

// killOrder is a kill under way, finished by the next driver when this one dies.
type killOrder struct {
	Deadline time.Time `json:"deadline"`
}

// status is the latest status of the task.
type status struct {
	Seq     int           `json:"seq"`
	State   app.TaskState `json:"state"`
	Message string        `json:"message,omitempty"`
	Time    time.Time     `json:"time"`
	Acked   bool          `json:"acked"`
	Healthy *bool         `json:"healthy,omitempty"` // of a running task
}

// wire is the status in the form the scheduler gets.
func (r record) wire() driver.Status {
	return driver.Status{
		ID: fmt.Sprintf("%s#%d", r.Task, r.Status.Seq), Task: r.Task, State: r.Status.State, Host: r.Host,
		Message: r.Status.Message, Time: r.Status.Time, Healthy: r.Status.Healthy,
	}
}

// volumeRecord is what is remembered of a volume for as long as it exists.
type volumeRecord struct {
	Instance app.InstanceID `json:"instance"`
	Host     string         `json:"host"`
	Ports    []int          `json:"ports,omitempty"` // of its latest task, which may have left a server behind
}

// hostRecord is what is remembered of a host.
type hostRecord struct {
	Stopped bool `json:"stopped"`
}

// folder is the state directory.
type folder string

func (f folder) framework() string { return filepath.Join(string(f), "framework") }
func (f folder) lock() string      { return filepath.Join(string(f), "lock") }
func (f folder) cache() string     { return filepath.Join(string(f), "cache") }
func (f folder) task(id app.TaskID) string {
	return filepath.Join(string(f), "tasks", string(id)+".json")
}

func (f folder) host(name string) string       { return filepath.Join(string(f), "hosts", name+".json") }
func (f folder) volume(id string) string       { return filepath.Join(string(f), "volumes", id) }
func (f folder) volumeRecord(id string) string { return f.volume(id) + ".json" }
func (f folder) sandbox(id app.TaskID) string {
	return filepath.Join(string(f), "sandboxes", string(id))
}

func (f folder) logFile(i app.InstanceID) string {
	return filepath.Join(string(f), "logs", string(i)+".log")
}

// work is the working folder of a task.
func (f folder) work(r record) string {
	if r.Volume == "" {
		return f.sandbox(r.Task)
	}
	return f.volume(r.Volume)
}

// create makes what is missing. Other users must be able to pass through, not to look.
func (f folder) create() error {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	for _, sub := range []string{"tasks", "hosts", "volumes", "sandboxes", "logs"} {
		dir := filepath.Join(string(f), sub)
		if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// writeJSON replaces a file as a whole and waits until it is on disk.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new name of a file last through a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer closeAll(d)
	return d.Sync()
}

// readAll reads every JSON file of a folder, by its name without the suffix.
func readAll[T any](dir string) (map[string]T, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]T{}
	for _, e := range entries {
		name, isJSON := strings.CutSuffix(e.Name(), ".json")
		if e.IsDir() || !isJSON || strings.HasPrefix(name, ".") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, e.Name()), err)
		}
		all[name] = v
	}
	return all, nil
}
