package app

import (
	"cmp"
	"slices"
)

// ValidateChange reports what a may not change about old, the definition it replaces, as an [*InvalidError]; nil when it
// may. Reservations and volumes were made for the old one, and there is no way to make them anew under the data.
func (a App) ValidateChange(old App) error {
	if !old.persistent() {
		return nil
	}
	v := &validator{}
	v.check(same(volumesOf(old), volumesOf(a)), "/", msgVolumesFixed)
	resources := old.CPUs == a.CPUs && old.Mem == a.Mem && old.Disk == a.Disk && old.GPUs == a.GPUs &&
		old.RequirePorts == a.RequirePorts && slices.Equal(hostPorts(old), hostPorts(a))
	v.check(resources, "/", msgResourcesFixed)
	v.check(old.Role == a.Role, "/role", msgRoleFixed)
	if len(v.details) == 0 {
		return nil
	}
	return &InvalidError{Details: v.details}
}

// volumesOf is an app with nothing but the persistent volumes of a, in the order of their paths.
func volumesOf(a App) App {
	if a.Container == nil {
		return App{}
	}
	var volumes []Volume
	for _, vol := range a.Container.Volumes {
		if vol.Persistent != nil {
			volumes = append(volumes, vol)
		}
	}
	slices.SortFunc(volumes, func(x, y Volume) int { return cmp.Compare(x.ContainerPath, y.ContainerPath) })
	return App{Container: &Container{Volumes: volumes}}
}

// hostPorts are the host ports that are asked for by number or left open, in order.
func hostPorts(a App) []int {
	var ports []int
	for _, p := range a.Ports() {
		if p.Published {
			ports = append(ports, p.HostPort)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
