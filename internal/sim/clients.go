package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// clients write through a router that follows the leader key, and some of them to any server that takes it.
type clients struct {
	w *world
	// target is where the router sends writes.
	target *member
	// unanswered is since when no write was taken.
	unanswered int64
	longest    int64
}

func (c *clients) begin() { c.w.at(int64(c.w.setup.Write), c.write) }

// routes lets the router see the leader key, if it can, a moment later.
func (w *world) routes() {
	if w.store.down > 0 || !w.net.passes(storeNode, clientNode) {
		return
	}
	w.at(w.now+w.net.latency(storeNode, clientNode), func() { w.clients.target = w.member(w.store.now.Leader.Name) })
}

// write is one write to the leader, and now and then one to whoever takes it.
func (c *clients) write() {
	w := c.w
	every := int64(w.setup.Write)
	w.at(w.now+every/2+w.rng.Int64N(every), c.write)
	to := c.target
	if w.rng.IntN(8) == 0 {
		to = w.members[w.rng.IntN(len(w.members))]
	}
	if to != nil {
		c.send(to)
	}
}

// burst is some writes in a row, as there are around every fault of a busy cluster.
func (c *clients) burst() {
	for range 3 {
		if c.target != nil {
			c.send(c.target)
		}
	}
}

// send is one write. It counts as done when its answer reached the client.
func (c *clients) send(to *member) {
	w := c.w
	s := &to.server
	if !w.net.passes(clientNode, to.node) || !s.write() {
		c.longest = max(c.longest, w.now-c.unanswered)
		return
	}
	if s.waits {
		c.longest = max(c.longest, w.now-c.unanswered)
		s.waiters = append(s.waiters, waiter{at: s.end, until: w.now + int64(givesUp)})
		return
	}
	c.answered(s, s.end, guc.SyncNames{})
}

// answered is the answer to a write: it is done, and these standbys were to have it first.
func (c *clients) answered(s *server, at wal.LSN, names guc.SyncNames) {
	w := c.w
	c.unanswered = w.now
	if w.net.passes(s.host.node, clientNode) {
		s.line.ack(at)
		w.stats.Acked++
		w.acknowledged(s, at, names)
	}
}

// outage is the longest time without a write that was taken.
func (c *clients) outage() time.Duration { return time.Duration(c.longest) }
