package cluster

import "testing"

// synchronous is a cluster led by n1 whose promise counts on n2 and n4.
func synchronous(config string) Cluster {
	return Cluster{
		Config: ParseConfig(config), Leader: Leader{Name: "n1"}, Sync: Sync{Leader: "n1", Voters: []string{"N2", "n4"}},
		Members: []Member{
			{Name: "n1", Role: RolePrimary, State: StateRunning},
			{Name: "n2", Role: RoleReplica, State: StateRunning, ReplicationState: ReplicationStreaming},
			{Name: "n3", Role: RoleReplica, State: StateRunning, ReplicationState: ReplicationArchive},
			{Name: "n4", Role: RoleReplica, State: StateStopped},
		},
	}
}

func TestRolesAsOperatorsSeeThem(t *testing.T) {
	const on, quorum = `{"synchronous_mode": true}`, `{"synchronous_mode": "quorum"}`
	led := synchronous(on)
	led.Leader.Name = "n2" // it has not rewritten the promise yet
	unmade := synchronous(on)
	unmade.Sync.Leader = ""
	vacant := synchronous(on)
	vacant.Leader.Name = ""
	standby := synchronous(`{"synchronous_mode": true, "standby_cluster": {"host": "elsewhere"}}`)
	standby.Members[0].Role = RoleStandbyLeader
	cases := []struct {
		name string
		c    Cluster
		want [4]string
	}{
		{"off", synchronous(`{}`), [4]string{"leader", "replica", "replica", "replica"}},
		{"on", synchronous(on), [4]string{"leader", "sync_standby", "replica", "sync_standby"}},
		{"quorum", synchronous(quorum), [4]string{"leader", "quorum_standby", "replica", "quorum_standby"}},
		{"a voter leads", led, [4]string{"replica", "leader", "replica", "sync_standby"}},
		{"nobody leads", vacant, [4]string{"replica", "sync_standby", "replica", "sync_standby"}},
		{"no promise", unmade, [4]string{"leader", "replica", "replica", "replica"}},
		{"no configuration", synchronous(`nonsense`), [4]string{"leader", "replica", "replica", "replica"}},
		{"standby cluster", standby, [4]string{"standby_leader", "replica", "replica", "replica"}},
	}
	for _, c := range cases {
		for i, m := range c.c.Members {
			if got := c.c.RoleOf(m); got != c.want[i] {
				t.Errorf("%s: %s is %s, want %s", c.name, m.Name, got, c.want[i])
			}
		}
	}
}

func TestStatesAsOperatorsSeeThem(t *testing.T) {
	c := synchronous(`{"synchronous_mode": true}`)
	c.Members[0].ReplicationState = ReplicationStreaming // from its last life
	for i, want := range []string{"running", "streaming", "in archive recovery", "stopped"} {
		if got := c.StateOf(c.Members[i]); got != want {
			t.Errorf("%s: %s, want %s", c.Members[i].Name, got, want)
		}
	}
	c.Members[0].Role = RoleStandbyLeader
	if got := c.StateOf(c.Members[0]); got != "streaming" {
		t.Errorf("a standby leader: %s", got)
	}
}
