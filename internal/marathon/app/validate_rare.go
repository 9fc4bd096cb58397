package app

import (
	"fmt"
	"maps"
	"slices"
)

// secrets refuses secrets without a source.
func (v *validator) secrets(a App) {
	for _, name := range slices.Sorted(maps.Keys(a.Secrets)) {
		v.filled("/secrets", name)
		v.filled("/secrets/"+name+"/source", a.Secrets[name].Source)
	}
}

// secretRef refuses a reference to a secret that the definition does not have; none is no reference.
func (v *validator) secretRef(a App, path, name string) {
	if name == "" {
		return
	}
	_, there := a.Secrets[name]
	v.check(there, path, msgSecretRef+"'"+name+"'")
}

func (v *validator) limits(a App) {
	if e := a.ExecutorResources; e != nil {
		atLeast(v, "/executorResources/cpus", e.CPUs, 0)
		atLeast(v, "/executorResources/mem", e.Mem, 0)
		atLeast(v, "/executorResources/disk", e.Disk, 0)
	}
	if l := a.ResourceLimits; l != nil {
		v.limit("/resourceLimits/cpus", l.CPUs, a.CPUs)
		v.limit("/resourceLimits/mem", l.Mem, a.Mem)
	}
}

func (v *validator) limit(path string, l *Limit, wanted float64) {
	v.check(l == nil || l.Unlimited || l.Amount >= wanted, path, msgLimit)
}

// generalCheck looks at the field check.
func (v *validator) generalCheck(a App) {
	c := a.Check
	if c == nil {
		return
	}
	const path = "/check"
	v.check(exactlyOne(c.HTTP != nil, c.TCP != nil, c.Exec != nil), path, msgCheckKind)
	v.check(a.Container == nil || a.Container.Type != ContainerDocker, path, msgCheckDocker)
	atLeast(v, path+"/intervalSeconds", c.IntervalSeconds, 0)
	atLeast(v, path+"/timeoutSeconds", c.TimeoutSeconds, 0)
	atLeast(v, path+"/delaySeconds", c.DelaySeconds, 0)
	if c.HTTP != nil {
		v.checkPort(path+"/http/portIndex", c.HTTP.PortIndex, len(a.Ports()))
	}
	if c.TCP != nil {
		v.checkPort(path+"/tcp/portIndex", c.TCP.PortIndex, len(a.Ports()))
	}
	if c.Exec != nil {
		v.check(exactlyOne(c.Exec.Command.Shell != "", len(c.Exec.Command.Argv) > 0), path+"/exec/command", msgCheckCommand)
	}
}

func (v *validator) checkPort(path string, index *int, ports int) {
	v.check(index == nil || (*index >= 0 && *index < ports), path, msgCheckPort)
}

func exactlyOne(conditions ...bool) bool {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n == 1
}

// mesosOnly refuses what only containers of type MESOS can have.
func (v *validator) mesosOnly(a App) {
	c := a.Container
	mesos := c.Type == ContainerMesos
	if d := c.Docker; d != nil {
		if d.PullConfig != nil {
			v.check(mesos, "/container/docker/pullConfig", msgPullConfig)
			v.filled("/container/docker/pullConfig/secret", d.PullConfig.Secret)
			v.secretRef(a, "/container/docker/pullConfig/secret", d.PullConfig.Secret)
		}
		v.check(mesos || d.Credential == nil, "/container/docker/credential", msgCredential)
	}
	if c.LinuxInfo != nil {
		v.check(mesos, "/container/linuxInfo", msgLinuxInfo)
		v.linuxInfo(*c.LinuxInfo)
	}
}

func (v *validator) linuxInfo(l LinuxInfo) {
	if s := l.Seccomp; s != nil {
		open := s.Unconfined != nil && *s.Unconfined
		v.check(!open || s.ProfileName == "", "/container/linuxInfo/seccomp", msgSeccompBoth)
		v.check(open || s.ProfileName != "", "/container/linuxInfo/seccomp", msgSeccompNone)
	}
	if i := l.IPCInfo; i != nil && i.ShmSize != nil {
		atLeast(v, "/container/linuxInfo/ipcInfo/shmSize", *i.ShmSize, 0)
		v.check(i.Mode == "PRIVATE", "/container/linuxInfo/ipcInfo", msgShmPrivate)
	}
}

// mappedNetworks refuses port mappings of networks that the app does not join.
func (v *validator) mappedNetworks(a App) {
	names := map[string]bool{}
	for _, n := range a.Networks {
		names[n.Name] = n.Mode == NetworkContainer
	}
	for i, m := range a.Container.PortMappings {
		path := fmt.Sprintf("/container/portMappings(%d)/networkNames", i)
		for _, name := range m.NetworkNames {
			v.check(names[name], path, msgNoSuchNetwork+name)
		}
		several := len(a.Networks) > 1 && len(m.NetworkNames) != 1
		v.check(m.HostPort == nil || !several, path, msgMappingNetworks)
	}
}

// volumeConstraint is a constraint on the disk a volume lies on.
func (v *validator) volumeConstraint(path string, c Constraint) {
	v.check(c.Field == "path", path, msgVolumeField)
	if c.Operator != OperatorLike && c.Operator != OperatorUnlike {
		v.check(false, path, msgVolumeOperator)
		return
	}
	v.pattern(path, c.Value)
}
