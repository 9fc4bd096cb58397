package ctl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// synchronous is the picture of a cluster in a synchronous mode whose promise counts on the voters. Its third member is a
// replica like the second.
func synchronous(api string, mode any, voters ...string) cluster.Cluster {
	c := picture(api)
	c.Config.Data = map[string]any{"synchronous_mode": mode}
	c.Sync = cluster.Sync{Leader: "patroni-node1", Voters: voters}
	third := c.Members[1]
	third.Name, third.ConnURL = "patroni-node3", "postgres://127.0.0.13:5432/postgres"
	c.Members[2] = third
	return c
}

const listedSync = `+ Cluster: postgresql-cluster (7000000000000000001) ----+----+-------------+-----+------------+-----+
| Member        | Host       | Role         | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+---------------+------------+--------------+-----------+----+-------------+-----+------------+-----+
| patroni-node1 | 127.0.0.11 | Leader       | running   |  1 |             |     |            |     |
| patroni-node2 | 127.0.0.12 | Sync Standby | streaming |  1 |   0/5000000 |   0 |  0/3000060 |  32 |
| patroni-node3 | 127.0.0.13 | Replica      | streaming |  1 |   0/5000000 |   0 |  0/3000060 |  32 |
+---------------+------------+--------------+-----------+----+-------------+-----+------------+-----+
`

const listedQuorum = `+ Cluster: postgresql-cluster (7000000000000000001) ------+----+-------------+-----+------------+-----+
| Member        | Host       | Role           | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+---------------+------------+----------------+-----------+----+-------------+-----+------------+-----+
| patroni-node1 | 127.0.0.11 | Leader         | running   |  1 |             |     |            |     |
| patroni-node2 | 127.0.0.12 | Quorum Standby | streaming |  1 |   0/5000000 |   0 |  0/3000060 |  32 |
| patroni-node3 | 127.0.0.13 | Quorum Standby | streaming |  1 |   0/5000000 |   0 |  0/3000060 |  32 |
+---------------+------------+----------------+-----------+----+-------------+-----+------------+-----+
`

