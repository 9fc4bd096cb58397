package mesos

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// taskInfo is the task as Mesos gets it.
func (d *Driver) taskInfo(s driver.Spec, resources []wire.Resource) wire.TaskInfo {
	a := s.App
	info := wire.TaskInfo{
		Name: discoveryName(a.ID), TaskID: wire.ID{Value: string(s.Task)}, AgentID: wire.ID{Value: s.Offer}, Resources: resources,
		Command: command(s, d.cfg), Container: container(s), HealthCheck: healthCheck(s), Discovery: discovery(s), Labels: labels(a.Labels),
		Limits: limits(a.ResourceLimits),
	}
	if grace := grace(a); grace > 0 {
		info.KillPolicy = &wire.KillPolicy{GracePeriod: &wire.Duration{Nanoseconds: int64(grace)}}
	}
	return info
}

// postgresGrace is how long a PostgreSQL server has where its definition says nothing: its last checkpoint can take minutes,
// and agents that are drained know of no other grace than that of the task.
const postgresGrace = 2 * time.Minute

func grace(a app.App) time.Duration {
	switch {
	case a.TaskKillGracePeriodSeconds != nil:
		return time.Duration(*a.TaskKillGracePeriodSeconds) * time.Second
	case a.IsPostgres():
		return postgresGrace
	}
	return 0
}

// limits are what the task may take at most.
func limits(l *app.ResourceLimits) map[string]any {
	if l == nil {
		return nil
	}
	list := map[string]any{}
	for name, limit := range map[string]*app.Limit{"cpus": l.CPUs, "mem": l.Mem} {
		switch {
		case limit == nil:
		case limit.Unlimited:
			list[name] = "Infinity"
		default:
			list[name] = limit.Amount
		}
	}
	return list
}

// discoveryName is the path of the app from the inside out: "patroni.postgresql".
func discoveryName(id app.ID) string {
	segments := strings.Split(strings.Trim(string(id), "/"), "/")
	slices.Reverse(segments)
	return strings.Join(segments, ".")
}

func labels(l app.Labels) *wire.Labels {
	if len(l) == 0 {
		return nil
	}
	var list []wire.Label
	for _, key := range slices.Sorted(maps.Keys(l)) {
		list = append(list, wire.Label{Key: key, Value: l[key]})
	}
	return &wire.Labels{Labels: list}
}

// command: a shell command, or arguments for the image's own, or neither.
func command(s driver.Spec, cfg Config) *wire.Command {
	c := &wire.Command{Shell: s.App.Cmd != "", Value: s.App.Cmd, User: s.App.User}
	if c.User == "" && s.Image() == "" {
		c.User = cfg.User
	}
	if s.App.Cmd == "" {
		c.Arguments = s.App.Args
		if s.Image() == "" && len(s.App.Args) > 0 { // argv, beginning with the program
			c.Value = s.App.Args[0]
		}
	}
	var variables []wire.Variable
	env := map[string]string{}
	maps.Copy(env, cfg.Env)
	if root := volumeRoot(s); root != "" {
		env["PGBATON_VOLUME_ROOT"] = root
	}
	maps.Copy(env, s.Env)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		variables = append(variables, wire.Variable{Name: name, Value: env[name]})
	}
	if len(variables) > 0 {
		c.Environment = &wire.Environment{Variables: variables}
	}
	for _, f := range s.App.Fetch {
		c.URIs = append(c.URIs, wire.URI{Value: f.URI, Executable: f.Executable, Extract: f.Extract, Cache: f.Cache, OutputFile: f.DestPath})
	}
	return c
}

// sandbox is where containers see their sandbox, by agents' --sandbox_directory where nobody changed it.
const sandbox = "/mnt/mesos/sandbox"

// volumeRoot is where the agent of a database finds its volume, for a definition that asks for none: without it a container's
// data would lie in its image's own volume, and end with the container. Elsewhere the definition says where its data lie.
func volumeRoot(s driver.Spec) string {
	if s.Volume == "" || s.Image() == "" || !s.App.IsPostgres() {
		return ""
	}
	if p := parts(s.App); len(p) != 1 || p[0].path != defaultPath {
		return ""
	}
	return sandbox + "/" + defaultPath
}

