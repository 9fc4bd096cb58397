package agent

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// keptChanges is how many changes are kept in memory.
const keptChanges = 1000

// record is the last decision and what led to it. It is put into words only when somebody asks.
type record struct {
	mem      ha.Memory
	view     ha.View
	decision ha.Decision
	outcomes []ha.Outcome
}

// changes are the last decisions that differed from the one before them, oldest first.
type changes struct {
	mu   sync.Mutex
	kept []ha.Change
}

// add keeps a decision if it differs from the last one. A member that goes back and forth between two, as one that asks
// the others again and again, is kept as those two with a count, so that a long wait does not push everything else out.
func (c *changes) add(d ha.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.kept); n > 0 && same(c.kept[n-1], d) {
		return
	}
	c.kept = append(c.kept, d)
	if n := len(c.kept); n >= 4 && same(c.kept[n-1], c.kept[n-3]) && same(c.kept[n-2], c.kept[n-4]) {
		for i := n - 4; i < n-2; i++ {
			c.kept[i].Times += c.kept[i+2].Times
			c.kept[i].Last = c.kept[i+2].Last
		}
		c.kept = c.kept[:n-2]
	}
	if len(c.kept) > keptChanges {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
}

func same(a, b ha.Change) bool { return a.Why == b.Why && slices.Equal(a.Actions, b.Actions) }

// all are the changes kept.
func (c *changes) all() []ha.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.kept)
}

// explain keeps a decision and logs it, both when it differs from the last one: one line per change, not per tick.
func (a *Agent) explain(ctx context.Context, v ha.View, d ha.Decision) {
	a.changes.add(ha.ChangeOf(v, d))
	if d.Doubt != "" && d.Doubt != a.doubt {
		a.log.WarnContext(ctx, "the cluster has to be put right", slog.String("why", d.Doubt))
		a.doubt = d.Doubt
	}
	level := slog.LevelDebug
	if d.Why != a.snapshot.Load().Reason {
		level = slog.LevelInfo
	}
	var actions []string
	for _, action := range d.Do {
		actions = append(actions, action.String())
	}
	//nolint:sloglint // the decision's own sentence is the message
	a.log.Log(ctx, level, d.Why, slog.Any("action", actions), slog.String("rule", d.Rule))
}

// Explanation is the last decision in words. The bool is false before the first one.
func (a *Agent) Explanation() (ha.Explanation, bool) {
	r := a.last.Load()
	if r == nil {
		return ha.Explanation{}, false
	}
	return ha.Explain(r.mem, r.view, r.decision, r.outcomes), true
}

// Changes are the last decisions that differed from the one before them, oldest first.
func (a *Agent) Changes() []ha.Change { return a.changes.all() }
