package agent

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/slots"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// slotKeeping is what the agent knows of the replication slots. They are no matter of who leads, so nothing about them may
// delay or fail a tick of the loop. The loop only begins errands beside it, when something that matters has changed and
// once per loop_wait, and picks up later what they found:
//
//	the look     lists the slots, asks package slots, and does what is done in a moment; at most one
//	the haul     creates and advances logical slots, which can take any time; at most one. A slot on its way is in use, so
//	             that a look meanwhile leaves it alone
//	the reading  lists the leader's slots shortly before the next status is due, so that what it says is of that moment
//
// Errands get values, and touch nothing of the loop's.
type slotKeeping struct {
	look, haul, reading errand

	mu sync.Mutex // guards what follows; held for moments only
	// found is what a look found and the loop has not picked up yet.
	found *slotFindings
	// fresh are the slots as a reading found them; nil when the loop has them already.
	fresh []slots.Existing
	// stuck is why slow steps failed when they were last tried, by slot.
	stuck map[string]string
	// spoiled are the logical slots that cannot be advanced any more, in the life of the server that began then.
	spoiled map[string]time.Time
	// heard is how far members are that were asked while the DCS was silent.
	heard map[string]wal.LSN
	// told are the positions that a leader without the DCS told, and when.
	told   map[string]wal.LSN
	toldAt time.Time

	// What follows belongs to the loop alone.

	last slotFindings
	// cause and at are of the last look that was begun.
	cause     slotCause
	at        time.Time
	retention slots.Retention
	// said are the notes that were logged and still stand.
	said map[string]bool
	// copied are the slots that were copied and cannot be trusted yet.
	copied map[string]copiedSlot
}

// copiedSlot is how often a slot was copied in a row without coming to be trusted, and when last.
type copiedSlot struct {
	times int
	at    time.Time
}

// Copying takes a restart. One that does not help is not repeated all the time; but until a standby has the slot, its
// promotion would end what the consumer reads.
const (
	freeCopies     = 3
	firstCopyPause = time.Minute
	lastCopyPause  = time.Hour
)

// rests reports whether a slot is not to be copied again yet.
func (c copiedSlot) rests(now time.Time) bool {
	pause := firstCopyPause
	for n := freeCopies; n < c.times && pause < lastCopyPause; n++ {
		pause *= 2
	}
	return c.times >= freeCopies && now.Sub(c.at) < min(pause, lastCopyPause)
}

// slotFindings is what a look found.
type slotFindings struct {
	// existing is nil before the first look that succeeded.
	existing []slots.Existing
	memory   slots.Memory
	plan     slots.Plan
	// started is the life of the server that was looked at, and leader who led then.
	started time.Time
	leader  string
	// failed are the steps that were not done, each with its reason.
	failed []string
}

// slotCause is what the wanted slots depend on: a change is a reason to look.
type slotCause struct {
	Leader  string
	Role    slots.Role
	Started time.Time
	Cut     bool
	Members []cluster.Member
	// Status is not the leader's own business.
	Status cluster.Status
	// The settings that matter.
	UseSlots, Pause, Standby bool
	TTL                      time.Duration
	Slots                    map[string]cluster.Slot
	Ignore                   []cluster.Slot
	Tags                     cluster.Tags
}

// keepSlots is called once per tick, after the actions were carried out. It never waits.
func (a *Agent) keepSlots(ctx context.Context, v ha.View) {
	k := &a.slots
	a.pickUpSlots(ctx)
	if !a.leads(v) {
		k.retention = slots.Retention{}
	}
	view, cause := a.slotView(v), a.slotCause(v)
	if !a.slotsAtHand(v) {
		k.haul.cancel()
		return
	}
	if cause.Leader != k.cause.Leader || cause.Role != k.cause.Role {
		k.haul.cancel()
	}
	if a.leads(v) {
		a.readSlots(ctx, v)
	}
	if !a.slotsDue(v, cause) {
		return
	}
	task := slotTask{
		view: view, memory: k.last.memory.Clone(), from: a.upstreamOf(view.Cluster.Leader.Name, false), copying: k.last.plan.Copy,
	}
	if k.look.begin(ctx, func(ctx context.Context) { a.lookAtSlots(ctx, task) }) {
		k.cause, k.at = cause, v.Now
	}
}

