package app

import (
	"encoding/json"
	"strings"
)

// One reader for each kind of nested value of a definition, with its defaults.

func asLabels(f *faults, path string, v any) Labels { return mapOf(asString)(f, path, v) }

func asEnv(f *faults, path string, v any) map[string]EnvValue { return mapOf(asEnvValue)(f, path, v) }

func asEnvValue(f *faults, path string, v any) EnvValue {
	if _, ok := v.(map[string]any); !ok {
		return EnvValue{Text: asString(f, path, v)}
	}
	o, _ := f.object(path, v)
	var e EnvValue
	need(o, "secret", asString, &e.Secret)
	return e
}

// asConstraint reads the list form and the legacy object form.
func asConstraint(f *faults, path string, v any) Constraint {
	if _, ok := v.(map[string]any); ok {
		o, _ := f.object(path, v)
		var c Constraint
		need(o, "field", asString, &c.Field)
		need(o, "operator", oneOf(operators()...), &c.Operator)
		read(o, "value", pointerTo(asText), &c.Value)
		return c
	}
	parts := listOf(asText)(f, path, v)
	if parts == nil {
		return Constraint{}
	}
	if len(parts) < 2 || len(parts) > 3 {
		f.wrongValue(path, msgConstraintLength)
		return Constraint{}
	}
	c := Constraint{Field: parts[0], Operator: Operator(parts[1])}
	if len(parts) == 3 {
		c.Value = &parts[2]
	}
	return c
}

func operators() []Operator {
	return []Operator{
		OperatorUnique, OperatorCluster, OperatorGroupBy, OperatorLike, OperatorUnlike, OperatorMaxPer, OperatorIs,
	}
}

// asText reads a string, or a number as it is written: ["@zone","MAX_PER",2].
func asText(f *faults, path string, v any) string {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	return asString(f, path, v)
}

func asFetch(f *faults, path string, v any) Fetch {
	o, _ := f.object(path, v)
	fetch := Fetch{Extract: true}
	need(o, "uri", asString, &fetch.URI)
	read(o, "extract", asBool, &fetch.Extract)
	read(o, "executable", asBool, &fetch.Executable)
	read(o, "cache", asBool, &fetch.Cache)
	read(o, "destPath", asString, &fetch.DestPath)
	return fetch
}

func asContainer(f *faults, path string, v any) *Container {
	o, _ := f.object(path, v)
	c := &Container{Volumes: []Volume{}, Type: ContainerMesos}
	if o.has("docker") {
		c.Type = ContainerDocker
	}
	read(o, "type", oneOf(ContainerDocker, ContainerMesos), &c.Type)
	read(o, "docker", pointerTo(asDocker), &c.Docker)
	read(o, "linuxInfo", pointerTo(asLinuxInfo), &c.LinuxInfo)
	read(o, "volumes", listOf(asVolume), &c.Volumes)
	read(o, "portMappings", listOf(asPortMapping), &c.PortMappings)
	return c
}

func asDocker(f *faults, path string, v any) Docker {
	o, _ := f.object(path, v)
	d := Docker{Parameters: []Parameter{}}
	need(o, "image", asString, &d.Image)
	read(o, "forcePullImage", asBool, &d.ForcePullImage)
	read(o, "privileged", asBool, &d.Privileged)
	read(o, "parameters", listOf(asParameter), &d.Parameters)
	read(o, "pullConfig", pointerTo(asPullConfig), &d.PullConfig)
	read(o, "credential", pointerTo(asCredential), &d.Credential)
	return d
}

func asParameter(f *faults, path string, v any) Parameter {
	o, _ := f.object(path, v)
	var p Parameter
	need(o, "key", asString, &p.Key)
	need(o, "value", asString, &p.Value)
	return p
}

func asPortMapping(f *faults, path string, v any) PortMapping {
	o, _ := f.object(path, v)
	m := PortMapping{Protocol: "tcp", Labels: Labels{}}
	read(o, "containerPort", asInt, &m.ContainerPort)
	read(o, "hostPort", pointerTo(asInt), &m.HostPort)
	read(o, "servicePort", asInt, &m.ServicePort)
	read(o, "protocol", asPortProtocol, &m.Protocol)
	read(o, "name", asString, &m.Name)
	read(o, "labels", asLabels, &m.Labels)
	read(o, "networkNames", listOf(asString), &m.NetworkNames)
	return m
}

func asPortDefinition(f *faults, path string, v any) PortDefinition {
	o, _ := f.object(path, v)
	d := PortDefinition{Protocol: "tcp", Labels: Labels{}}
	read(o, "port", asInt, &d.Port)
	read(o, "protocol", asPortProtocol, &d.Protocol)
	read(o, "name", asString, &d.Name)
	read(o, "labels", asLabels, &d.Labels)
	return d
}

// asPortProtocol reads the protocol of a port; both orders of the pair mean the same.
func asPortProtocol(f *faults, path string, v any) string {
	if s, ok := v.(string); ok && strings.EqualFold(s, "tcp,udp") {
		return "udp,tcp"
	}
	return oneOf("tcp", "udp", "udp,tcp")(f, path, v)
}

func asNetwork(f *faults, path string, v any) Network {
	o, _ := f.object(path, v)
	n := Network{Mode: NetworkContainer}
	read(o, "mode", oneOf(NetworkHost, NetworkBridge, NetworkContainer), &n.Mode)
	read(o, "name", asString, &n.Name)
	read(o, "labels", asLabels, &n.Labels)
	return n
}