// container is the image and what is mapped into it; none for a plain command.
func container(s driver.Spec) *wire.Container {
	a := s.App
	if a.Container == nil {
		return nil
	}
	c := &wire.Container{Type: string(a.Container.Type)}
	for _, v := range a.Container.Volumes {
		if v.HostPath != "" {
			c.Volumes = append(c.Volumes, wire.Volume{Mode: v.Mode, ContainerPath: v.ContainerPath, HostPath: v.HostPath})
		}
	}
	docker := a.Container.Docker
	switch {
	case a.Container.Type == app.ContainerDocker && docker != nil:
		c.Docker = &wire.Docker{
			Image: docker.Image, Network: dockerNetwork(a), Privileged: docker.Privileged, ForcePullImage: docker.ForcePullImage,
			PortMappings: mappings(s), Parameters: parameters(s),
		}
	case docker != nil:
		c.Mesos = &wire.Mesos{Image: &wire.Image{Type: "DOCKER", Docker: &wire.DockerImage{Name: docker.Image}}}
		if docker.ForcePullImage {
			cached := false
			c.Mesos.Image.Cached = &cached
		}
	}
	c.NetworkInfos = networks(s)
	if l := a.Container.LinuxInfo; l != nil && l.IPCInfo != nil && c.Docker == nil {
		c.LinuxInfo = &wire.LinuxInfo{IPCMode: l.IPCInfo.Mode}
		if l.IPCInfo.ShmSize != nil {
			c.LinuxInfo.ShmSize = *l.IPCInfo.ShmSize
		}
	}
	if c.Docker == nil && c.Mesos == nil && c.LinuxInfo == nil && len(c.Volumes) == 0 && len(c.NetworkInfos) == 0 {
		return nil
	}
	return c
}

// bridge is the network of Mesos' containerizer that Marathon calls so.
const bridge = "mesos-bridge"

// networks are those a container joins by name. Docker's bridge has none.
func networks(s driver.Spec) []wire.NetworkInfo {
	var list []wire.NetworkInfo
	docker := s.App.Container.Type == app.ContainerDocker
	if s.App.HostNetwork() {
		return nil
	}
	for _, n := range s.App.Networks {
		info := wire.NetworkInfo{Name: n.Name, Labels: labels(n.Labels)}
		if n.Mode == app.NetworkBridge {
			if docker {
				continue
			}
			info.Name = bridge
		}
		if !docker && len(list) == 0 {
			info.PortMappings = mappings(s)
		}
		list = append(list, info)
	}
	return list
}

func dockerNetwork(a app.App) string {
	switch {
	case a.HostNetwork():
		return "HOST"
	case a.Networks[0].Mode == app.NetworkBridge:
		return "BRIDGE"
	}
	return "USER"
}

// parameters are those of the definition and the label by which a task's container is found.
func parameters(s driver.Spec) []wire.Parameter {
	list := []wire.Parameter{}
	for _, p := range s.App.Container.Docker.Parameters {
		list = append(list, wire.Parameter{Key: p.Key, Value: p.Value})
	}
	return append(list, wire.Parameter{Key: "label", Value: "MESOS_TASK_ID=" + string(s.Task)})
}

func mappings(s driver.Spec) []wire.PortMapping {
	if s.App.HostNetwork() {
		return nil
	}
	var list []wire.PortMapping
	for i, p := range s.App.Ports() {
		if i >= len(s.Ports) || s.Ports[i] == 0 {
			continue
		}
		inside := p.ContainerPort
		if inside == 0 {
			inside = s.Ports[i]
		}
		for protocol := range strings.SplitSeq(p.Protocol, ",") {
			list = append(list, wire.PortMapping{HostPort: s.Ports[i], ContainerPort: inside, Protocol: protocol})
		}
	}
	return list
}

// discovery is what service discovery gets to know: host ports.
func discovery(s driver.Spec) *wire.DiscoveryInfo {
	info := &wire.DiscoveryInfo{Visibility: "FRAMEWORK", Name: discoveryName(s.App.ID)}
	var list []wire.DiscoveryPort
	for i, p := range s.App.Ports() {
		if i >= len(s.Ports) || s.Ports[i] == 0 {
			continue
		}
		ls := append([]wire.Label{{Key: "network-scope", Value: "host"}}, labelList(p.Labels)...)
		for protocol := range strings.SplitSeq(p.Protocol, ",") {
			list = append(list, wire.DiscoveryPort{Number: s.Ports[i], Name: p.Name, Protocol: protocol, Labels: &wire.Labels{Labels: ls}})
		}
	}
	if len(list) > 0 {
		info.Ports = &wire.DiscoveryPorts{Ports: list}
	}
	return info
}

func labelList(l app.Labels) []wire.Label {
	if ls := labels(l); ls != nil {
		return ls.Labels
	}
	return nil
}
