package app

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const maxPort = 65535

var portNamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (v *validator) container(a App) {
	c := a.Container
	if c == nil {
		return
	}
	switch {
	case c.Docker != nil:
		v.filled("/container/docker/image", c.Docker.Image)
	case c.Type == ContainerDocker:
		v.check(false, "/container/docker", msgUndefined)
	}
	for i, vol := range c.Volumes {
		path := fmt.Sprintf("/container/volumes(%d)", i)
		v.volume(path, vol)
		v.secretRef(a, path+"/secret", vol.Secret)
	}
	v.mesosOnly(a)
	v.portMappings(c.PortMappings)
	v.mappedNetworks(a)
}

func (v *validator) portMappings(mappings []PortMapping) {
	const path = "/container/portMappings"
	names := make([]string, 0, len(mappings))
	for i, m := range mappings {
		at := fmt.Sprintf("%s(%d)", path, i)
		within(v, at+"/containerPort", m.ContainerPort, 0, maxPort)
		within(v, at+"/servicePort", m.ServicePort, 0, maxPort)
		if m.HostPort != nil {
			within(v, at+"/hostPort", *m.HostPort, 0, maxPort)
		}
		v.portName(at+"/name", m.Name)
		names = append(names, m.Name)
	}
	v.check(!repeats(names), path, msgPortNames)
}

func (v *validator) portDefinitions(definitions []PortDefinition) {
	const path = "/portDefinitions"
	var names []string
	var numbers []int
	for i, d := range definitions {
		at := fmt.Sprintf("%s(%d)", path, i)
		within(v, at+"/port", d.Port, 0, maxPort)
		v.portName(at+"/name", d.Name)
		names, numbers = append(names, d.Name), append(numbers, d.Port)
	}
	v.check(!repeats(names), path, msgPortNames)
	v.check(!repeats(numbers), path, msgPortsUnique)
}

func (v *validator) portName(path, name string) {
	v.check(name == "" || portNamePattern.MatchString(name), path, msgPortName)
}

// repeats reports whether a value other than the zero value is there twice.
func repeats[T comparable](values []T) bool {
	var zero T
	seen := map[T]bool{}
	for _, x := range values {
		if x != zero && seen[x] {
			return true
		}
		seen[x] = true
	}
	return false
}

func (v *validator) volume(path string, vol Volume) {
	v.filled(path+"/containerPath", vol.ContainerPath)
	kinds := 0
	for _, is := range []bool{vol.HostPath != "", vol.Persistent != nil, vol.External != nil, vol.Secret != ""} {
		if is {
			kinds++
		}
	}
	v.check(kinds == 1, path, msgVolumeKind)
	if vol.Persistent != nil {
		v.persistentVolume(path, vol)
	}
	if vol.External != nil {
		v.check(false, path, msgExternalVolume)
	}
}

func (v *validator) persistentVolume(path string, vol Volume) {
	p := vol.Persistent
	v.check(!strings.Contains(vol.ContainerPath, "/"), path+"/containerPath", msgVolumeSlash)
	v.check(vol.ContainerPath != "." && vol.ContainerPath != "..", path+"/containerPath", msgVolumeDots)
	v.check(vol.Mode == "RW", path+"/mode", msgVolumeMode)
	v.check(p.Size > 0, path+"/persistent/size", "is less than 1")
	v.check(p.MaxSize == nil || p.Type == VolumeMount, path+"/persistent", msgVolumeMaxSize)
	v.check(p.MaxSize == nil || *p.MaxSize > p.Size, path+"/persistent", msgVolumeOrder)
	v.check(len(p.Constraints) == 0 || p.Type != "root", path+"/persistent", msgVolumeConstraints)
	for i, c := range p.Constraints {
		v.volumeConstraint(fmt.Sprintf("%s/persistent/constraints(%d)", path, i), c)
	}
}

func (v *validator) healthChecks(a App) {
	ports := len(a.Ports())
	mesos := 0
	for i, h := range a.HealthChecks {
		path := fmt.Sprintf("/healthChecks(%d)", i)
		v.healthCheck(path, h)
		if h.PortName != "" {
			v.check(a.portNamed(h.PortName) >= 0, path+"/portName", msgPortNamed+h.PortName)
			v.check(h.Port == nil && h.PortIndex == nil, path, msgPortTwice)
		} else if h.usesPort() {
			inRange := h.PortIndex == nil || (*h.PortIndex >= 0 && *h.PortIndex < ports)
			v.check(inRange && (h.PortIndex != nil || h.Port != nil), path, msgPortIndex)
		}
		if strings.HasPrefix(string(h.Protocol), "MESOS_") {
			mesos++
		}
	}
	v.check(mesos <= 1, "/", msgOneMesosCheck)
}

func (v *validator) healthCheck(path string, h HealthCheck) {
	atLeast(v, path+"/gracePeriodSeconds", h.GracePeriodSeconds, 0)
	atLeast(v, path+"/intervalSeconds", h.IntervalSeconds, 0)
	atLeast(v, path+"/timeoutSeconds", h.TimeoutSeconds, 0)
	atLeast(v, path+"/maxConsecutiveFailures", h.MaxConsecutiveFailures, 0)
	atLeast(v, path+"/delaySeconds", h.DelaySeconds, 0)
	if h.Port != nil {
		within(v, path+"/port", *h.Port, 0, maxPort)
	}
	if h.Protocol == ProtocolCommand {
		v.check(h.Command != nil && h.Command.Value != "", path+"/command", msgUndefined)
	}
}

// usesPort reports whether the check is made from outside, against a port on the host.
func (h HealthCheck) usesPort() bool {
	return h.Protocol == ProtocolHTTP || h.Protocol == ProtocolHTTPS || h.Protocol == ProtocolTCP
}

func (v *validator) readinessChecks(a App) {
	if len(a.ReadinessChecks) > 1 {
		v.check(false, "/readinessChecks", fmt.Sprintf("has size %d, expected 1 or less", len(a.ReadinessChecks)))
	}
	for i, r := range a.ReadinessChecks {
		path := fmt.Sprintf("/readinessChecks(%d)", i)
		named := slices.ContainsFunc(a.Ports(), func(p Port) bool { return p.Name == r.PortName })
		v.check(named, path+"/portName", msgReadinessPort+r.PortName)
		v.check(r.TimeoutSeconds < r.IntervalSeconds, path+"/timeoutSeconds", fmt.Sprintf("is greater than %d", r.IntervalSeconds-1))
		atLeast(v, path+"/timeoutSeconds", r.TimeoutSeconds, 0)
	}
}
