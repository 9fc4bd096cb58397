package docker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// settings are what a container is made with.
type settings struct {
	config   container.Config
	host     container.HostConfig
	endpoint network.EndpointSettings // at the first network that the task joins
	further  []string                 // networks it joins before it starts
}

// network is the part about the network where anything was said about it.
func (s settings) network() *network.NetworkingConfig {
	if len(s.endpoint.Aliases) == 0 && s.endpoint.IPAMConfig == nil {
		return nil
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{string(s.host.NetworkMode): &s.endpoint}}
}

// What Mesos gives a task at least, and how it counts CPUs.
const (
	sharesPerCPU = 1024
	leastShares  = 2
	leastMemory  = 32 << 20
	nano         = 1_000_000_000
)

// translate writes a task as Mesos' Docker containerizer would run it.
func (d *Driver) translate(l launch, rec record) (settings, error) {
	var s settings
	a := l.spec.App
	s.config.Image, s.config.User = l.spec.Image(), a.User
	s.config.Entrypoint, s.config.Cmd = command(a)
	s.config.Env = d.environment(l, rec)
	s.host.Privileged = a.Container.Docker.Privileged
	s.host.RestartPolicy.Name = container.RestartPolicyDisabled
	s.host.CPUShares = max(int64(l.spec.Resources.CPUs*sharesPerCPU), leastShares)
	s.host.Memory = max(int64(l.spec.Resources.Mem*mebibyte), leastMemory)
	if d.cfg.CPUQuota {
		s.host.NanoCPUs = int64(l.spec.Resources.CPUs * nano)
	}
	limit(&s, a.ResourceLimits)
	if err := share(&s, a.Container.LinuxInfo); err != nil {
		return s, err
	}
	s.config.Tty = a.TTY != nil && *a.TTY
	s.host.ExtraHosts = d.names()
	gpus(&s, l.gpus)
	if err := connect(&s, l); err != nil {
		return s, err
	}
	for _, p := range a.Container.Docker.Parameters {
		if err := apply(&s, p); err != nil {
			return s, err
		}
	}
	labels, err := rec.labels(d.framework, s.config.Labels)
	s.config.Labels = labels
	return s, err
}

// limit lets a task have more than it was promised, up to its own limits.
func limit(s *settings, l *app.ResourceLimits) {
	if l == nil {
		return
	}
	if l.CPUs != nil {
		s.host.NanoCPUs = int64(l.CPUs.Amount * nano) // 0 when there is no limit
	}
	if l.Mem != nil {
		s.host.MemoryReservation = s.host.Memory
		if s.host.Memory = 0; !l.Mem.Unlimited {
			s.host.Memory = max(int64(l.Mem.Amount*mebibyte), leastMemory)
		}
	}
}

// share is what a container of type MESOS says about its kernel.
func share(s *settings, l *app.LinuxInfo) error {
	if l == nil {
		return nil
	}
	if c := l.Seccomp; c != nil {
		if c.ProfileName != "" {
			return fmt.Errorf("the seccomp profile %q is a file of Mesos' agents: give it as parameter security-opt", c.ProfileName)
		}
		s.host.SecurityOpt = append(s.host.SecurityOpt, "seccomp=unconfined")
	}
	if c := l.IPCInfo; c != nil {
		s.host.IpcMode = container.IPCModePrivate
		if c.Mode == "SHARE_PARENT" {
			s.host.IpcMode = container.IPCModeHost
		}
		if c.ShmSize != nil {
			s.host.ShmSize = int64(*c.ShmSize) * mebibyte
		}
	}
	return nil
}

// command follows Mesos: a command replaces the image's program by a shell, arguments go to the image's program.
func command(a app.App) (entrypoint, args []string) {
	if a.Cmd != "" {
		return []string{"/bin/sh", "-c"}, []string{a.Cmd}
	}
	return nil, a.Args
}

