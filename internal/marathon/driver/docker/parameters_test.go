package docker

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// TestParameters says what options of docker run become that the daemon of the tests cannot be asked for.
func TestParameters(t *testing.T) {
	var got settings
	for _, p := range []app.Parameter{
		{Key: "--mount", Value: "type=tmpfs,target=/scratch,tmpfs-size=1m"},
		{Key: "no-healthcheck"},
		{Key: "device-write-bps", Value: "/dev/sda:1mb"},
		{Key: "device-read-iops", Value: "/dev/sda:100"},
		{Key: "blkio-weight-device", Value: "/dev/sda:300"},
		{Key: "device-cgroup-rule", Value: "c 1:3 r"},
		{Key: "security-opt", Value: "seccomp=unconfined"},
		{Key: "ip", Value: "10.1.2.3"},
		{Key: "ip6", Value: "fd00::3"},
		{Key: "cpu-rt-runtime", Value: "950000"},
		{Key: "link", Value: "other:alias"},
	} {
		if err := apply(&got, p); err != nil {
			t.Errorf("%s=%s: %v", p.Key, p.Value, err)
		}
	}
	var want settings
	want.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	want.host.Mounts = []mount.Mount{{Type: mount.TypeTmpfs, Target: "/scratch", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: mebibyte}}}
	want.host.BlkioDeviceWriteBps = []*blkiodev.ThrottleDevice{{Path: "/dev/sda", Rate: mebibyte}}
	want.host.BlkioDeviceReadIOps = []*blkiodev.ThrottleDevice{{Path: "/dev/sda", Rate: 100}}
	want.host.BlkioWeightDevice = []*blkiodev.WeightDevice{{Path: "/dev/sda", Weight: 300}}
	want.host.DeviceCgroupRules, want.host.SecurityOpt, want.host.Links = []string{"c 1:3 r"}, []string{"seccomp=unconfined"}, []string{"other:alias"}
	want.host.CPURealtimeRuntime = 950000
	want.endpoint.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.1.2.3"), IPv6Address: netip.MustParseAddr("fd00::3")}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// TestParametersThatAreRefused says: one that does nothing, or something else than it says, would be found out too late.
func TestParametersThatAreRefused(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"frobnicate", "1", `docker parameter "frobnicate" is not known to the docker driver`},
		{"name", "mine", "by their names"},
		{"publish", "80:80", "use portMappings"},
		{"p", "80:80", "use portMappings"},
		{"net", "host", "use networks"},
		{"memory", "1g", "use mem"},
		{"gpus", "all", "use gpus"},
		{"restart", "always", "started again by the scheduler"},
		{"health-cmd", "true", "use healthChecks"},
		{"attach", "stdout", "nobody sits at a terminal"},
		{"pids-limit", "many", "is not a number"},
		{"init", "perhaps", "neither true nor false"},
		{"shm-size", "lots", "invalid size"},
		{"ulimit", "nofile", "invalid ulimit"},
		{"dns", "resolver", "unable to parse IP"},
		{"ip", "mine", "unable to parse IP"},
		{"mount", "type=tmpfs,frob=1", "unknown option"},
		{"device-read-bps", "sda", "bad format"},
		{"security-opt", "seccomp=/etc/profile.json", "the daemon reads no file"},
		{"cpus", "all", "invalid syntax"},
	} {
		err := apply(&settings{}, app.Parameter{Key: c.key, Value: c.value})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%s: got %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

// translated is what a task becomes.
func translated(t *testing.T, a app.App, given []GPU) (settings, error) {
	t.Helper()
	if a.Container == nil {
		a.Container = &app.Container{}
	}
	a.Container.Docker = &app.Docker{Image: shell}
	d := &Driver{}
	l := launch{spec: driver.Spec{App: a}, gpus: given, daemon: &daemon{}}
	l.spec.Resources.CPUs, l.spec.Resources.Mem = 2, 512
	return d.translate(l, record{})
}

// TestWhatContainersOfMesosHave says what becomes of fields that Marathon has for its other containerizer.
func TestWhatContainersOfMesosHave(t *testing.T) {
	on, size := true, 256
	got, err := translated(t, app.App{
		TTY:            &on,
		ResourceLimits: &app.ResourceLimits{CPUs: &app.Limit{Amount: 4}, Mem: &app.Limit{Amount: 1024}},
		Container:      &app.Container{LinuxInfo: &app.LinuxInfo{Seccomp: &app.Seccomp{Unconfined: &on}, IPCInfo: &app.IPCInfo{Mode: "PRIVATE", ShmSize: &size}}},
	}, []GPU{{ID: "GPU-1"}, {ID: "GPU-2"}, {ID: "card", Devices: []string{"/dev/dri/renderD128"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := got.host
	if !got.config.Tty || h.NanoCPUs != 4*nano || h.CPUShares != 2048 || h.Memory != 1024*mebibyte || h.MemoryReservation != 512*mebibyte {
		t.Errorf("limits: %+v", h.Resources)
	}
	if h.ShmSize != 256*mebibyte || !h.IpcMode.IsPrivate() || len(h.SecurityOpt) != 1 {
		t.Errorf("kernel: %d, %s, %v", h.ShmSize, h.IpcMode, h.SecurityOpt)
	}
	if len(h.DeviceRequests) != 1 || strings.Join(h.DeviceRequests[0].DeviceIDs, " ") != "GPU-1 GPU-2" || len(h.Devices) != 1 || h.Devices[0].PathOnHost != "/dev/dri/renderD128" {
		t.Errorf("gpus: %+v, %+v", h.DeviceRequests, h.Devices)
	}
	got, err = translated(t, app.App{ResourceLimits: &app.ResourceLimits{Mem: &app.Limit{Unlimited: true}}}, nil)
	if err != nil || got.host.Memory != 0 || got.host.MemoryReservation != 512*mebibyte {
		t.Errorf("without limit: %+v, %v", got.host.Resources, err)
	}
	_, err = translated(t, app.App{Container: &app.Container{LinuxInfo: &app.LinuxInfo{Seccomp: &app.Seccomp{ProfileName: "strict"}}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "a file of Mesos' agents") {
		t.Errorf("a profile of Mesos: %v", err)
	}
}
