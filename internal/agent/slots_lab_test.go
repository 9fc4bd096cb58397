package agent_test

import (
	"context"
	"maps"
	"slices"

	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// seenSlots are the slots of a server as they stand at this moment: one that a standby streams through moves with it.
func (s *server) seenSlots() []postgres.Slot {
	out := []postgres.Slot{}
	for _, name := range slices.Sorted(maps.Keys(s.slots)) {
		slot := s.slots[name]
		for _, x := range s.lab.servers() {
			if x.streaming && x.upstream == s.name && x.through == name {
				slot.Active, slot.Restart = true, x.end
			}
		}
		out = append(out, slot)
	}
	return out
}

func (s *server) slot(name string) (postgres.Slot, bool) {
	all := s.seenSlots()
	i := slices.IndexFunc(all, func(x postgres.Slot) bool { return x.Name == name })
	if i < 0 {
		return postgres.Slot{}, false
	}
	return all[i], true
}

func (s *server) putSlot(slot postgres.Slot) {
	if s.slots == nil {
		s.slots = map[string]postgres.Slot{}
	}
	s.slots[slot.Name] = slot
}

// Slots implements agent.Postgres.
func (l *life) Slots(ctx context.Context) (all []postgres.Slot, err error) {
	if l.host.see().slotless {
		select {
		case <-ctx.Done():
		case <-l.killed:
		}
		return nil, context.Cause(ctx)
	}
	err = l.told(ctx, func(s *server) error {
		all = s.seenSlots()
		return nil
	})
	return all, err
}

// SlotsOf implements agent.Postgres.
func (l *life) SlotsOf(ctx context.Context, up postgres.Upstream) (all []postgres.Slot, err error) {
	err = l.told(ctx, func(*server) error {
		u, err := l.reach(up)
		if err != nil {
			return err
		}
		if u.recovery {
			return postgres.ErrSourceUnreachable
		}
		all = u.seenSlots()
		return nil
	})
	return all, err
}

// OldestWAL implements agent.Postgres.
func (l *life) OldestWAL(context.Context) (wal.LSN, error) { return firstLSN, nil }

// CreateSlot implements agent.Postgres.
func (l *life) CreateSlot(ctx context.Context, slot postgres.Slot) error {
	return l.told(ctx, func(s *server) error {
		if _, there := s.slot(slot.Name); there {
			return postgres.ErrSlotExists
		}
		slot.Restart = s.end
		if slot.Logical {
			slot.Confirmed, slot.CatalogXmin = s.end, 700
		}
		s.note("has the slot " + slot.Name)
		s.putSlot(slot)
		return nil
	})
}

// DropSlot implements agent.Postgres.
func (l *life) DropSlot(ctx context.Context, name string) error {
	return l.told(ctx, func(s *server) error {
		if slot, _ := s.slot(name); slot.Active {
			return postgres.ErrSlotInUse
		}
		s.note("has no slot " + name + " any more")
		delete(s.slots, name)
		return nil
	})
}

// AdvanceSlot implements agent.Postgres.
func (l *life) AdvanceSlot(ctx context.Context, slot postgres.Slot, to wal.LSN) error {
	return l.told(ctx, func(s *server) error {
		now, there := s.slot(slot.Name)
		switch {
		case s.spoils && slot.Logical:
			return postgres.ErrCopyAgain
		case !there:
			return postgres.ErrNoSlot
		case now.Active:
			return postgres.ErrSlotInUse
		case to > s.end:
			l.host.lab.violate("%s: the slot %s is advanced to %s, past the WAL at %s", s.name, slot.Name, to, s.end)
		case to < max(now.Confirmed, now.Restart) && !now.Logical || to < now.Confirmed:
			l.host.lab.violate("%s: the slot %s is moved back to %s", s.name, slot.Name, to)
		}
		now.Restart = to
		if now.Logical {
			now.Confirmed = to
		}
		s.putSlot(now)
		return nil
	})
}

// CopySlots implements agent.Postgres.
func (l *life) CopySlots(ctx context.Context, up postgres.Upstream, names []string) error {
	leave, err := l.enter()
	if err != nil {
		return err
	}
	defer leave()
	all, err := l.SlotsOf(ctx, up)
	if err != nil {
		return err
	}
	if _, err := l.stop(ctx, postgres.StopOptions{}); err != nil {
		return err
	}
	err = l.change(func(s *server) error {
		for _, slot := range all {
			if slot.Logical && slices.Contains(names, slot.Name) {
				slot.Active = false
				s.putSlot(slot)
				s.copies++
				s.note("has a copy of the slot " + slot.Name)
			}
		}
		s.launch()
		return nil
	})
	if err != nil {
		return err
	}
	return l.started(ctx)
}