// environment is the whole environment of a task, sorted.
func (d *Driver) environment(l launch, rec record) []string {
	all := maps.Clone(d.cfg.Env)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, l.spec.Env)
	all["MESOS_SANDBOX"], all["MESOS_TASK_ID"] = workFolder, string(rec.Task)
	all["MESOS_CONTAINER_NAME"], all["HOST_IP"] = rec.container(), l.host.Address
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// names are the lines of a task's /etc/hosts: every host and alias.
func (d *Driver) names() []string {
	table := maps.Clone(d.cfg.Aliases)
	if table == nil {
		table = map[string]string{}
	}
	for _, m := range d.daemons {
		for _, h := range m.cfg.Hosts {
			if h.Name != h.Address {
				table[h.Name] = h.Address
			}
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(table)) {
		lines = append(lines, name+":"+table[name])
	}
	return lines
}

// gpus gives a task its GPUs.
func gpus(s *settings, all []GPU) {
	var ids []string
	for _, g := range all {
		for _, path := range g.Devices {
			s.host.Devices = append(s.host.Devices, container.DeviceMapping{PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm"})
		}
		if len(g.Devices) == 0 {
			ids = append(ids, g.ID)
		}
	}
	if len(ids) > 0 {
		s.host.DeviceRequests = []container.DeviceRequest{{DeviceIDs: ids, Capabilities: [][]string{{"gpu"}}}}
	}
}

// connect gives a task its network and publishes its ports.
func connect(s *settings, l launch) error {
	a := l.spec.App
	if a.HostNetwork() {
		s.host.NetworkMode = network.NetworkHost
		return nil
	}
	s.host.NetworkMode = network.NetworkBridge
	if l.daemon.cfg.Bridge != "" {
		s.host.NetworkMode = container.NetworkMode(l.daemon.cfg.Bridge)
	}
	if a.Networks[0].Mode == app.NetworkContainer {
		s.host.NetworkMode = container.NetworkMode(a.Networks[0].Name)
	}
	for _, n := range a.Networks[1:] {
		s.further = append(s.further, n.Name)
	}
	s.config.ExposedPorts, s.host.PortBindings = network.PortSet{}, network.PortMap{}
	for i, p := range a.Ports() {
		hostPort := 0
		if i < len(l.spec.Ports) {
			hostPort = l.spec.Ports[i]
		}
		if err := publish(s, l.host, p, hostPort); err != nil {
			return err
		}
	}
	return nil
}

// publish opens a port of the container, on the host too if it has a number there.
func publish(s *settings, h Host, p app.Port, hostPort int) error {
	number := p.ContainerPort
	if number == 0 {
		number = hostPort
	}
	var bind netip.Addr
	if h.Bind != "" {
		bind = netip.MustParseAddr(h.Bind) // validated with the configuration
	}
	for protocol := range strings.SplitSeq(cmp.Or(p.Protocol, "tcp"), ",") {
		port, err := network.ParsePort(strconv.Itoa(number) + "/" + protocol)
		if err != nil {
			return fmt.Errorf("container port %d: %w", number, err)
		}
		s.config.ExposedPorts[port] = struct{}{}
		if hostPort != 0 {
			s.host.PortBindings[port] = append(s.host.PortBindings[port], network.PortBinding{HostIP: bind, HostPort: strconv.Itoa(hostPort)})
		}
	}
	return nil
}

// mount gives a task its volumes. declared are the paths that its image wants volumes at.
func (d *Driver) mount(ctx context.Context, l *launch, declared []string) error {
	targets := persistent(l.spec.App)
	if l.spec.Volume != "" && len(targets) == 0 {
		s := mount.Mount{Type: mount.TypeVolume, Source: prefix + l.spec.Volume, Target: workFolder}
		l.create.host.Mounts = append(l.create.host.Mounts, s)
		targets = slices.DeleteFunc(slices.Clone(declared), func(p string) bool { return p == workFolder || claimed(l.spec.App, p) })
	}
	if l.spec.Volume == "" {
		targets = nil
	}
	if l.create.host.ReadonlyRootfs && !slices.ContainsFunc(l.create.host.Mounts, func(m mount.Mount) bool { return m.Target == workFolder }) {
		// A volume without a name, which goes with the container.
		l.create.host.Mounts = append(l.create.host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: workFolder})
	}
	for _, target := range targets {
		labels := map[string]string{labelFramework: l.task.framework, labelPartOf: l.spec.Volume, labelInstance: string(l.spec.Instance)}
		name := partName(l.spec.Volume, target)
		if _, err := l.daemon.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels}); err != nil {
			return failure4xx(app.TaskFailed, "make volume for "+target, err)
		}
		l.create.host.Mounts = append(l.create.host.Mounts, mount.Mount{Type: mount.TypeVolume, Source: name, Target: target})
	}
	for _, v := range l.spec.App.Container.Volumes {
		if err := mountOther(&l.create, v); err != nil {
			return failed(app.TaskError, "%w", err)
		}
	}
	return nil
}

// claimed reports whether the definition itself puts something at a path.
func claimed(a app.App, target string) bool {
	return slices.ContainsFunc(a.Container.Volumes, func(v app.Volume) bool { return inside(v.ContainerPath) == target })
}

// mountOther mounts a folder of the host or an external volume.
func mountOther(s *settings, v app.Volume) error {
	target, mode := inside(v.ContainerPath), strings.ToLower(cmp.Or(v.Mode, "RW"))
	switch {
	case v.HostPath != "" && !path.IsAbs(v.HostPath):
		return fmt.Errorf("hostPath %q is not absolute", v.HostPath)
	case v.HostPath != "":
		s.host.Binds = append(s.host.Binds, v.HostPath+":"+target+":"+mode) // a folder that is missing is made
	case v.External != nil:
		m := mount.Mount{Type: mount.TypeVolume, Source: v.External.Name, Target: target, ReadOnly: mode == "ro"}
		options := maps.Clone(v.External.Options)
		if name := options["dvdi/driver"]; name != "" {
			delete(options, "dvdi/driver")
			m.VolumeOptions = &mount.VolumeOptions{DriverConfig: &mount.Driver{Name: name, Options: options}}
		}
		s.host.Mounts = append(s.host.Mounts, m)
	}
	return nil
}
