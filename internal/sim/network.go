package sim

import "time"

// The nodes of the network beside the members, which come first.
const (
	maxMembers = 5
	storeNode  = maxMembers
	clientNode = maxMembers + 1
	nodes      = maxMembers + 2
)

// network says who can talk to whom.
type network struct {
	w *world
	// shut counts, for each direction, the faults that lose its messages.
	shut [nodes][nodes]uint8
	// delay is what a slow node adds to each message.
	delay [nodes]time.Duration
}

// passes reports whether messages get from one node to another.
func (n *network) passes(from, to int) bool { return n.shut[from][to] == 0 }

// open reports whether two nodes can have a conversation.
func (n *network) open(a, b int) bool { return n.shut[a][b] == 0 && n.shut[b][a] == 0 }

// cut loses the messages of one direction, or with by -1 no longer.
func (n *network) cut(from, to int, by int) {
	n.shut[from][to] = uint8(int(n.shut[from][to]) + by) //nolint:gosec // a count of faults
}

// latency is how long one message takes now.
func (n *network) latency(a, b int) int64 {
	const least, most = 100 * time.Microsecond, 1500 * time.Microsecond
	d := least + time.Duration(n.w.rng.Int64N(int64(most)))
	if slow := n.delay[a] + n.delay[b]; slow > 0 {
		d += time.Duration(n.w.rng.Int64N(int64(slow)))
	}
	return int64(d)
}
