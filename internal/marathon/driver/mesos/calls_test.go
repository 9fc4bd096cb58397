package mesos_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// shape adds the names of all fields of a value, each with its kind. Operations are told apart by their type.
func shape(v any, at string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			shape(field, at+"."+name, into)
		}
	case []any:
		for _, item := range v {
			kind := ""
			if object, ok := item.(map[string]any); ok && strings.HasSuffix(at, ".operations") {
				kind = fmt.Sprint(object["type"])
			}
			shape(item, at+"["+kind+"]", into)
		}
	default:
		into[fmt.Sprintf("%s %T", at, v)] = true
	}
}

// seen are the fields of the calls of a kind that a real master has taken.
func seen(t *testing.T, kind wire.CallType) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("wire", "testdata", "call-"+string(kind)+"*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recording of %s: %v", kind, err)
	}
	fields := map[string]bool{}
	for _, file := range files {
		body, err := os.ReadFile(file) //nolint:gosec // a test's
		if err != nil {
			t.Fatal(err)
		}
		shape(decode(t, body), string(kind), fields)
	}
	return fields
}

func decode(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// unrecorded are fields that the driver says and that no recording has, below a task of LAUNCH or the call itself: their names
// are those of Mesos' protocol definitions (include/mesos/v1/mesos.proto).
func unrecorded() []string {
	const task = "ACCEPT.accept.operations[LAUNCH].launch.task_infos[]"
	return []string{
		task + ".command.uris[].output_file string",
		task + ".container.linux_info.ipc_mode string",
		task + ".container.linux_info.shm_size float64",
		task + ".container.mesos.image.cached bool",
		task + ".container.mesos.image.docker.name string",
		task + ".container.mesos.image.type string",
		task + ".container.network_infos[].name string",
		task + ".container.network_infos[].port_mappings[].container_port float64",
		task + ".container.network_infos[].port_mappings[].host_port float64",
		task + ".container.network_infos[].port_mappings[].protocol string",
		task + ".health_check.http.protocol string",
		task + ".limits.cpus float64",
		task + ".limits.mem string",
		"ACCEPT.accept.operations[RESERVE].reserve.resources[].ranges.range[].begin float64",
		"ACCEPT.accept.operations[RESERVE].reserve.resources[].ranges.range[].end float64",
		"ACCEPT.accept.operations[UNRESERVE].unreserve.resources[].ranges.range[].begin float64",
		"ACCEPT.accept.operations[UNRESERVE].unreserve.resources[].ranges.range[].end float64",
		"KILL.kill.kill_policy.grace_period.nanoseconds float64",
	}
}

// Every field of every call the driver makes has been taken by a real master, of the same kind.
func TestCallsAreAsRecorded(t *testing.T) {
	s := setUp(t, hosts("a1", "a2"))
	s.everything()
	known := map[wire.CallType]map[string]bool{}
	unknown := map[string]bool{}
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	for _, body := range s.calls.calls {
		var call wire.Call
		if err := json.Unmarshal(body, &call); err != nil {
			t.Fatal(err)
		}
		if known[call.Type] == nil {
			known[call.Type] = seen(t, call.Type)
		}
		said := map[string]bool{}
		shape(decode(t, body), string(call.Type), said)
		for field := range said {
			if !known[call.Type][field] {
				unknown[field] = true
			}
		}
	}
	for _, kind := range []wire.CallType{
		wire.CallSubscribe, wire.CallAccept, wire.CallDecline, wire.CallAcceptInverseOffers, wire.CallRevive, wire.CallSuppress, wire.CallKill,
		wire.CallAcknowledge, wire.CallAcknowledgeOperationStatus, wire.CallReconcile, wire.CallReconcileOperations,
	} {
		if known[kind] == nil {
			t.Errorf("%s was not called", kind)
		}
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(unrecorded())), slices.Sorted(maps.Keys(unknown))); diff != "" {
		t.Errorf("fields no master was seen to take (-said to be so, +found):\n%s", diff)
	}
}

