package slots

import "github.com/pgbaton/pgbaton/internal/wal"

// move brings a wanted slot to where it is used, as far as this server's WAL reaches.
func (p *planner) move(w wish, e Existing) {
	switch {
	case w.Logical():
		p.moveLogical(w, e)
	case w.use != streams && !e.Active && !e.pins() && e.Restart != 0:
		p.advance(w, e.Restart)
	}
}

// moveLogical is for standbys: on the primary the consumer moves its slot itself.
func (p *planner) moveLogical(w wish, e Existing) {
	switch {
	case p.Role == Primary, e.Active:
	case p.spoiled(w.Name):
		p.copy(w)
	default:
		p.advance(w, e.Confirmed)
	}
}

func (p *planner) advance(w wish, from wal.LSN) {
	if to := min(w.at, p.Position); to > from {
		p.advances = append(p.advances, Advance{Slot: plain(w.Slot), To: to})
	}
}

// copy has a logical slot copied from the leader, where that is of use: the WAL that the slot begins with must be here.
func (p *planner) copy(w wish) {
	leader := p.Cluster.Leader.Name
	if leader == "" || leader == p.Name || p.Cut || p.Settings.Pause || w.at == 0 {
		return
	}
	if p.Leader == nil {
		p.ask = true
		return
	}
	e, exists := find(p.Leader, w.Name)
	switch {
	case !exists || !w.same(e) || !p.ours(e) || e.Lost || e.Restart == 0:
		// It is not there any more, or not yet.
	case p.OldestWAL == 0:
	case e.Restart < p.OldestWAL:
		p.notes = append(p.notes, "the "+describe(w.Slot)+" is not copied from "+leader+" before its consumer has read on: this server has not all the WAL that is left to read")
	case e.Restart <= p.Position:
		p.copies = append(p.copies, w.Name)
	}
}