// slotsAtHand reports whether there is a server whose slots can be looked after, and a picture to go by: the last one that
// there was where members agree without the DCS.
func (a *Agent) slotsAtHand(v ha.View) bool {
	job, _ := a.job.describe()
	busy := job != "" && job != ha.JobCheckpoint
	known := v.Fresh || v.Settings.FailsafeMode && !a.seen.at.IsZero()
	return known && v.Settings.UseSlots && v.Server.Process == ha.Running && v.Server.Answers && !v.Leaving && !busy
}

// slotsDue reports whether it is time to look: something changed, the leader wrote its status, or loop_wait is over.
func (a *Agent) slotsDue(v ha.View, cause slotCause) bool {
	for _, o := range a.outcomes {
		if _, status := o.Action.(ha.WriteStatus); status && o.Result == ha.Done {
			return true
		}
	}
	return !v.Now.Before(a.slots.at.Add(v.Settings.LoopWait*9/10)) || !reflect.DeepEqual(cause, a.slots.cause)
}

// slotView is what package slots needs to know, without the slots themselves.
func (a *Agent) slotView(v ha.View) slots.View {
	k := &a.slots
	view := slots.View{
		Name: a.cfg.Name, Tags: a.cfg.Tags, Settings: v.Settings, Cluster: v.Cluster, Cut: !v.Fresh, Role: a.slotRole(v),
		Position: a.server.status.Replayed, Started: v.Server.Started, Existing: k.last.existing, Retention: k.retention,
	}
	if view.Role == slots.Primary {
		view.Position = v.Server.Position
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, started := range k.spoiled {
		if started.Equal(view.Started) {
			view.Spoiled = append(view.Spoiled, name)
		}
	}
	if v.Fresh {
		k.heard, k.told = nil, nil
		return view
	}
	view.Heard = maps.Clone(k.heard)
	if k.told != nil && v.Now.Sub(k.toldAt) < v.Settings.TTL {
		view.Cluster.Status.Slots = k.told
	}
	return view
}

func (a *Agent) slotRole(v ha.View) slots.Role {
	switch {
	case v.Server.Primary():
		return slots.Primary
	case v.Settings.Standby.Active() && a.leads(v):
		return slots.StandbyLeader
	}
	return slots.Replica
}

func (a *Agent) slotCause(v ha.View) slotCause {
	s := v.Settings
	c := slotCause{
		Leader: v.Cluster.Leader.Name, Role: a.slotRole(v), Started: v.Server.Started, Cut: !v.Fresh, Tags: a.cfg.Tags,
		UseSlots: s.UseSlots, Pause: s.Pause, Standby: s.Standby.Active(), TTL: s.MemberSlotsTTL, Slots: s.Slots, Ignore: s.IgnoreSlots,
	}
	for _, m := range v.Cluster.Others(a.cfg.Name) {
		c.Members = append(c.Members, cluster.Member{Name: m.Name, Tags: m.Tags, ConnURL: m.ConnURL, State: m.State})
	}
	if c.Role == slots.Replica {
		c.Status = v.Cluster.Status
	}
	return c
}

// pickUpSlots takes over what a look has found.
func (a *Agent) pickUpSlots(ctx context.Context) {
	k := &a.slots
	k.mu.Lock()
	found := k.found
	k.found = nil
	k.freshen()
	if found != nil {
		maps.DeleteFunc(k.stuck, func(name, _ string) bool {
			return !slices.ContainsFunc(found.plan.Steps, func(s slots.Step) bool { return slotNamed(s) == name })
		})
		found.failed = append(found.failed, slices.Sorted(maps.Values(k.stuck))...)
	}
	k.mu.Unlock()
	if found == nil {
		return
	}
	if found.existing == nil {
		found.existing, found.memory, found.plan = k.last.existing, k.last.memory, slots.Plan{}
	}
	k.count(*found, time.Now())
	k.last = *found
	a.saySlots(ctx)
}

// count notes which slots the server came back with after they were to be copied, and forgets those that can be trusted.
func (k *slotKeeping) count(found slotFindings, now time.Time) {
	if k.copied == nil {
		k.copied = map[string]copiedSlot{}
	}
	if !found.started.Equal(k.last.started) {
		for _, name := range k.last.plan.Copy {
			k.copied[name] = copiedSlot{k.copied[name].times + 1, now}
		}
	}
	maps.DeleteFunc(k.copied, func(name string, _ copiedSlot) bool { return found.memory.Safe[name] || !found.memory.Standby })
}

// freshen takes over what a reading has found. k.mu is held.
func (k *slotKeeping) freshen() {
	if k.fresh != nil {
		k.last.existing, k.fresh = k.fresh, nil
	}
}

// saySlots logs what somebody should know of the slots, once as long as it stands.
func (a *Agent) saySlots(ctx context.Context) {
	k := &a.slots
	stand := map[string]bool{}
	for _, note := range slices.Concat(k.last.failed, k.last.plan.Notes) {
		stand[note] = true
		if !k.said[note] {
			a.log.WarnContext(ctx, "replication slots", slog.String("why", note))
		}
	}
	k.said = stand
	if unsafe := k.last.plan.Unsafe; len(unsafe) > 0 && !k.last.memory.Standby {
		a.log.WarnContext(ctx, "consumers of these logical slots may miss rows from before the promotion", slog.Any("slots", unsafe))
	}
}

// slotStatus is what the leader says of the slots in its status. It may be asked any number of times; what differs from the
// status key has to be written.
func (a *Agent) slotStatus(v ha.View) slots.Published {
	a.slots.mu.Lock()
	a.slots.freshen()
	a.slots.mu.Unlock()
	r, p := slots.Publish(a.slots.retention, a.slotView(v), v.Now)
	a.slots.retention = r
	return p
}

// ownSlot is the slot that an upstream has for this member; empty when there is no upstream, or it has none.
func (a *Agent) ownSlot(member string, remote bool) string {
	if member == "" && !remote {
		return ""
	}
	return slots.OwnSlot(a.cfg.Name, a.cfg.Tags, a.settings(), remote)
}

// feedback reports whether the server has to send feedback to its upstream for the sake of logical slots.
func (a *Agent) feedback() bool {
	return slots.Feedback(slots.View{Name: a.cfg.Name, Tags: a.cfg.Tags, Settings: a.settings(), Cluster: a.seen.cluster})
}

// slotsMissing names the logical slots that a job should copy from the leader, as the last look found. After a restart of
// the server, or with another leader, only the next look can tell.
func (a *Agent) slotsMissing(st postgres.Status) []string {
	last := a.slots.last
	if s := a.settings(); !s.UseSlots || s.Pause || a.seen.blind {
		return nil
	}
	if !st.Answers || !st.PostmasterStarted.Equal(last.started) || a.seen.cluster.Leader.Name != last.leader {
		return nil
	}
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(last.plan.Copy), func(name string) bool { return a.slots.copied[name].rests(now) })
}

