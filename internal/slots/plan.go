package slots

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Plan is what is to be done about the slots of a server.
type Plan struct {
	// Steps are in the order in which they are to be done. One that fails does not keep the others from being done.
	Steps []Step
	// Copy names the logical slots that a standby lacks and that its leader has: copying them takes a restart.
	Copy []string
	// AskLeader says that there would be more to tell if View.Leader were known.
	AskLeader bool
	// Unsafe names the logical slots of a standby whose consumers could miss rows, were it promoted now. Of a primary that
	// was promoted since the last look it names those that were so.
	Unsafe []string
	// Notes say what somebody should know: slots in the way, or in use though nobody wants them. They stand as long as
	// that is so.
	Notes []string
}

// Next compares the wanted slots with the existing ones. It never changes its arguments.
func Next(m Memory, v View) (Memory, Plan) {
	if !v.Settings.UseSlots {
		return Memory{}, Plan{}
	}
	want := wanted(v)
	p := planner{View: v, wishes: want}
	for _, e := range v.Existing {
		p.judge(e)
	}
	for _, w := range want.sorted() {
		p.fulfil(w)
	}
	m, p.unsafe = p.readiness(m)
	return m, Plan{
		Steps: slices.Concat(p.drops, p.creates, p.advances), Copy: p.copies, AskLeader: p.ask || v.Leader == nil && p.unready(),
		Unsafe: p.unsafe, Notes: p.notes,
	}
}

// planner collects the steps by their kind, for slots that go make room for those that come.
type planner struct {
	View
	*wishes
	drops, creates, advances []Step
	copies, unsafe           []string
	ask                      bool
	// gone are the existing slots that are dropped.
	gone []string
}

// judge decides whether an existing slot goes.
func (p *planner) judge(e Existing) {
	why := p.reason(e)
	switch {
	case why == "":
	case e.Active:
		p.notes = append(p.notes, "the "+describe(e.Slot)+" is in use and not dropped: "+why)
	default:
		p.drops = append(p.drops, Drop{Name: e.Name, Why: why})
		p.gone = append(p.gone, e.Name)
	}
}

// fulfil creates a slot, moves it, or has it copied.
func (p *planner) fulfil(w wish) {
	e, exists := find(p.Existing, w.Name)
	exists = exists && !slices.Contains(p.gone, w.Name)
	switch {
	case exists && (!w.same(e) || !p.ours(e)):
		p.inTheWay(w, e)
	case exists:
		p.move(w, e)
	case !w.Logical() || p.Role == Primary:
		if w.Logical() && w.at != 0 {
			p.note("the " + describe(w.Slot) + " is not here and made anew: its consumer was at " + w.at.String() + " and misses what followed")
		}
		p.creates = append(p.creates, Create{Slot: plain(w.Slot)})
	default:
		p.copy(w)
	}
}

// plain is a slot without what only its wish says of it.
func plain(s cluster.Slot) cluster.Slot {
	s.ClusterType = ""
	return s
}

// ours reports whether a slot of the right kind is to be managed: PostgreSQL looks after some by itself.
func (p *planner) ours(e Existing) bool { return !e.Temporary && !e.Failover && !e.Synced }

// inTheWay says that a wanted slot cannot be had.
func (p *planner) inTheWay(w wish, e Existing) {
	if e.Failover || e.Synced || p.reason(e) != "" {
		return // PostgreSQL itself synchronizes it, or it was spoken of already
	}
	p.notes = append(p.notes, "the "+describe(w.Slot)+" is wanted, and another one has its name: "+kindOf(e.Slot))
}