func asVolume(f *faults, path string, v any) Volume {
	o, _ := f.object(path, v)
	var vol Volume
	need(o, "containerPath", asString, &vol.ContainerPath)
	read(o, "hostPath", asString, &vol.HostPath)
	read(o, "persistent", pointerTo(asPersistentVolume), &vol.Persistent)
	read(o, "external", pointerTo(asExternalVolume), &vol.External)
	read(o, "secret", asString, &vol.Secret)
	if vol.Secret == "" {
		vol.Mode = "RW"
	}
	read(o, "mode", oneOf("RO", "RW"), &vol.Mode)
	return vol
}

func asPersistentVolume(f *faults, path string, v any) PersistentVolume {
	o, _ := f.object(path, v)
	p := PersistentVolume{Type: "root"}
	read(o, "type", oneOf("root", "path", VolumeMount), &p.Type)
	need(o, "size", asInt, &p.Size)
	read(o, "maxSize", pointerTo(asInt), &p.MaxSize)
	read(o, "profileName", asString, &p.ProfileName)
	read(o, "constraints", listOf(asConstraint), &p.Constraints)
	return p
}

func asExternalVolume(f *faults, path string, v any) ExternalVolume {
	o, _ := f.object(path, v)
	var e ExternalVolume
	read(o, "name", asString, &e.Name)
	read(o, "provider", asString, &e.Provider)
	read(o, "size", pointerTo(asInt), &e.Size)
	read(o, "options", mapOf(asText), &e.Options)
	return e
}

func asHealthCheck(f *faults, path string, v any) HealthCheck {
	o, _ := f.object(path, v)
	h := HealthCheck{
		Protocol: ProtocolHTTP, GracePeriodSeconds: 300, IntervalSeconds: 60, TimeoutSeconds: 20,
		MaxConsecutiveFailures: 3, DelaySeconds: 15, IPProtocol: "IPv4",
	}
	read(o, "protocol", oneOf(
		ProtocolHTTP, ProtocolHTTPS, ProtocolTCP, ProtocolCommand, ProtocolMesosHTTP, ProtocolMesosHTTPS, ProtocolMesosTCP,
	), &h.Protocol)
	read(o, "path", asString, &h.Path)
	read(o, "port", pointerTo(asInt), &h.Port)
	read(o, "portIndex", pointerTo(asInt), &h.PortIndex)
	read(o, "portName", asString, &h.PortName)
	read(o, "command", pointerTo(asCommand), &h.Command)
	read(o, "gracePeriodSeconds", asInt, &h.GracePeriodSeconds)
	read(o, "intervalSeconds", asInt, &h.IntervalSeconds)
	read(o, "timeoutSeconds", asInt, &h.TimeoutSeconds)
	read(o, "maxConsecutiveFailures", asInt, &h.MaxConsecutiveFailures)
	read(o, "delaySeconds", asInt, &h.DelaySeconds)
	read(o, "ignoreHttp1xx", asBool, &h.IgnoreHTTP1xx)
	read(o, "ipProtocol", oneOf("IPv4", "IPv6"), &h.IPProtocol)
	return h
}

func asCommand(f *faults, path string, v any) Command {
	o, _ := f.object(path, v)
	var c Command
	need(o, "value", asString, &c.Value)
	return c
}

func asReadinessCheck(f *faults, path string, v any) ReadinessCheck {
	o, _ := f.object(path, v)
	r := ReadinessCheck{
		Name: "readinessCheck", Protocol: "HTTP", Path: "/", PortName: "http-api",
		IntervalSeconds: 30, TimeoutSeconds: 10, HTTPStatusCodesForReady: []int{200},
	}
	read(o, "name", asString, &r.Name)
	read(o, "protocol", oneOf("HTTP", "HTTPS"), &r.Protocol)
	read(o, "path", asString, &r.Path)
	read(o, "portName", asString, &r.PortName)
	read(o, "intervalSeconds", asInt, &r.IntervalSeconds)
	read(o, "timeoutSeconds", asInt, &r.TimeoutSeconds)
	read(o, "httpStatusCodesForReady", listOf(asInt), &r.HTTPStatusCodesForReady)
	read(o, "preserveLastResponse", asBool, &r.PreserveLastResponse)
	return r
}

func asUpgradeStrategy(f *faults, path string, v any) UpgradeStrategy {
	o, _ := f.object(path, v)
	u := UpgradeStrategy{MaximumOverCapacity: 1, MinimumHealthCapacity: 1}
	read(o, "maximumOverCapacity", asFloat, &u.MaximumOverCapacity)
	read(o, "minimumHealthCapacity", asFloat, &u.MinimumHealthCapacity)
	return u
}

func asUnreachableStrategy(f *faults, path string, v any) UnreachableStrategy {
	if s, ok := v.(string); ok {
		oneOf("disabled")(f, path, s)
		return UnreachableStrategy{Disabled: true}
	}
	o, _ := f.object(path, v)
	var u UnreachableStrategy
	read(o, "inactiveAfterSeconds", asInt, &u.InactiveAfterSeconds)
	read(o, "expungeAfterSeconds", asInt, &u.ExpungeAfterSeconds)
	return u
}
