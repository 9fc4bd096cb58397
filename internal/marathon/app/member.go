package app

// Cluster is a PostgreSQL app as `GET /pg/v1/clusters/{id}` shows it.
type Cluster struct {
	App     ID       `json:"app"`
	Paused  bool     `json:"paused"`
	Leader  string   `json:"leader,omitempty"` // name of the member that leads beyond doubt
	Doubt   string   `json:"doubt,omitempty"`  // why nobody does, one sentence
	Members []Member `json:"members"`
	// Gate is whether one member may be stopped now, and why not.
	Gate Verdict `json:"gate"`
}

// Member is one member of a PostgreSQL app: its instance, and what its agent says.
type Member struct {
	Name     string     `json:"name,omitempty"` // in the cluster; empty until its agent has answered once
	Instance InstanceID `json:"instance"`
	Task     TaskID     `json:"task,omitempty"`
	Host     string     `json:"host,omitempty"`
	State    TaskState  `json:"taskState,omitempty"`
	Role     string     `json:"role,omitempty"`
	Server   string     `json:"state,omitempty"` // of its server: running, starting, creating replica, …
	Timeline int        `json:"timeline,omitempty"`
	Lag      *int64     `json:"lag,omitempty"` // bytes behind the leader, nil when nobody knows
	Volume   string     `json:"volume,omitempty"`
	Address  string     `json:"address,omitempty"` // host:port of the server
	API      string     `json:"api,omitempty"`     // host:port of the agent
	// Gate is whether this member may be stopped now, and why not.
	Gate Verdict `json:"gate"`
}

// Verdict is the answer of the disruption gate.
type Verdict struct {
	Open bool   `json:"open"`
	Why  string `json:"why,omitempty"` // one sentence; empty when open
}
