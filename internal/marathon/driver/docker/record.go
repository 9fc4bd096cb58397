package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// The labels of containers and volumes. The record is what the driver reads; the others are for people and their tools.
const (
	labelFramework = "io.pgbaton.framework"
	labelRecord    = "io.pgbaton.record"
	labelTask      = "io.pgbaton.task"
	labelInstance  = "io.pgbaton.instance"
	labelHost      = "io.pgbaton.host"
	labelApp       = "io.pgbaton.app"
	labelVolume    = "io.pgbaton.volume" // of volumes: the id that the scheduler knows it by
	labelPartOf    = "io.pgbaton.part-of"
)

// prefix begins the names of containers and volumes.
const prefix = "pgbaton-"

// record is what a container's label tells the next driver about its task.
type record struct {
	Task      app.TaskID      `json:"task"`
	Instance  app.InstanceID  `json:"instance"`
	Host      string          `json:"host"`
	Volume    string          `json:"volume,omitempty"`
	Ports     []int           `json:"ports,omitempty"` // host ports, without those not published
	Resources place.Resources `json:"resources"`
	GPUs      []string        `json:"gpus,omitempty"`
	Checks    []check         `json:"checks,omitempty"`
}

func newRecord(s driver.Spec, gpus []GPU) record {
	r := record{Task: s.Task, Instance: s.Instance, Host: s.Host, Volume: s.Volume, Ports: s.HostPorts(), Resources: s.Resources, Checks: checksOf(s)}
	for _, g := range gpus {
		r.GPUs = append(r.GPUs, g.ID)
	}
	return r
}

// labels are those of a task's container.
func (r record) labels(framework string, own map[string]string) (map[string]string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	maps.Copy(all, own)
	all[labelFramework], all[labelRecord] = framework, string(text)
	all[labelTask], all[labelInstance], all[labelHost], all[labelApp] = string(r.Task), string(r.Instance), r.Host, string(r.Instance.App())
	return all, nil
}

// readRecord reads the labels of a container. Containers of others have no such label.
func readRecord(labels map[string]string) (record, bool, error) {
	text, ours := labels[labelRecord]
	if !ours {
		return record{}, false, nil
	}
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return record{}, true, fmt.Errorf("label %s is damaged: %w", labelRecord, err)
	}
	return r, true, nil
}

// container is the name of the task's container: one for each volume, or for each task that has none.
func (r record) container() string {
	if r.Volume != "" {
		return prefix + r.Volume
	}
	return prefix + string(r.Task)
}

// volume is a volume as its labels tell of it.
type volume struct {
	id        string
	instance  app.InstanceID
	host      string
	framework string
}

func (v volume) labels() map[string]string {
	return map[string]string{labelFramework: v.framework, labelVolume: v.id, labelInstance: string(v.instance), labelHost: v.host}
}

func readVolume(labels map[string]string) (volume, bool) {
	v := volume{id: labels[labelVolume], instance: app.InstanceID(labels[labelInstance]), host: labels[labelHost], framework: labels[labelFramework]}
	return v, v.id != ""
}

// plainID is what the daemon takes as the name of a volume or container.
var plainID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}$`)

// notPlain is what a path has and a name must not.
var notPlain = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)

// partName is the name of the further volume that is mounted at a path. Paths that would get the same name are told apart
// by their length, which is enough for those of one task.
func partName(volume, target string) string {
	return fmt.Sprintf("%s%s.%d.%s", prefix, volume, len(target), strings.Trim(notPlain.ReplaceAllString(target, "_"), "_"))
}

// workFolder is the folder of a task inside its container, where Mesos has it too.
const workFolder = "/mnt/mesos/sandbox"

// inside makes a path of a definition absolute: a relative one lies in the sandbox.
func inside(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(workFolder, p)
}

// persistent are the paths of the persistent volumes of a definition.
func persistent(a app.App) []string {
	var paths []string
	if a.Container == nil {
		return nil
	}
	for _, v := range a.Container.Volumes {
		if v.Persistent != nil {
			paths = append(paths, inside(v.ContainerPath))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
