package agent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func TestThreeEmptyMembersBecomeACluster(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		t.Logf("three empty members are a leader and two streaming replicas after %v", b.since())
		if b.count().bootstraps != 1 || b.count().promotions != 0 {
			t.Errorf("%d bootstraps and %d promotions, want one and none", b.count().bootstraps, b.count().promotions)
		}
		time.Sleep(20 * time.Second)
		for key, want := range map[string]string{
			"initialize": string(leader.see().id),
			"config":     `{"loop_wait":10,"retry_timeout":10,"ttl":30}`,
			"leader":     leader.name,
			"history":    `[]`,
			"status":     `{"optime":22020096,"slots":{"n1":22020096,"n2":22020096,"n3":22020096},"retain_slots":["n1","n2","n3"]}`,
			"members/" + leader.name: `{"conn_url":"postgres://` + leader.name + `:5432/postgres","api_url":"http://` + leader.name +
				`:8008/patroni","state":"running","role":"primary","version":"4.1.0","xlog_location":22020096,"timeline":1}`,
			"members/" + b.followers()[0].name: `{"conn_url":"postgres://` + b.followers()[0].name + `:5432/postgres","api_url":"http://` +
				b.followers()[0].name + `:8008/patroni","state":"running","role":"replica","version":"4.1.0","xlog_location":22020096,` +
				`"replay_lsn":22020096,"receive_lsn":22020096,"replication_state":"streaming","timeline":1}`,
		} {
			if got, _ := b.value(key); got != want {
				t.Errorf("%s is %s, want %s", key, got, want)
			}
		}
		if c := b.picture(); c.Initialize.Lease != 0 || c.Leader.Lease == 0 || len(c.Members) != 3 {
			t.Errorf("initialize is bound to lease %d, leader to %d, %d members", c.Initialize.Lease, c.Leader.Lease, len(c.Members))
		}
	})
}

func TestOnlyOneBootstrapsWhateverAnswerIsLost(t *testing.T) {
	for _, key := range []string{"initialize", "leader", "config", "history", "status", "members/n1"} {
		t.Run(strings.ReplaceAll(key, "/", " "), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				for _, name := range []string{"n1", "n2", "n3"} {
					b.host(name).start().dcs.LoseNextAnswer(base + key)
				}
				b.await(20*time.Second, "one leader, all others streaming", b.healthy)
				if b.count().bootstraps != 1 {
					t.Errorf("%d bootstraps", b.count().bootstraps)
				}
			})
		})
	}
}

// The right to bootstrap is bound to a lease: it ends with whoever has it.
func TestTheBootstrapperDies(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.host("n1")
		n1.start()
		time.Sleep(initdbTime / 2)
		b.host("n2").start()
		n1.lose()
		took := b.await(32*time.Second, "n2 leads", b.ledByAnother(n1))
		if took < 29*time.Second {
			t.Errorf("n2 bootstrapped after %v, before the lease of n1 could end", took)
		}
		n1.start()
		b.await(10*time.Second, "n1 streams from n2", b.healthy)
	})
}

// The member that bootstraps is cut off until another one has: its own data go aside, they are not deleted.
func TestTheBootstrapperIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.host("n1")
		n1.start()
		time.Sleep(initdbTime / 2)
		n1.isolate()
		b.host("n2").start()
		b.await(32*time.Second, "n2 leads", b.ledByAnother(n1))
		n1.heal()
		b.await(30*time.Second, "n1 streams from n2", b.healthy)
		if len(n1.see().kept) != 1 {
			t.Errorf("n1 kept %v, want its own data", n1.see().kept)
		}
	})
}

func TestAFailedBootstrapIsAnotherMembersTurn(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.host("n1")
		n1.server.unstarting = true
		l := n1.start()
		<-l.done
		if l.err == nil || !strings.Contains(l.err.Error(), "bootstrap failed") {
			t.Errorf("the agent ends with %v", l.err)
		}
		if _, there := b.value("initialize"); there {
			t.Error("the initialize key is still there")
		}
		n2 := b.host("n2")
		n2.start()
		b.await(2*time.Second, "n2 leads", func() bool { return b.leader() == n2 })
	})
}

func TestASecondAgentOfTheSameNameRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		first := b.start("n1")
		second := b.host("n2")
		second.member = "n1"
		l := second.start()
		<-l.done
		want := "a member named n1 runs already at http://n1:8008/patroni: give this one another name"
		if l.err == nil || l.err.Error() != want {
			t.Errorf("the second agent ends with %v, want %s", l.err, want)
		}
		time.Sleep(time.Minute)
		if b.leader() != first || b.count().bootstraps != 1 {
			t.Error("the second agent disturbed the first")
		}
	})
}

// A cluster whose documents were wiped writes them anew, from what its leader knows.
func TestTheDocumentsAreWiped(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.put("config", `{"loop_wait":10,"maximum_lag_on_failover":5,"retry_timeout":10,"ttl":30}`)
		time.Sleep(20 * time.Second)
		var before [3]string
		keys := [3]string{"initialize", "config", "history"}
		for i, key := range keys {
			before[i], _ = b.value(key)
		}
		for range 5 {
			b.wipe()
			b.await(15*time.Second, "one leader, all others streaming", b.healthy)
		}
		var after [3]string
		for i, key := range keys {
			after[i], _ = b.value(key)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%v (-before +after):\n%s", keys, diff)
		}
		if b.leader() != leader || b.count().promotions != 0 {
			t.Errorf("%s leads, want %s: nothing happened to its server", b.leader().name, leader.name)
		}
	})
}

func TestANewTTLTakesEffect(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		for _, config := range []string{`{"ttl":20,"loop_wait":5,"retry_timeout":5}`, `{"ttl":60,"loop_wait":5,"retry_timeout":5}`} {
			b.put("config", config)
			want := cluster.ParseConfig(config).Settings().TTL
			b.await(time.Second, "the new ttl is everybody's", func() bool {
				for _, h := range b.all() {
					if h.snapshot().Settings.TTL != want || time.Until(h.life.lease()) > want {
						return false
					}
				}
				return b.picture().Leader.Lease != 0 && leader.snapshot().Leading
			})
			time.Sleep(2 * time.Minute)
			if b.leader() != leader || b.count().promotions != 0 || !b.healthy() {
				t.Fatalf("the leader changed with the ttl:\n%s", b.describe())
			}
		}
		began := time.Now()
		leader.lose()
		took := b.await(63*time.Second, "another member leads", b.ledByAnother(leader))
		if took < 50*time.Second {
			t.Errorf("another member led %v after the leader was lost at %v, which is before the lease of 60 s ended", took, began)
		}
	})
}