func TestListOfSynchronousStandbys(t *testing.T) {
	for want, c := range map[string]cluster.Cluster{
		listedSync:   synchronous("", true, "patroni-node2"),
		listedQuorum: synchronous("", "quorum", "patroni-node2", "patroni-node3"),
	} {
		out, err := run(t, c, "", "list")
		if diff := cmp.Diff(want, out); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	out, err := run(t, synchronous("", "on", "patroni-node2"), "", "list", "-f", "json")
	if err != nil || !strings.Contains(out, `"Role": "Sync Standby", "State": "streaming", "TL": 1, "Receive LSN": "0/5000000", "Receive Lag": 0, "Replay LSN": "0/3000060", "Replay Lag": 32`) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSynchronousStandbysAreReplicas(t *testing.T) {
	names := ofRole(synchronous("", true, "patroni-node2"), "replica")
	if diff := cmp.Diff([]string{"patroni-node2", "patroni-node3"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestASwitchoverOffersMembersThatHaveEveryCommit(t *testing.T) {
	cases := []struct {
		name    string
		mode    any
		voters  []string
		command string
		want    string
	}{
		{"on", true, []string{"patroni-node2"}, "switchover", "Candidate ['patroni-node2'] []: "},
		{"quorum", "quorum", []string{"patroni-node2"}, "switchover", "Candidate ['patroni-node2', 'patroni-node3'] []: "},
		{"off", false, []string{"patroni-node2"}, "switchover", "Candidate ['patroni-node2', 'patroni-node3'] []: "},
		{"a failover", true, []string{"patroni-node2"}, "failover", "Candidate ['patroni-node2', 'patroni-node3'] []: "},
	}
	for _, c := range cases {
		out, _ := run(t, synchronous("", c.mode, c.voters...), "\n", c.command) // what comes after the question does not matter here
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: %s", c.name, out)
		}
	}
	_, err := run(t, synchronous("", true), "\n\n", "switchover")
	if err == nil || err.Error() != "No candidates found to switchover to" {
		t.Errorf("nobody is synchronous: %v", err)
	}
}

// Whoever names an asynchronous member for a switchover hears from the leader why that cannot be.
func TestTheLeaderRefusesAnAsynchronousCandidate(t *testing.T) {
	_, api := leaderAPI(t, 412, "candidate name does not match with sync_standby")
	out, err := run(t, synchronous(api, true, "patroni-node2"), "", "switchover", "--candidate", "patroni-node3", "--force")
	if err != nil || !strings.HasSuffix(out, "Switchover failed, details: 412, candidate name does not match with sync_standby\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAFailoverToAnAsynchronousMemberIsConfirmed(t *testing.T) {
	const warned = "Are you sure you want to failover to the asynchronous node patroni-node3? [y/N]: "
	const asked = "Are you sure you want to failover cluster postgresql-cluster, demoting current leader patroni-node1? [y/N]: "
	const sent = `POST /failover {"candidate":"patroni-node3"}`
	cases := []struct {
		name, input string
		mode        any
		candidate   string
		force       bool
		sent        string
		ends        string
	}{
		{"yes", "y\nyes\n", true, "patroni-node3", false, sent, warned + asked},
		{"no", "n\n", true, "patroni-node3", false, "", warned + "Error: Aborting failover\n"},
		{"yes, then no", "y\nn\n", true, "patroni-node3", false, "", warned + asked + "Error: Aborting failover\n"},
		{"quorum", "\n", "quorum", "patroni-node3", false, "", warned + "Error: Aborting failover\n"},
		{"a synchronous member", "\n", true, "patroni-node2", false, "", asked + "Error: Aborting failover\n"},
		{"off", "\n", false, "patroni-node3", false, "", asked + "Error: Aborting failover\n"},
		{"not asked", "", true, "patroni-node3", true, sent, ""},
	}
	for _, c := range cases {
		got, api := leaderAPI(t, 200, "done")
		args := []string{"failover", "--candidate", c.candidate}
		if c.force {
			args = append(args, "--force")
		}
		out, err := run(t, synchronous(api, c.mode, "patroni-node2"), c.input, args...)
		if err != nil {
			out += "Error: " + err.Error() + "\n"
		}
		if *got != c.sent || !strings.Contains(out, c.ends) || strings.Contains(out, "asynchronous") != strings.Contains(c.ends, "asynchronous") {
			t.Errorf("%s: %v, sent %q\n%s", c.name, err, *got, out)
		}
	}
}

func TestSitesSwitch(t *testing.T) {
	a := members(t, map[string]string{"PATCH /config": "409 changed meanwhile"})
	demote := []string{`node1 PATCH /config {"standby_cluster":{"host":"10.1.0.1,10.1.0.2","port":5433,"primary_slot_name":"site_b"}}`}
	a.typed(t, "", "demote-cluster --host 10.1.0.1,10.1.0.2 --port 5433 --primary-slot-name site_b --force", demote,
		"Current cluster topology\nFailed to demote postgresql-cluster cluster: 409, changed meanwhile\n")
	a.typed(t, "n\n", "demote-cluster --host 10.1.0.1", nil,
		"Current cluster topology\nAre you sure you want to demote postgresql-cluster cluster? [y/N]: Error: Aborted cluster demotion\n")
	a.typed(t, "", "demote-cluster --primary-slot-name site_b", nil, "Error: At least --host, --port or --restore-command should be specified\n")
	a.typed(t, "", "promote-cluster", nil, "Error: Cluster is already in the required state\n")
	a.c.Members[0].Role = cluster.RoleStandbyLeader
	a.typed(t, "", "promote-cluster --force", []string{`node1 PATCH /config {"standby_cluster":null}`},
		"Current cluster topology\nFailed to promote postgresql-cluster cluster: 409, changed meanwhile\n")
	a.typed(t, "", "demote-cluster --host 10.1.0.1", nil, "Error: Cluster is already in the required state\n")
	a.c.Leader = cluster.Leader{}
	a.typed(t, "", "promote-cluster", nil, "Error: Cluster has no leader, promotion is not possible\n")
}

// The leader of a standby cluster has another name when it is asked for.
func TestSwitchoverOfAStandbyCluster(t *testing.T) {
	a := members(t, map[string]string{"POST /switchover": "501 Server does not support this operation", "POST /failover": "503 Switchover status unknown"})
	a.c.Members[0].Role = cluster.RoleStandbyLeader
	a.typed(t, "\n\n\ny\n", "switchover", []string{
		`node1 POST /switchover {"candidate":"","leader":"patroni-node1"}`, `node1 POST /failover {"candidate":"","leader":"patroni-node1"}`,
	}, "Current cluster topology\nStandby Leader [patroni-node1]: Candidate ['patroni-node2'] []: "+
		"When should the switchover take place (e.g. 2026-01-02T04:04 )  [now]: "+
		"Are you sure you want to switchover cluster postgresql-cluster, demoting current leader patroni-node1? [y/N]: "+
		"Switchover result unknown, details: 503, Switchover status unknown\n")
}
