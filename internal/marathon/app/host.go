package app

// HostStatus is a virtual host of a driver that has such hosts.
type HostStatus struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	State   string   `json:"state"` // running or stopped
	CPUs    Usage    `json:"cpus"`
	Mem     Usage    `json:"mem"`  // MiB
	Disk    Usage    `json:"disk"` // MiB
	Tasks   []TaskID `json:"tasks"`
	// Draining is why the host is taken out of use, one sentence; empty when it is not.
	Draining string `json:"draining,omitempty"`
}

// Usage is how much there is of a resource and how much of it tasks hold.
type Usage struct {
	Total float64 `json:"total"`
	Used  float64 `json:"used"`
}