// hear notes how far a member is that agreed to this one's going on without the DCS.
func (k *slotKeeping) hear(member string, at wal.LSN) {
	if at == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.heard == nil {
		k.heard = map[string]wal.LSN{}
	}
	k.heard[member] = at
}

// HearSlots notes the positions that a leader without the DCS told together with its call; see Agree. They stand for a
// ttl, or until the DCS is back. The map is not changed any more by the caller.
func (a *Agent) HearSlots(positions map[string]wal.LSN) {
	a.slots.mu.Lock()
	defer a.slots.mu.Unlock()
	a.slots.told, a.slots.toldAt = positions, time.Now()
}

// stop ends all errands and waits for them.
func (k *slotKeeping) stop() {
	k.reading.stop()
	k.look.stop() // it may begin a haul
	k.haul.stop()
}

// slotOf translates a slot of the server.
func slotOf(s postgres.Slot) slots.Existing {
	e := slots.Existing{
		Slot:   cluster.Slot{Name: s.Name, Type: cluster.PhysicalSlot, Database: s.Database, Plugin: s.Plugin},
		Active: s.Active, Temporary: s.Temporary, Failover: s.Failover, Synced: s.Synced, Lost: s.Lost,
		Xmin: s.Xmin, CatalogXmin: s.CatalogXmin, Restart: s.Restart, Confirmed: s.Confirmed,
	}
	if s.Logical {
		e.Type = cluster.LogicalSlot
	}
	return e
}

func slotsOf(all []postgres.Slot) []slots.Existing {
	out := []slots.Existing{}
	for _, s := range all {
		out = append(out, slotOf(s))
	}
	return out
}

// serverSlot is the same the other way round.
func serverSlot(s cluster.Slot) postgres.Slot {
	return postgres.Slot{Name: s.Name, Logical: s.Logical(), Plugin: s.Plugin, Database: s.Database}
}
