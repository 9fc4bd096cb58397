package app

import "slices"

// Port is one port of an app: a port mapping of its container, or a port definition on the host network. The position
// in [App.Ports] is the index that health checks, tasks and environment variables use.
type Port struct {
	ContainerPort int  // what the task listens on; on the host network the declared number; 0: the same as the host port
	HostPort      int  // wanted on the host; 0: any
	Published     bool // false: only reachable inside a container network, takes no host port
	ServicePort   int
	Protocol      string // tcp, udp or "udp,tcp"
	Name          string
	Labels        Labels
}

// Ports are the ports of the app in the order of its definition.
func (a App) Ports() []Port {
	if a.HostNetwork() {
		return a.definedPorts()
	}
	if a.Container == nil {
		return nil
	}
	ports := make([]Port, 0, len(a.Container.PortMappings))
	for _, m := range a.Container.PortMappings {
		p := Port{ContainerPort: m.ContainerPort, ServicePort: m.ServicePort, Protocol: m.Protocol, Name: m.Name, Labels: m.Labels}
		if m.HostPort != nil {
			p.HostPort, p.Published = *m.HostPort, true
		}
		ports = append(ports, p)
	}
	return ports
}

func (a App) definedPorts() []Port {
	ports := make([]Port, 0, len(a.PortDefinitions))
	for _, d := range a.PortDefinitions {
		p := Port{ContainerPort: d.Port, ServicePort: d.Port, Published: true, Protocol: d.Protocol, Name: d.Name, Labels: d.Labels}
		if a.RequirePorts {
			p.HostPort = d.Port
		}
		ports = append(ports, p)
	}
	return ports
}

// HostNetwork reports whether tasks of the app share the network of their host.
func (a App) HostNetwork() bool { return len(a.Networks) == 0 || a.Networks[0].Mode == NetworkHost }

// PortIndex is the index of the port whose container port is n.
func (a App) PortIndex(n int) (int, bool) {
	for i, p := range a.Ports() {
		if p.ContainerPort == n {
			return i, true
		}
	}
	return 0, false
}

// ServicePorts are the service ports in the order of [App.Ports].
func (a App) ServicePorts() []int {
	ports := a.Ports()
	service := make([]int, 0, len(ports))
	for _, p := range ports {
		service = append(service, p.ServicePort)
	}
	return service
}

// Bounds of the service ports that are assigned where a definition says 0.
const (
	FirstServicePort = 10000
	LastServicePort  = 20000
)

// AssignServicePorts gives every port of a with service port 0 a number: the one the app had at the same position in
// old, else the lowest that no app in apps uses. It is an [InvalidError] when none is left. Numbers given in the
// definition are never touched, even when another app has them too.
func (a App) AssignServicePorts(old App, apps map[ID]App) (App, error) {
	if !slices.Contains(a.ServicePorts(), 0) {
		return a, nil
	}
	a = a.Clone()
	previous := old.ServicePorts()
	used := usedServicePorts(a, apps)
	next := FirstServicePort
	for i, port := range servicePortFields(&a) {
		if *port != 0 {
			continue
		}
		if i < len(previous) && previous[i] != 0 && !used[previous[i]] {
			*port = previous[i]
			used[*port] = true
			continue
		}
		for used[next] {
			next++
		}
		if next > LastServicePort {
			return App{}, &InvalidError{Details: []Detail{{Path: "/", Errors: []string{msgServicePorts}}}}
		}
		*port = next
		used[next] = true
	}
	return a, nil
}

// servicePortFields are the places where the definition holds its service ports, in the order of [App.Ports].
func servicePortFields(a *App) []*int {
	var fields []*int
	if a.HostNetwork() {
		for i := range a.PortDefinitions {
			fields = append(fields, &a.PortDefinitions[i].Port)
		}
		return fields
	}
	if a.Container == nil {
		return nil
	}
	for i := range a.Container.PortMappings {
		fields = append(fields, &a.Container.PortMappings[i].ServicePort)
	}
	return fields
}

func usedServicePorts(a App, apps map[ID]App) map[int]bool {
	used := map[int]bool{}
	for id, other := range apps {
		if id == a.ID {
			continue
		}
		for _, p := range other.ServicePorts() {
			used[p] = true
		}
	}
	for _, p := range a.ServicePorts() {
		used[p] = true
	}
	delete(used, 0)
	return used
}
