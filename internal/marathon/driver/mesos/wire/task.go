package wire

// TaskInfo is a task to be run.
type TaskInfo struct {
	Name        string         `json:"name"`
	TaskID      ID             `json:"task_id"`
	AgentID     ID             `json:"agent_id"`
	Resources   []Resource     `json:"resources"`
	Command     *Command       `json:"command,omitempty"`
	Container   *Container     `json:"container,omitempty"`
	HealthCheck *HealthCheck   `json:"health_check,omitempty"`
	Check       *Check         `json:"check,omitempty"`
	KillPolicy  *KillPolicy    `json:"kill_policy,omitempty"`
	Labels      *Labels        `json:"labels,omitempty"`
	Discovery   *DiscoveryInfo `json:"discovery,omitempty"`
	Limits      map[string]any `json:"limits,omitempty"` // cpus and mem, a number or "Infinity"
}

// Command is what a task runs. Shell with a value is handed to /bin/sh; no shell and no value is the image's own command.
type Command struct {
	Shell       bool         `json:"shell"`
	Value       string       `json:"value,omitempty"`
	Arguments   []string     `json:"arguments,omitempty"`
	User        string       `json:"user,omitempty"`
	Environment *Environment `json:"environment,omitempty"`
	URIs        []URI        `json:"uris,omitempty"`
}

// Environment is a list of variables.
type Environment struct {
	Variables []Variable `json:"variables"`
}

// Variable is one of them.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// URI is a file the agent fetches into the sandbox.
type URI struct {
	Value      string `json:"value"`
	Executable bool   `json:"executable,omitempty"`
	Extract    bool   `json:"extract"` // true where it is absent: it is always said
	Cache      bool   `json:"cache,omitempty"`
	OutputFile string `json:"output_file,omitempty"`
}

// Container says in which containerizer a task runs, and how.
type Container struct {
	Type         string        `json:"type"` // DOCKER or MESOS
	Docker       *Docker       `json:"docker,omitempty"`
	Mesos        *Mesos        `json:"mesos,omitempty"`
	Volumes      []Volume      `json:"volumes,omitempty"`
	NetworkInfos []NetworkInfo `json:"network_infos,omitempty"`
	LinuxInfo    *LinuxInfo    `json:"linux_info,omitempty"`
	TTYInfo      *struct{}     `json:"tty_info,omitempty"`
}

// Docker is a task in the docker containerizer.
type Docker struct {
	Image          string        `json:"image"`
	Network        string        `json:"network,omitempty"` // HOST, BRIDGE, NONE or USER
	PortMappings   []PortMapping `json:"port_mappings,omitempty"`
	Parameters     []Parameter   `json:"parameters,omitempty"`
	Privileged     bool          `json:"privileged,omitempty"`
	ForcePullImage bool          `json:"force_pull_image,omitempty"`
}

// Mesos is a task in Mesos' own containerizer.
type Mesos struct {
	Image *Image `json:"image,omitempty"`
}

// Image names an image for it.
type Image struct {
	Type   string       `json:"type"` // DOCKER
	Docker *DockerImage `json:"docker,omitempty"`
	Cached *bool        `json:"cached,omitempty"` // false: pulled anew
}

// DockerImage is the name of an image.
type DockerImage struct {
	Name string `json:"name"`
}

// PortMapping publishes a port of a container.
type PortMapping struct {
	HostPort      int    `json:"host_port"`
	ContainerPort int    `json:"container_port"`
	Protocol      string `json:"protocol,omitempty"`
}

// Parameter is an option of the docker command line.
type Parameter struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Volume is a folder of the host in a container.
type Volume struct {
	Mode          string `json:"mode"` // RW or RO
	ContainerPath string `json:"container_path"`
	HostPath      string `json:"host_path,omitempty"`
}

// NetworkInfo is a network of a container, or what it got there.
type NetworkInfo struct {
	Name         string        `json:"name,omitempty"`
	IPAddresses  []IPAddress   `json:"ip_addresses,omitempty"`
	PortMappings []PortMapping `json:"port_mappings,omitempty"`
	Labels       *Labels       `json:"labels,omitempty"`
}

// IPAddress is an address of a task.
type IPAddress struct {
	Protocol  string `json:"protocol,omitempty"`
	IPAddress string `json:"ip_address,omitempty"`
}

// LinuxInfo is what only Linux containers have.
type LinuxInfo struct {
	IPCMode string `json:"ipc_mode,omitempty"`
	ShmSize int    `json:"shm_size,omitempty"` // MiB
}

// HealthCheck is repeated by the executor, which kills the task when it fails too often.
type HealthCheck struct {
	Type                string     `json:"type"` // COMMAND, HTTP or TCP
	Command             *Command   `json:"command,omitempty"`
	HTTP                *HTTPProbe `json:"http,omitempty"`
	TCP                 *TCPProbe  `json:"tcp,omitempty"`
	DelaySeconds        float64    `json:"delay_seconds"`
	IntervalSeconds     float64    `json:"interval_seconds"`
	TimeoutSeconds      float64    `json:"timeout_seconds"`
	ConsecutiveFailures int        `json:"consecutive_failures"`
	GracePeriodSeconds  float64    `json:"grace_period_seconds"` // from TASK_RUNNING on
}

// Check is repeated by the executor and never kills.
type Check struct {
	Type            string     `json:"type"`
	Command         *CheckRun  `json:"command,omitempty"`
	HTTP            *HTTPProbe `json:"http,omitempty"`
	TCP             *TCPProbe  `json:"tcp,omitempty"`
	DelaySeconds    float64    `json:"delay_seconds,omitempty"`
	IntervalSeconds float64    `json:"interval_seconds,omitempty"`
	TimeoutSeconds  float64    `json:"timeout_seconds,omitempty"`
}

// CheckRun wraps the command of a check.
type CheckRun struct {
	Command Command `json:"command"`
}

// HTTPProbe and TCPProbe say where to ask.
type (
	// HTTPProbe asks for a page.
	HTTPProbe struct {
		Scheme   string `json:"scheme,omitempty"`
		Port     int    `json:"port"`
		Path     string `json:"path,omitempty"`
		Protocol string `json:"protocol,omitempty"` // IPV4 or IPV6
		Statuses []int  `json:"statuses,omitempty"` // that pass; 200 to 399 where there are none
	}
	// TCPProbe opens a connection.
	TCPProbe struct {
		Port int `json:"port"`
	}
)

// DiscoveryInfo is what service discovery gets to know.
type DiscoveryInfo struct {
	Visibility string          `json:"visibility"` // FRAMEWORK, CLUSTER or EXTERNAL
	Name       string          `json:"name,omitempty"`
	Ports      *DiscoveryPorts `json:"ports,omitempty"`
	Labels     *Labels         `json:"labels,omitempty"`
}

// DiscoveryPorts are the ports of a task.
type DiscoveryPorts struct {
	Ports []DiscoveryPort `json:"ports"`
}

// DiscoveryPort is one of them.
type DiscoveryPort struct {
	Number   int     `json:"number"`
	Name     string  `json:"name,omitempty"`
	Protocol string  `json:"protocol,omitempty"`
	Labels   *Labels `json:"labels,omitempty"`
}
