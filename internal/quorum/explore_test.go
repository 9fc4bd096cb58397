package quorum

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

var honest = rules{Next, Inherit}

// TestNoAcknowledgedCommitIsLost goes through every sequence of six events: whoever can win the leader key holds what was
// acknowledged. The members other than the first leader are told apart only by what they do; of standbys that are otherwise
// equal the rules choose the first by name.
func TestNoAcknowledgedCommitIsLost(t *testing.T) {
	for what, begin := range map[string][]world{
		"three members": append(begins(t, 3, cluster.SyncQuorum, 2), begins(t, 3, cluster.SyncOn, 1)[one:again]...),
		"five members":  begins(t, 5, cluster.SyncQuorum, 2)[all:again],
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			found := explore(begin, honest, 6)
			t.Logf("%d states, %.3g sequences of events", found.states, found.sequences)
			if found.loss != "" {
				t.Fatal(found.loss)
			}
		})
	}
}

// TestNoAcknowledgedCommitIsLostInLongHistories goes through some longer ones.
func TestNoAcknowledgedCommitIsLostInLongHistories(t *testing.T) {
	starts := append(begins(t, 5, cluster.SyncQuorum, 2), begins(t, 5, cluster.SyncOn, 1)...)
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom(starts).Draw(t, "begin")
		for range 60 {
			all := w.events(honest)
			e := all[max(0, rapid.IntRange(-len(all), len(all)-1).Draw(t, "event"))] // every other one is the agent's
			t.Log(e.what)
			if w = e.after; w.lost() != "" {
				t.Fatal(w.lost() + " can lead without an acknowledged commit: " + w.String())
			}
		}
	})
}

// Where the search sets out.
const (
	nothing = iota
	one
	all
	again
	changing
	lost
)

// begins are the states from which the search sets out: without standbys; at rest with one of them and with all; with a
// new agent; and in the midst of a change, whose answer has come, or was lost.
func begins(t *testing.T, members int, mode cluster.SyncMode, count int) []world {
	t.Helper()
	at := make([]world, lost+1)
	at[nothing] = world{mode: mode, count: count, told: true, open: true, members: make([]member, members)}
	at[one] = at[nothing].clone()
	at[one].come(1)
	at[one].rest(t)
	at[all] = at[one].clone()
	for i := range members {
		at[all].come(i)
	}
	at[changing] = at[all].clone()
	at[changing].step()
	at[changing].step()
	at[lost] = at[changing].clone()
	at[lost].told = false
	at[changing].step()
	at[all].rest(t)
	at[again] = at[all].clone()
	at[again].mem, at[again].told = Memory{}, false
	return at
}

// come has a standby come that holds everything.
func (w *world) come(i int) {
	if i != w.lead {
		w.members[i] = member{here: true, hold: w.at, sent: w.at, goes: w.names}
	}
}

func (w *world) step() Step {
	v := w.view()
	v.Settle = true
	mem, step := Next(w.mem, v)
	w.mem = mem
	w.carryOut(step)
	w.acknowledge()
	return step
}

// rest has the agent take its steps, and all standbys flush everything, until nothing is left to do.
func (w *world) rest(t *testing.T) {
	t.Helper()
	for range 30 {
		if w.step().Kind == Rest && w.mem.Settled() {
			return
		}
		for i := range w.members {
			w.members[w.lead].hold = w.at
			if w.members[i].here {
				w.send(i)
				w.members[i].hold = w.at
			}
		}
		w.acknowledge()
	}
	t.Fatal("no rest: " + w.String())
}

// findings are what a search has seen: how many states, and how many sequences of events it covers.
type findings struct {
	states    int
	sequences float64
	loss      string
}

// node is a state, and how the search first came to it.
type node struct {
	world
	parent *node
	what   string
	// next are the states that events lead to; of those after the last event only their number is known.
	next []*node
	last int
	// ways are how many sequences of that many events begin here.
	ways map[int]float64
}

// explore goes through every sequence of events, a level at a time and from each state once, until an acknowledged commit
// can be lost.
func explore(begin []world, r rules, depth int) findings {
	known := map[string]*node{}
	var level []*node
	for _, w := range begin {
		level = append(level, note(known, &node{world: w, what: "begin"})...)
	}
	roots := level
	for left := depth; left > 0; left-- {
		var next []*node
		for _, n := range level {
			for _, e := range n.events(r) {
				if who := e.after.lost(); who != "" {
					return findings{len(known), 0, n.trace(e, who)}
				}
				if n.last++; left > 1 {
					next = append(next, note(known, &node{world: e.after, parent: n, what: e.what})...)
				}
			}
			n.world = world{} // a search holds many
		}
		level = next
	}
	found := findings{states: len(known)}
	for _, n := range roots {
		found.sequences += n.count(depth)
	}
	return found
}

// note keeps a state, and returns it if it is new.
func note(known map[string]*node, n *node) []*node {
	key := n.key()
	old := known[key]
	if old == nil {
		known[key] = n
	}
	if n.parent != nil {
		n.parent.next = append(n.parent.next, known[key])
	}
	if old == nil {
		return []*node{n}
	}
	return nil
}

// count is the number of sequences of events that begin here.
func (n *node) count(length int) float64 {
	if length == 1 {
		return float64(n.last)
	}
	if _, done := n.ways[length]; !done {
		sum := 0.0
		for _, c := range n.next {
			sum += c.count(length - 1)
		}
		if n.ways == nil {
			n.ways = map[int]float64{}
		}
		n.ways[length] = sum
	}
	return n.ways[length]
}

func (n *node) trace(last event, who string) string {
	lines := []string{last.what, last.after.String()}
	for ; n != nil; n = n.parent {
		lines = append([]string{n.what}, lines...)
	}
	return who + " can lead without an acknowledged commit:\n\t" + strings.Join(lines, "\n\t")
}
