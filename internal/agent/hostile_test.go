package agent_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs/dcstest"
)

// Whatever anybody writes into the DCS, the leader goes on leading with its server running, and no agent ends. What asks for a
// switchover properly is left out, and so is the leader key.
func TestHostileDocumentsChangeNoLeader(t *testing.T) {
	for _, key := range []string{"config", "failover", "sync", "status", "history", "failsafe", "members/n1", "members/n2", "members/n9", "optime/leader"} {
		t.Run(key, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				sound, existed := b.value(key)
				for _, value := range slices.Concat(dcstest.Hostile(), dcstest.Deep()) {
					if asked := cluster.ParseFailover(value); key == "failover" && asked.Leader == leader.name && asked.ScheduledAt == "" {
						continue
					}
					b.put(key, value)
					time.Sleep(12 * time.Second)
					for _, h := range b.all() {
						if h.life.dead() {
							t.Fatalf("%s = %.80q ended the agent of %s", key, value, h.name)
						}
					}
					if now := b.leader(); now != leader {
						t.Fatalf("%s = %.80q took the lead from %s: %s", key, value, leader.name, b.describe())
					}
				}
				if b.remove(key); existed {
					b.put(key, sound)
				}
				b.await(time.Minute, "the cluster is healthy again", b.healthy)
			})
		})
	}
}
