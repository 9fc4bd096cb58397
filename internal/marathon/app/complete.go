package app

import "slices"

// complete makes a canonical where one field depends on another: ports on the network, health checks on ports.
func complete(a *App) {
	if len(a.Networks) == 0 {
		a.Networks = []Network{{Mode: NetworkHost}}
	}
	if a.HostNetwork() {
		completeHostPorts(a)
	} else {
		completeMappings(a)
	}
	completeHealthChecks(a)
	for i, d := range a.Dependencies {
		a.Dependencies[i] = a.ID.Resolve(string(d))
	}
	if a.persistent() && a.Residency == nil {
		a.Residency = new(defaultResidency())
	}
}

func completeHostPorts(a *App) {
	if a.Container != nil {
		a.Container.PortMappings = nil
	}
	if a.PortDefinitions == nil {
		a.PortDefinitions = []PortDefinition{{Protocol: "tcp", Name: "default", Labels: Labels{}}}
	}
}

// completeMappings gives an app off the host network its port mappings. Definitions written for old servers carry port
// definitions beside mappings; they only count where they outnumber them.
func completeMappings(a *App) {
	if a.Container == nil {
		a.Container = &Container{Type: ContainerMesos, Volumes: []Volume{}}
	}
	c := a.Container
	if c.PortMappings == nil && len(a.PortDefinitions) == 0 {
		c.PortMappings = []PortMapping{{Protocol: "tcp", Name: "default", Labels: Labels{}}}
	}
	for len(c.PortMappings) < len(a.PortDefinitions) {
		c.PortMappings = append(c.PortMappings, PortMapping{Protocol: "tcp", Labels: Labels{}})
	}
	a.PortDefinitions, a.RequirePorts = nil, false
	if a.Networks[0].Mode != NetworkBridge {
		return
	}
	for i := range c.PortMappings {
		if c.PortMappings[i].HostPort == nil {
			c.PortMappings[i].HostPort = new(int)
		}
	}
}

func completeHealthChecks(a *App) {
	if len(a.Ports()) == 0 {
		return
	}
	for i := range a.HealthChecks {
		h := &a.HealthChecks[i]
		if h.Port == nil && h.PortIndex == nil && h.PortName == "" && h.Protocol != ProtocolCommand {
			h.PortIndex = new(int)
		}
	}
}

// persistent reports whether instances own a persistent volume.
func (a App) persistent() bool {
	return a.hasVolume(func(v Volume) bool { return v.Persistent != nil })
}

// bound reports whether instances own a volume that only one of them can use at a time.
func (a App) bound() bool {
	return a.hasVolume(func(v Volume) bool { return v.Persistent != nil || v.External != nil })
}

func (a App) hasVolume(is func(Volume) bool) bool {
	return a.Container != nil && slices.ContainsFunc(a.Container.Volumes, is)
}

// VolumeDisk is the size of the persistent volumes of one instance in MiB.
func (a App) VolumeDisk() int {
	if a.Container == nil {
		return 0
	}
	sum := 0
	for _, v := range a.Container.Volumes {
		if v.Persistent != nil {
			sum += v.Persistent.Size
		}
	}
	return sum
}