// everything makes every kind of call.
func (s *stand) everything() {
	s.t.Helper()
	resident := s.spec("a1", "1", 1, true)
	resident.Ports = []int{31000}
	s.launch(resident)
	for n, spec := range s.kinds() {
		spec.Offer = s.host(spec.Host).ID
		if err := s.Launch(s.t.Context(), spec); err != nil {
			s.t.Fatalf("%d: %v", n, err)
		}
		s.state(spec.Task, app.TaskRunning)
	}
	if err := s.Reconcile(s.t.Context(), []driver.Known{{Task: resident.Task, Host: "a1"}}); err != nil {
		s.t.Fatal(err)
	}
	s.master.Maintain("a2", time.Now(), time.Hour)
	if err := s.Kill(s.t.Context(), resident.Task, time.Second); err != nil {
		s.t.Fatal(err)
	}
	s.state(resident.Task, app.TaskKilled)
	s.eventually("destroyed", func() bool { return s.Destroy(s.t.Context(), driver.Volume{ID: resident.Volume, Host: "a1"}) == nil })
	s.volume(resident.Volume, false)
	s.master.LoseCalls(wire.CallAccept, 1)
	s.reserve(s.spec("a1", "9", 1, true)) // asked about
	s.volume(s.spec("a1", "9", 1, true).Volume, false)
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open(func(c *mesos.Config) {
		c.Idle, c.Principal, c.Secret, c.WebUI, c.GPUs = 20*time.Millisecond, "p", "s", "http://here:8080", true
	})
	s.host("a1")
	s.eventually("suppressed", func() bool { return len(s.calls.of(wire.CallSuppress)) > 0 && len(s.calls.of(wire.CallDecline)) > 0 })
	s.host("a1")
	s.eventually("revived", func() bool { return len(s.calls.of(wire.CallRevive)) > 0 })
}

// kinds are tasks of all kinds.
func (s *stand) kinds() []driver.Spec {
	grace, shm, check := 60, 256, 0
	plain := s.spec("a2", "2", 1, false)
	plain.Ports = []int{31010}
	plain.Env = map[string]string{"PORT0": "31010"}
	plain.App = app.App{
		ID: "/db/plain", Cmd: "sleep 300", User: "postgres", Labels: app.Labels{"a": "b"}, TaskKillGracePeriodSeconds: &grace,
		PortDefinitions: []app.PortDefinition{{Protocol: "tcp", Name: "http", Labels: app.Labels{"VIP_0": "/db:80"}}},
		Fetch:           []app.Fetch{{URI: "http://files/pgbaton", Executable: true, Cache: true, DestPath: "pgbaton"}},
		ResourceLimits:  &app.ResourceLimits{CPUs: &app.Limit{Amount: 2}, Mem: &app.Limit{Unlimited: true}},
		HealthChecks:    []app.HealthCheck{{Protocol: app.ProtocolMesosHTTP, Path: "/liveness", PortIndex: &check, IPProtocol: "IPv4"}},
	}
	docker := s.spec("a2", "3", 1, false)
	docker.Ports = []int{31020, 31021}
	docker.App = app.App{
		ID: "/db/docker", Networks: []app.Network{{Mode: app.NetworkBridge}},
		Container: &app.Container{
			Type: app.ContainerDocker, Volumes: []app.Volume{{ContainerPath: "/etc/certs", HostPath: "/etc/certs", Mode: "RO"}},
			Docker:       &app.Docker{Image: "patroni:latest", ForcePullImage: true, Privileged: true, Parameters: []app.Parameter{{Key: "shm-size", Value: "256m"}}},
			PortMappings: []app.PortMapping{{ContainerPort: 5432, Protocol: "tcp"}, {ContainerPort: 8008, Protocol: "tcp,udp"}},
		},
		HealthChecks: []app.HealthCheck{{Protocol: app.ProtocolMesosTCP, PortIndex: &check}},
	}
	image := s.spec("a2", "4", 1, false)
	image.Ports = []int{31030}
	image.Resources.CPUs = 0.5
	image.App = app.App{
		ID: "/db/image", Args: []string{"run"}, Networks: []app.Network{{Mode: app.NetworkContainer, Name: "dcos"}},
		Container: &app.Container{
			Type: app.ContainerMesos, Docker: &app.Docker{Image: "patroni:latest", ForcePullImage: true},
			LinuxInfo:    &app.LinuxInfo{IPCInfo: &app.IPCInfo{Mode: "PRIVATE", ShmSize: &shm}},
			PortMappings: []app.PortMapping{{ContainerPort: 5432, Protocol: "tcp"}},
		},
		HealthChecks: []app.HealthCheck{{Protocol: app.ProtocolCommand, Command: &app.Command{Value: "true"}}},
	}
	return []driver.Spec{plain, docker, image}
}
