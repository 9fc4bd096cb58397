package agent_test

import (
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

func TestAReplicaLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		began, replica := time.Now(), b.followers()[0]
		if err := replica.leave(); err != nil {
			t.Errorf("the agent ends with %v", err)
		}
		if replica.see().process != postgres.ProcessNone || replica.see().state != postgres.StateShutDownInRecovery {
			t.Errorf("the server is %v, %s", replica.see().process, replica.see().state)
		}
		if m, _ := b.picture().Member(replica.name); m.State != cluster.StateStopped {
			t.Errorf("the member says it is %q", m.State)
		}
		time.Sleep(time.Minute)
		if b.leader() != leader || len(b.outages(began)) != 0 {
			t.Error("a replica that leaves disturbs the leader")
		}
		replica.start()
		b.await(5*time.Second, "it streams again", b.healthy)
	})
}

// The lead goes to whoever has received everything, at once.
func TestTheLeaderLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		b.write(7 * time.Millisecond)
		time.Sleep(5 * time.Second)
		began := time.Now()
		if err := leader.leave(); err != nil {
			t.Errorf("the agent ends with %v", err)
		}
		t.Logf("the agent ended after %v", time.Since(began))
		down := leader.see().shutdown()
		b.await(time.Second, "another member leads", b.ledByAnother(leader))
		outage := b.outage(began)
		t.Logf("writes were impossible for %v", outage)
		if outage > shutdownTime+promoteTime+60*time.Millisecond {
			t.Errorf("writes were impossible for %v", outage)
		}
		if h := b.leader().see().line; h.fork < down.End {
			t.Errorf("the new leader had received WAL up to %v, the last one ended at %v", h.fork, down.End)
		}
		if m, _ := b.picture().Member(leader.name); m.State != cluster.StateStopped {
			t.Errorf("the member says it is %q", m.State)
		}
		leader.start()
		b.await(5*time.Second, "it streams", b.healthy)
		if b.count().rewinds != 0 {
			t.Errorf("%d rewinds after an orderly end", b.count().rewinds)
		}
	})
}

// Without a successor the key is given up all the same, and the last position kept.
func TestTheLastMemberLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.start("n1")
		b.write(7 * time.Millisecond)
		time.Sleep(5 * time.Second)
		began := time.Now()
		if err := n1.leave(); err != nil {
			t.Errorf("the agent ends with %v", err)
		}
		t.Logf("the agent ended after %v", time.Since(began))
		if holder, there := b.value("leader"); there {
			t.Errorf("the leader key is still %q's", holder)
		}
		if down := n1.see().shutdown(); b.picture().Status.Optime != down.Checkpoint {
			t.Errorf("the status key says %v, the server stopped at %v", b.picture().Status.Optime, down.Checkpoint)
		}
		n1.start()
		took := b.await(5*time.Second, "it leads again", b.healthy)
		t.Logf("it leads again %v after its start", took)
	})
}

// A standby that lags too far behind whoever left does not lead.
func TestALaggingStandbyDoesNotSucceed(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		replica := b.followers()[0]
		replica.isolate()
		time.Sleep(2 * ttl)
		b.change(func() { leader.server.end += 2 << 20 })
		time.Sleep(15 * time.Second)
		if err := leader.leave(); err != nil {
			t.Error(err)
		}
		replica.heal()
		time.Sleep(2 * time.Minute)
		if b.count().promotions != 0 {
			t.Fatal("the lagging standby was promoted")
		}
		end := leader.see().end
		leader.start()
		b.await(10*time.Second, "one leader, and the other streams", b.healthy)
		if b.leader().see().end < end {
			t.Errorf("writes up to %v are lost, the cluster is at %v", end, b.leader().see().end)
		}
	})
}

// All agents are told to end at once, as when everything is shut down: no write is lost, and it comes up again.
func TestEverybodyLeavesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		b.write(7 * time.Millisecond)
		for range 5 {
			time.Sleep(5 * time.Second)
			end, began := b.leader().see().end, time.Now()
			for _, h := range b.all() {
				h.life.leave()
			}
			for _, h := range b.all() {
				<-h.life.done
			}
			t.Logf("all ended after %v", time.Since(began))
			for _, h := range b.all() {
				h.start()
			}
			b.await(15*time.Second, "one leader, all others streaming", b.healthy)
			if b.leader().see().end < end {
				t.Errorf("writes up to %v are lost, the cluster is at %v", end, b.leader().see().end)
			}
		}
	})
}

// An agent that is told to end while the DCS is away ends all the same.
func TestLeavingWithoutTheDCS(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		for _, h := range b.all() {
			h.cutDCS()
			began := time.Now()
			if err := h.leave(); err != nil {
				t.Errorf("the agent of %s ends with %v", h.name, err)
			}
			t.Logf("%s (leader %v) ended after %v", h.name, h == leader, time.Since(began))
			if h.see().process != postgres.ProcessNone {
				t.Errorf("the server of %s still runs", h.name)
			}
		}
	})
}

// An agent is told to end in the middle of whatever it does: it ends soon, and nothing is broken.
func TestLeavingInTheMiddleOfSomething(t *testing.T) {
	for at := 20 * time.Millisecond; at < 1200*time.Millisecond; at += 90 * time.Millisecond {
		t.Run(at.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				for _, name := range []string{"n1", "n2", "n3"} {
					b.host(name).start()
				}
				time.Sleep(at)
				for _, h := range b.all() {
					h.life.leave()
				}
				began := time.Now()
				for _, h := range b.all() {
					if <-h.life.done; h.life.err != nil || time.Since(began) > 15*time.Second {
						t.Errorf("%s ended after %v with %v", h.name, time.Since(began), h.life.err)
					}
					h.start()
				}
				b.await(ttl+10*time.Second, "one leader, all others streaming", b.healthy)
			})
		})
	}
}
