package app

import (
	"maps"
	"slices"
)

// Container is the image an app runs in, with its volumes and ports.
type Container struct {
	Type         ContainerType `json:"type"`
	Docker       *Docker       `json:"docker,omitempty"`
	Volumes      []Volume      `json:"volumes"`
	LinuxInfo    *LinuxInfo    `json:"linuxInfo,omitempty"`
	PortMappings []PortMapping `json:"portMappings,omitzero"` // nil on a host network
}

// ContainerType is the containerizer.
type ContainerType string

// The two containerizers.
const (
	ContainerDocker ContainerType = "DOCKER"
	ContainerMesos  ContainerType = "MESOS"
)

// Docker is the image and how it is run.
type Docker struct {
	Image          string      `json:"image"`
	ForcePullImage bool        `json:"forcePullImage"`
	Privileged     bool        `json:"privileged"`
	Parameters     []Parameter `json:"parameters"`
	PullConfig     *PullConfig `json:"pullConfig,omitempty"`
	Credential     *Credential `json:"credential,omitempty"` // for containers of type MESOS
}

// PullConfig names the secret that holds the configuration of docker for the registry of the image.
type PullConfig struct {
	Secret string `json:"secret"`
}

// Credential is who asks the registry for the image.
type Credential struct {
	Principal string `json:"principal"`
	Secret    string `json:"secret,omitempty"`
}

// LinuxInfo is what a container of type MESOS shares with its host.
type LinuxInfo struct {
	Seccomp *Seccomp `json:"seccomp,omitempty"`
	IPCInfo *IPCInfo `json:"ipcInfo,omitempty"`
}

// Seccomp is the filter of system calls.
type Seccomp struct {
	ProfileName string `json:"profileName,omitempty"`
	Unconfined  *bool  `json:"unconfined,omitempty"`
}

// IPCInfo is the shared memory of a container.
type IPCInfo struct {
	Mode    string `json:"mode"`              // PRIVATE or SHARE_PARENT
	ShmSize *int   `json:"shmSize,omitempty"` // MiB
}

func (l *LinuxInfo) clone() *LinuxInfo {
	if l == nil {
		return nil
	}
	var out LinuxInfo
	if l.Seccomp != nil {
		out.Seccomp = &Seccomp{ProfileName: l.Seccomp.ProfileName, Unconfined: clonePtr(l.Seccomp.Unconfined)}
	}
	if l.IPCInfo != nil {
		out.IPCInfo = &IPCInfo{Mode: l.IPCInfo.Mode, ShmSize: clonePtr(l.IPCInfo.ShmSize)}
	}
	return &out
}

// Parameter is one option for the docker command line.
type Parameter struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// PortMapping publishes a port of the container on the host.
type PortMapping struct {
	ContainerPort int      `json:"containerPort"`      // 0: the same number as the host port
	HostPort      *int     `json:"hostPort,omitempty"` // 0: any free one; nil (container network only): not published
	ServicePort   int      `json:"servicePort"`
	Protocol      string   `json:"protocol"` // tcp, udp or "udp,tcp"
	Name          string   `json:"name,omitempty"`
	Labels        Labels   `json:"labels"`
	NetworkNames  []string `json:"networkNames,omitempty"`
}

// Volume is one of: a folder of the host, a persistent volume of the instance, an external volume, a secret as a file.
type Volume struct {
	ContainerPath string            `json:"containerPath"`
	HostPath      string            `json:"hostPath,omitempty"`
	Mode          string            `json:"mode,omitempty"` // RO or RW
	Persistent    *PersistentVolume `json:"persistent,omitempty"`
	External      *ExternalVolume   `json:"external,omitempty"`
	Secret        string            `json:"secret,omitempty"`
}

// VolumeMount is the type of a persistent volume that takes a disk of its own as a whole.
const VolumeMount = "mount"

// PersistentVolume is disk space that outlives the task and belongs to its instance.
type PersistentVolume struct {
	Type        string       `json:"type"` // root, path or mount
	Size        int          `json:"size"` // MiB
	MaxSize     *int         `json:"maxSize,omitempty"`
	ProfileName string       `json:"profileName,omitempty"`
	Constraints []Constraint `json:"constraints,omitempty"`
}

// ExternalVolume is a volume some provider attaches to the host.
type ExternalVolume struct {
	Name     string            `json:"name"`
	Provider string            `json:"provider"`
	Size     *int              `json:"size,omitempty"`
	Options  map[string]string `json:"options,omitempty"`
}

// Network is one network the task joins.
type Network struct {
	Mode   NetworkMode `json:"mode"`
	Name   string      `json:"name,omitempty"`
	Labels Labels      `json:"labels,omitempty"`
}

// NetworkMode is how a task sees the network.
type NetworkMode string

// The three network modes.
const (
	NetworkHost      NetworkMode = "host"
	NetworkBridge    NetworkMode = "container/bridge"
	NetworkContainer NetworkMode = "container"
)

// PortDefinition is a port of a task on the host network.
type PortDefinition struct {
	Port     int    `json:"port"` // the service port; also the host port when requirePorts
	Protocol string `json:"protocol"`
	Name     string `json:"name,omitempty"`
	Labels   Labels `json:"labels"`
}

func (c *Container) clone() *Container {
	if c == nil {
		return nil
	}
	out := *c
	if c.Docker != nil {
		docker := *c.Docker
		docker.Parameters = slices.Clone(docker.Parameters)
		docker.PullConfig, docker.Credential = clonePtr(docker.PullConfig), clonePtr(docker.Credential)
		out.Docker = &docker
	}
	out.LinuxInfo = c.LinuxInfo.clone()
	out.Volumes = slices.Clone(c.Volumes)
	for i := range out.Volumes {
		out.Volumes[i] = out.Volumes[i].clone()
	}
	out.PortMappings = slices.Clone(c.PortMappings)
	for i := range out.PortMappings {
		out.PortMappings[i].HostPort = clonePtr(out.PortMappings[i].HostPort)
		out.PortMappings[i].Labels = maps.Clone(out.PortMappings[i].Labels)
		out.PortMappings[i].NetworkNames = slices.Clone(out.PortMappings[i].NetworkNames)
	}
	return &out
}

func (v Volume) clone() Volume {
	if v.Persistent != nil {
		p := *v.Persistent
		p.MaxSize = clonePtr(p.MaxSize)
		p.Constraints = slices.Clone(p.Constraints)
		for i, c := range p.Constraints {
			p.Constraints[i].Value = clonePtr(c.Value)
		}
		v.Persistent = &p
	}
	if v.External != nil {
		e := *v.External
		e.Size = clonePtr(e.Size)
		e.Options = maps.Clone(e.Options)
		v.External = &e
	}
	return v
}
