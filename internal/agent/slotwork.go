package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/slots"
)

// errand is work beside the loop, of which there is at most one at a time.
type errand struct {
	mu   sync.Mutex
	quit context.CancelCauseFunc
	done chan struct{}
	over bool
}

// begin runs the work in a goroutine of its own, unless there is some under way.
func (e *errand) begin(ctx context.Context, work func(context.Context)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != nil || e.over {
		return false
	}
	ctx, quit := context.WithCancelCause(ctx)
	done := make(chan struct{})
	e.quit, e.done = quit, done
	go func() {
		defer close(done)
		work(ctx)
		quit(nil)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.quit = nil
	}()
	return true
}

// errOutdated is why an errand is called off.
var errOutdated = errors.New("things have changed since")

// cancel calls the work off, and does not wait.
func (e *errand) cancel() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != nil {
		e.quit(errOutdated)
	}
}

// stop ends the work for good and waits for it.
func (e *errand) stop() {
	e.mu.Lock()
	quit, done := e.quit, e.done
	e.over = true
	e.mu.Unlock()
	if quit != nil {
		quit(errStop)
	}
	if done != nil {
		<-done
	}
}

// slotTask is what a look goes by.
type slotTask struct {
	view   slots.View
	memory slots.Memory
	// from is where the leader's server is.
	from postgres.Upstream
	// copying is what the last look wanted copied.
	copying []string
}

// slotLookTimeout bounds a look; each of its steps has a bound of its own.
const slotLookTimeout = 30 * time.Second

// lookAtSlots is the look: it runs beside the loop.
func (a *Agent) lookAtSlots(ctx context.Context, task slotTask) {
	looking, cancel := context.WithTimeout(ctx, slotLookTimeout)
	defer cancel()
	found := slotFindings{started: task.view.Started, leader: task.view.Cluster.Leader.Name}
	existing, err := a.pg.Slots(looking)
	if err != nil {
		found.failed = []string{err.Error()}
		a.slots.find(found)
		return
	}
	task.view.Existing = slotsOf(existing)
	found.existing, found.memory = task.view.Existing, task.memory
	found.memory, found.plan = slots.Next(task.memory, task.view)
	if found.plan.AskLeader && task.from.Known() {
		found.memory, found.plan = a.askForSlots(looking, task)
	}
	changed := a.doSlots(looking, &found)
	if changed {
		// What was made just now is to be published with the next status.
		if existing, err := a.pg.Slots(looking); err == nil {
			found.existing = slotsOf(existing)
		}
	}
	a.slots.find(found)
	if changed || !slices.Equal(found.plan.Copy, task.copying) {
		a.Wake()
	}
	a.haulSlots(ctx, found.plan.Steps, task.view.Started)
}

// find leaves what a look found to the loop.
func (k *slotKeeping) find(found slotFindings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found, k.fresh = &found, nil
}

// readSlots lists the slots shortly before the next renewal of the lease, with which the leader writes its status. Of what
// a look saw right after the last one, logical slots above all may have moved by then.
func (a *Agent) readSlots(ctx context.Context, v ha.View) {
	every := min(v.Settings.LoopWait, v.Settings.TTL/3)
	wait := time.Until(a.dcs.Lease().Renewed.Add(every - every/20))
	if wait <= 0 {
		return
	}
	a.slots.reading.begin(ctx, func(ctx context.Context) {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		reading, cancel := context.WithTimeout(ctx, slotLookTimeout)
		defer cancel()
		if existing, err := a.pg.Slots(reading); err == nil {
			a.slots.read(slotsOf(existing))
		}
	})
}

// read leaves what a reading found to the loop.
func (k *slotKeeping) read(existing []slots.Existing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.found != nil {
		k.found.existing = existing
		return
	}
	k.fresh = existing
}

// askForSlots plans with what the leader's server says of its slots. Without an answer the plan stands as it is.
func (a *Agent) askForSlots(ctx context.Context, task slotTask) (slots.Memory, slots.Plan) {
	theirs, err := a.pg.SlotsOf(ctx, task.from)
	if err == nil {
		task.view.Leader = slotsOf(theirs)
		task.view.OldestWAL, err = a.pg.OldestWAL(ctx)
	}
	if err != nil {
		// A leader that is gone, or not up yet, is spoken of elsewhere.
		a.log.DebugContext(ctx, "the leader's replication slots are not known", slog.Any("err", err))
	}
	return slots.Next(task.memory, task.view)
}

// doSlots carries out what is done in a moment. It returns whether there are other slots now.
func (a *Agent) doSlots(ctx context.Context, found *slotFindings) bool {
	changed := false
	for _, step := range found.plan.Steps {
		if slow(step) {
			continue
		}
		if err := a.doSlot(ctx, step); err != nil {
			found.failed = append(found.failed, err.Error())
			continue
		}
		if _, moved := step.(slots.Advance); !moved {
			changed = true
		}
	}
	return changed
}

// slow reports whether a step can take any time: a new logical slot waits for transactions, and one that is advanced reads
// all WAL in between.
func slow(step slots.Step) bool {
	switch step := step.(type) {
	case slots.Create:
		return step.Slot.Logical()
	case slots.Advance:
		return step.Slot.Logical()
	case slots.Drop:
	}
	return false
}

// doSlot carries out one step.
func (a *Agent) doSlot(ctx context.Context, step slots.Step) error {
	var err error
	level := slog.LevelInfo
	switch step := step.(type) {
	case slots.Create:
		err = a.pg.CreateSlot(ctx, serverSlot(step.Slot))
	case slots.Drop:
		err = a.pg.DropSlot(ctx, step.Name)
	case slots.Advance:
		level = slog.LevelDebug
		err = a.pg.AdvanceSlot(ctx, serverSlot(step.Slot), step.To)
	default:
		err = fmt.Errorf("unknown step %s", step)
	}
	if err != nil {
		return err
	}
	a.log.Log(ctx, level, "replication slot", slog.String("step", step.String()))
	return nil
}

// haulSlots has the slow steps done beside the loop and beside the next looks.
func (a *Agent) haulSlots(ctx context.Context, steps []slots.Step, started time.Time) {
	steps = slices.DeleteFunc(slices.Clone(steps), func(s slots.Step) bool { return !slow(s) })
	if len(steps) == 0 || ctx.Err() != nil {
		return
	}
	// The haul outlives the look, but not the loop.
	a.slots.haul.begin(context.WithoutCancel(ctx), func(ctx context.Context) {
		for _, step := range steps {
			if ctx.Err() != nil {
				return
			}
			a.haulSlot(ctx, step, started)
		}
	})
}

// haulSlot carries out one slow step, and notes what came of it.
func (a *Agent) haulSlot(ctx context.Context, step slots.Step, started time.Time) {
	err := a.doSlot(ctx, step)
	if ctx.Err() != nil {
		return // called off; the next look knows more
	}
	k, name := &a.slots, slotNamed(step)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.stuck, name)
	if err == nil {
		return
	}
	if k.stuck == nil {
		k.stuck, k.spoiled = map[string]string{}, map[string]time.Time{}
	}
	k.stuck[name] = err.Error()
	if errors.Is(err, postgres.ErrCopyAgain) {
		k.spoiled[name] = started
	}
}

// slotNamed is the name of the slot that a step is about.
func slotNamed(step slots.Step) string {
	switch step := step.(type) {
	case slots.Create:
		return step.Slot.Name
	case slots.Advance:
		return step.Slot.Name
	case slots.Drop:
		return step.Name
	}
	return ""
}
