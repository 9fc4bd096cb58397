package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs/dcstest"
)

// Whatever stands in the DCS is read as something, and what is written of it says the same when it is read again.
func FuzzDocuments(f *testing.F) {
	for _, seed := range dcstest.Hostile() {
		f.Add(seed)
	}
	f.Fuzz(readsBack)
}

func TestHugeDocuments(t *testing.T) {
	for _, value := range dcstest.Deep() {
		readsBack(t, value)
		cluster.ParseConfig(value).Settings()
	}
}

// readsBack reads a value as every kind of document.
func readsBack(t *testing.T, value string) {
	t.Helper()
	failover := cluster.ParseFailover(value)
	same(t, value, failover, cluster.ParseFailover(failover.JSON()))
	status := cluster.ParseStatus(value)
	same(t, value, status, cluster.ParseStatus(status.JSON()))
	sync := cluster.ParseSync(value)
	same(t, value, sync, cluster.ParseSync(sync.JSON()))
	if sync.Quorum < 0 {
		t.Fatalf("%q promises a quorum of %d", value, sync.Quorum)
	}
	if history := cluster.ParseHistory(value); history.Present {
		same(t, value, history, cluster.ParseHistory(history.JSON()))
	}
	cluster.ParseFailsafe(value)
	member := cluster.ParseMember("n1", value)
	same(t, value, member, cluster.ParseMember("n1", member.JSON()))
	ask(member)
}

// same fails where a document that was read, written and read again says something else. What is no UTF-8 cannot be
// written as it was.
func same(t *testing.T, value string, first, again any) {
	t.Helper()
	if strings.ToValidUTF8(value, "") != value {
		return
	}
	if diff := cmp.Diff(first, again, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%q, read and written and read again (-first +again):\n%s", value, diff)
	}
}

// ask asks a member's document everything that the product asks it.
func ask(m cluster.Member) {
	m.Endpoint()
	m.API("/restart")
	m.Running()
	m.Streaming()
	m.Tags.NoFailover()
	m.Tags.FailoverPriority()
	m.Tags.NoSync()
	m.Tags.SyncPriority()
	m.Tags.CloneFrom()
	m.Tags.NoStream()
	m.Tags.ReplicateFrom()
}

// Whatever the dynamic configuration says, an agent goes by times that fit together, and renews within its ttl.
func FuzzSettings(f *testing.F) {
	for _, seed := range dcstest.Hostile() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c := cluster.ParseConfig(value)
		s := c.Settings()
		s.Sync()
		if s.TTL < 20*time.Second || s.LoopWait < time.Second || s.LoopWait+2*s.RetryTimeout > s.TTL {
			t.Fatalf("%q: ttl %s, loop_wait %s, retry_timeout %s", value, s.TTL, s.LoopWait, s.RetryTimeout)
		}
		for _, span := range []time.Duration{s.PrimaryStartTimeout, s.PrimaryRaceBackoff, s.PrimaryStopTimeout, s.MemberSlotsTTL} {
			if now := time.Now(); span < 0 || now.Add(span).Before(now) {
				t.Fatalf("%q: a time of %s", value, span)
			}
		}
		if s.SynchronousNodes < 1 || s.MaxTimelinesHistory < 0 {
			t.Fatalf("%q: %d synchronous standbys, %d lines of history", value, s.SynchronousNodes, s.MaxTimelinesHistory)
		}
		again := cluster.ParseConfig(c.JSON())
		if c.Data != nil && !cluster.SameConfig(c.Data, again.Data) {
			t.Fatalf("%q is written as %s", value, c.JSON())
		}
		cluster.Patch(c.Data, again.Data)
	})
}
