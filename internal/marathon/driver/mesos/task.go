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
		Command: command(s, d.cfg), Container: container(s), HealthCheck: healthCheck(a), Discovery: discovery(s), Labels: labels(a.Labels),
	}
	if a.TaskKillGracePeriodSeconds != nil {
		info.KillPolicy = &wire.KillPolicy{GracePeriod: &wire.Duration{Nanoseconds: int64(time.Duration(*a.TaskKillGracePeriodSeconds) * time.Second)}}
	}
	return info
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
	maps.Copy(env, s.Env)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		variables = append(variables, wire.Variable{Name: name, Value: env[name]})
	}
	c.Environment = &wire.Environment{Variables: variables}
	for _, f := range s.App.Fetch {
		c.URIs = append(c.URIs, wire.URI{Value: f.URI, Executable: f.Executable, Extract: f.Extract, Cache: f.Cache, OutputFile: f.DestPath})
	}
	return c
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
	if c.Docker == nil && !a.HostNetwork() {
		network := wire.NetworkInfo{Name: "mesos-bridge", PortMappings: mappings(s)}
		if a.Networks[0].Mode == app.NetworkContainer {
			network.Name = a.Networks[0].Name
		}
		c.NetworkInfos = []wire.NetworkInfo{network}
	}
	if c.Docker == nil && c.Mesos == nil && len(c.Volumes) == 0 && len(c.NetworkInfos) == 0 {
		return nil
	}
	return c
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

// parameters are those of the definition, the name of a network and the label by which a task's container is found.
func parameters(s driver.Spec) []wire.Parameter {
	list := []wire.Parameter{}
	for _, p := range s.App.Container.Docker.Parameters {
		list = append(list, wire.Parameter{Key: p.Key, Value: p.Value})
	}
	if !s.App.HostNetwork() && s.App.Networks[0].Mode == app.NetworkContainer {
		list = append(list, wire.Parameter{Key: "network", Value: s.App.Networks[0].Name})
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

// neverKill is more failures than there will be: the executor tells how the task is, and the scheduler, who knows what a
// database is doing, decides what follows.
const neverKill = 1 << 30

// healthCheck is the one check of the definition that the executor runs. It asks the port inside the container.
func healthCheck(a app.App) *wire.HealthCheck {
	for _, h := range a.HealthChecks {
		check := &wire.HealthCheck{
			DelaySeconds: float64(h.DelaySeconds), IntervalSeconds: float64(h.IntervalSeconds), TimeoutSeconds: float64(h.TimeoutSeconds),
			ConsecutiveFailures: neverKill, GracePeriodSeconds: float64(h.GracePeriodSeconds),
		}
		port := 0
		if h.Port != nil {
			port = *h.Port
		} else if all := a.Ports(); h.PortIndex != nil && *h.PortIndex < len(all) {
			port = all[*h.PortIndex].ContainerPort
		}
		switch h.Protocol {
		case app.ProtocolCommand:
			check.Type, check.Command = "COMMAND", &wire.Command{Shell: true, Value: h.Command.Value}
		case app.ProtocolMesosHTTP, app.ProtocolMesosHTTPS:
			scheme := strings.ToLower(strings.TrimPrefix(string(h.Protocol), "MESOS_"))
			check.Type, check.HTTP = "HTTP", &wire.HTTPProbe{Scheme: scheme, Port: port, Path: h.Path, Protocol: strings.ToUpper(h.IPProtocol)}
		case app.ProtocolMesosTCP:
			check.Type, check.TCP = "TCP", &wire.TCPProbe{Port: port}
		case app.ProtocolHTTP, app.ProtocolHTTPS, app.ProtocolTCP:
			continue
		}
		return check
	}
	return nil
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
