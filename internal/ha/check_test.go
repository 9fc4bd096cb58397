package ha

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// checked is a cluster led by n1 whose promise counts on n2, with n4 not to lead.
func checked(config string, voters ...string) cluster.Cluster {
	c := cluster.Cluster{
		Config: cluster.ParseConfig(config), Leader: cluster.Leader{Name: "n1"}, Sync: cluster.Sync{Leader: "n1", Voters: voters},
	}
	for _, name := range []string{"n1", "n2", "n3", "n4"} {
		m := cluster.Member{Name: name, APIURL: "http://" + name + ":8008/patroni", State: cluster.StateRunning}
		if name == "n4" {
			m.Tags = cluster.Tags{"nofailover": true}
		}
		c.Members = append(c.Members, m)
	}
	return c
}

func TestManualRequestsInSynchronousMode(t *testing.T) {
	const on, quorum = `{"synchronous_mode": true}`, `{"synchronous_mode": "quorum"}`
	const (
		noMatch   = "candidate name does not match with sync_standby"
		noSync    = "switchover is not possible: can not find sync_standby"
		nobody    = "candidate does not exists"
		alone     = "switchover is not possible: cluster does not have members except leader"
		notLeader = "leader name does not match"
	)
	lonely := checked(quorum)
	lonely.Members = lonely.Members[:1]
	lonelyOn := checked(on)
	lonelyOn.Members = lonelyOn.Members[:1]
	unmade := checked(on, "n2")
	unmade.Sync = cluster.Sync{}
	gone := checked(on, "n9")
	standby := checked(`{"synchronous_mode": true, "standby_cluster": {"host": "elsewhere"}}`)
	cases := []struct {
		name string
		kind string
		f    cluster.Failover
		c    cluster.Cluster
		want string // of the refusal
		to   string // the candidates
	}{
		{"to a sync standby", "switchover", cluster.Failover{Leader: "n1", Candidate: "n2"}, checked(on, "n2"), "", "n2"},
		{"its name in another case", "switchover", cluster.Failover{Leader: "n1", Candidate: "n2"}, checked(on, "N2"), "", "n2"},
		{"to an asynchronous member", "switchover", cluster.Failover{Leader: "n1", Candidate: "n3"}, checked(on, "n2"), noMatch, ""},
		{"to a stranger", "switchover", cluster.Failover{Leader: "n1", Candidate: "n9"}, checked(on, "n2"), noMatch, ""},
		{"to a voter that is gone", "switchover", cluster.Failover{Leader: "n1", Candidate: "n9"}, gone, nobody, ""},
		{"from another leader", "switchover", cluster.Failover{Leader: "n2", Candidate: "n3"}, checked(on, "n2"), notLeader, ""},
		{"to anybody", "switchover", cluster.Failover{Leader: "n1"}, checked(on, "n2", "n4"), "", "n2"},
		{"to anybody, nobody is synchronous", "switchover", cluster.Failover{Leader: "n1"}, checked(on), noSync, ""},
		{"to anybody, the synchronous one is gone", "switchover", cluster.Failover{Leader: "n1"}, gone, noSync, ""},
		{"to anybody, no promise yet", "switchover", cluster.Failover{Leader: "n1"}, unmade, noSync, ""},
		{"to anybody, alone", "switchover", cluster.Failover{Leader: "n1"}, lonelyOn, noSync, ""},
		{"failover to an asynchronous member", "failover", cluster.Failover{Candidate: "n3"}, checked(on, "n2"), "", "n3"},
		{"failover to a stranger", "failover", cluster.Failover{Candidate: "n9"}, checked(on, "n2"), nobody, ""},
		// A failover that names the leader is a switchover.
		{"failover from the leader", "failover", cluster.Failover{Leader: "n1", Candidate: "n3"}, checked(on, "n2"), noMatch, ""},
		// In quorum mode the race decides who may lead.
		{"quorum", "switchover", cluster.Failover{Leader: "n1", Candidate: "n3"}, checked(quorum, "n2"), "", "n3"},
		{"quorum, to anybody", "switchover", cluster.Failover{Leader: "n1"}, checked(quorum), "", "n2 n3"},
		{"quorum, alone", "switchover", cluster.Failover{Leader: "n1"}, lonely, alone, ""},
		{"off, an old promise", "switchover", cluster.Failover{Leader: "n1", Candidate: "n3"}, checked(`{}`, "n2"), "", "n3"},
		{"a standby cluster", "switchover", cluster.Failover{Leader: "n1"}, standby, "", "n2 n3"},
		// What is scheduled is checked when its time has come.
		{"scheduled", "switchover", cluster.Failover{Leader: "n1", Candidate: "n3", ScheduledAt: "2100-01-01T00:00:00Z"}, checked(on, "n2"), "", ""},
	}
	for _, c := range cases {
		err := CheckManual(c.kind, c.f, c.c)
		r, refused := errors.AsType[*RefusalError](err)
		if refused != (c.want != "") || refused && (r.Malformed || r.Text != c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if got := strings.Join(Candidates(c.f, c.c), " "); got != c.to {
			t.Errorf("%s: candidates %q, want %q", c.name, got, c.to)
		}
	}
}

// Whatever the mode, requests that make no sense are refused first, and with the same words.
func TestMalformedManualRequests(t *testing.T) {
	cases := []struct {
		kind   string
		f      cluster.Failover
		config string
		want   string
	}{
		{"failover", cluster.Failover{}, `{}`, "Failover could be performed only to a specific candidate"},
		{"switchover", cluster.Failover{Candidate: "n3"}, `{"synchronous_mode": true}`, "Switchover could be performed only from a specific leader"},
		{"switchover", cluster.Failover{Leader: "n1", Candidate: "n1"}, `{"synchronous_mode": true}`, "Switchover target and source are the same"},
		{"switchover", cluster.Failover{Leader: "n1"}, `{"pause": true, "synchronous_mode": true}`, "Switchover is possible only to a specific candidate in a paused state"},
	}
	for _, c := range cases {
		err := CheckManual(c.kind, c.f, checked(c.config))
		if diff := cmp.Diff(error(&RefusalError{Malformed: true, Text: c.want}), err); diff != "" {
			t.Error(diff)
		}
	}
}
