package agent

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// What a member agrees to and what it does itself exclude each other, in whatever order calls and ticks come: an
// agreement is known to every decision after which the member may lead, and nobody is agreed to between the moment it may
// lead and a fresh picture that shows that it does not.
func TestAgreementAndRaceExcludeEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f failsafe
		known, mayLead := true, false
		t.Repeat(map[string]func(*rapid.T){
			"a call": func(t *rapid.T) {
				if !f.agree("n2", time.Time{}.Add(time.Second)) {
					if !mayLead {
						t.Fatal("refused although this member cannot lead")
					}
					return
				}
				if mayLead {
					t.Fatal("agreed although this member may lead")
				}
				known = false
			},
			"a look": func(*rapid.T) {
				f.look()
				known = true
			},
			"an action that can lead": func(t *rapid.T) {
				if f.race() != known {
					t.Fatalf("the action is allowed: %v, although the decision knows of all agreements: %v", !known, known)
				}
				mayLead = mayLead || known
			},
			"the end of a tick": func(t *rapid.T) {
				v := anyPicture(t)
				f.settle(v)
				if v.Fresh && v.Cluster.Leader.Name != v.Self.Name && !v.Server.Primary() && !makesPrimary(v.Job.Job) {
					mayLead = false
				}
			},
		})
	})
}

func anyPicture(t *rapid.T) ha.View {
	v := ha.View{Fresh: rapid.Bool().Draw(t, "fresh"), Self: ha.Self{Name: "n1"}}
	v.Cluster.Leader = cluster.Leader{Name: rapid.SampledFrom([]string{"", "n1", "n2"}).Draw(t, "leader")}
	v.Server.Process = rapid.SampledFrom([]ha.Process{ha.Stopped, ha.Running}).Draw(t, "process")
	v.Server.InRecovery = rapid.Bool().Draw(t, "standby")
	v.Job.Kind = rapid.SampledFrom([]ha.JobKind{"", ha.JobPromote, ha.JobFollow}).Draw(t, "job")
	return v
}

// Everything that can make a member lead passes the gate, and nothing else: a renewal must never wait for one.
func TestWhatCanLead(t *testing.T) {
	leads := []ha.Action{
		ha.AcquireLeader{},
		ha.AdoptLeader{},
		ha.StartJob{Job: ha.Job{Kind: ha.JobPromote}},
		ha.StartJob{Job: ha.Job{Kind: ha.JobStart, Primary: true}},
		ha.StartJob{Job: ha.Job{Kind: ha.JobRestart, Primary: true}},
	}
	for _, action := range leads {
		if !canLead(action) {
			t.Errorf("%s passes no gate", action)
		}
	}
	for _, action := range []ha.Action{ha.RenewLease{}, ha.ReleaseLeader{}, ha.StartJob{Job: ha.Job{Kind: ha.JobStop}}, ha.AskFailsafe{}, ha.Exit{}} {
		if canLead(action) {
			t.Errorf("%s passes the gate", action)
		}
	}
}
