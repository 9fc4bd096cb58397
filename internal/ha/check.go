package ha

import (
	"fmt"
	"slices"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// RefusalError is why a request of an operator cannot be granted.
type RefusalError struct {
	// Malformed is true when the request makes no sense whatever the cluster does; otherwise it is only
	// not possible now.
	Malformed bool
	Text      string
}

// Error implements error.
func (r *RefusalError) Error() string { return r.Text }

func malformed(text string) error { return &RefusalError{Malformed: true, Text: text} }

func impossible(format string, args ...any) error {
	return &RefusalError{Text: fmt.Sprintf(format, args...)}
}

// CheckManual says whether a switchover or failover may be asked for, as kind names it. It is the same check
// for everybody who asks; the leader decides again, on what it sees then. In pause nothing is scheduled, and nobody is
// chosen by itself. The texts are part of the REST API that Patroni's clients read.
func CheckManual(kind string, f cluster.Failover, c cluster.Cluster) error {
	paused := c.Config.Settings().Pause
	switch {
	case kind == "failover" && f.Candidate == "":
		return malformed("Failover could be performed only to a specific candidate")
	case kind == "switchover" && f.Leader == "":
		return malformed("Switchover could be performed only from a specific leader")
	case kind == "failover" && f.ScheduledAt != "":
		return malformed("Failover can't be scheduled")
	case paused && f.ScheduledAt != "":
		return malformed("Can't schedule switchover in the paused state")
	case paused && f.Candidate == "":
		return malformed("Switchover is possible only to a specific candidate in a paused state")
	case f.Leader != "" && f.Leader == f.Candidate:
		return malformed("Switchover target and source are the same")
	case f.ScheduledAt != "":
		return nil
	case f.Leader != "" && f.Leader != c.Leader.Name:
		return impossible("leader name does not match")
	}
	if f.Candidate == "" {
		return checkAny(kind, f, c)
	}
	return checkNamed(f, c)
}

// checkNamed says whether a request can go to the member that it names.
func checkNamed(f cluster.Failover, c cluster.Cluster) error {
	if !syncAllows(f, c, f.Candidate) {
		return impossible("candidate name does not match with sync_standby")
	}
	if _, known := c.Member(f.Candidate); !known || f.Candidate == c.Leader.Name {
		return impossible("candidate does not exists")
	}
	return nil
}

// checkAny says whether there is a member at all to which a request can go.
func checkAny(kind string, f cluster.Failover, c cluster.Cluster) error {
	others := c.Others(c.Leader.Name)
	if slices.ContainsFunc(others, func(m cluster.Member) bool { return syncAllows(f, c, m.Name) }) {
		return nil
	}
	if onlySync(f, c) {
		return impossible("%s is not possible: can not find sync_standby", kind)
	}
	return impossible("%s is not possible: cluster does not have members except leader", kind)
}

// onlySync reports whether a request can go to a synchronous standby only: a switchover loses no write. A failover to a
// member that is named, with no leader to ask for it, is an operator's own decision. In quorum mode the race decides.
func onlySync(f cluster.Failover, c cluster.Cluster) bool {
	return f.Leader != "" && c.Config.Settings().Sync() == cluster.SyncOn
}

// syncAllows reports whether a request can go to a member as far as synchronous mode is concerned.
func syncAllows(f cluster.Failover, c cluster.Cluster, name string) bool {
	return !onlySync(f, c) || c.Sync.Names(name)
}

// Candidates are the members that a switchover or failover could go to.
func Candidates(f cluster.Failover, c cluster.Cluster) []string {
	names := candidates(View{Self: Self{Name: c.Leader.Name}, Cluster: c}, f.Candidate)
	return slices.DeleteFunc(names, func(name string) bool { return !syncAllows(f, c, name) })
}

// CheckCandidates says whether any of the asked candidates could lead.
func CheckCandidates(kind string, names []string, peers map[string]Peer, s cluster.Settings, c cluster.Cluster) error {
	v := View{Settings: s, Cluster: c, Peers: peers}
	if ready, _ := readyPeers(v, names, c.Status.Optime); len(ready) == 0 {
		return impossible("%s is not possible: no good candidates have been found", kind)
	}
	return nil
}

// CheckReinitialize says whether this member may be asked to reinitialize.
func CheckReinitialize(name string, c cluster.Cluster) error {
	switch c.Leader.Name {
	case "":
		return impossible("Cluster has no leader, can not reinitialize")
	case name:
		return impossible("I am the leader, can not reinitialize")
	}
	return nil
}
