package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Term is the time for which a scheduler leads. One that is frozen and goes on later finds it over.
type Term interface {
	// Left is how long it goes on for certain. Nothing is stored or asked of the driver once that is zero or less.
	Left() time.Duration
	// Fence is what every write to the store depends on: it does not hold any more once another term may have begun.
	// The zero guard is that of a term nobody else can follow.
	Fence() kv.Guard
}

// forever is the term of a scheduler that has no others beside it.
type forever struct{}

func (forever) Left() time.Duration { return longest }
func (forever) Fence() kv.Guard     { return kv.Guard{} }

var errTermOver = errors.New("this scheduler does not lead any more")

// bound is a context for one call, which ends with the term.
func (l *loop) bound(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.ctx, min(timeout, l.term.Left()))
}

// fenced is a driver that is asked for nothing once the term is over: whatever becomes of the tasks then is the next
// leader's matter.
type fenced struct {
	driver.Driver
	term Term
}

func (f fenced) over() error {
	if f.term.Left() > 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", driver.ErrUnavailable, errTermOver)
}

// Reserve implements driver.Driver.
func (f fenced) Reserve(ctx context.Context, r driver.Reservation) error {
	if err := f.over(); err != nil {
		return err
	}
	return f.Driver.Reserve(ctx, r)
}

// Destroy implements driver.Driver.
func (f fenced) Destroy(ctx context.Context, v driver.Volume) error {
	if err := f.over(); err != nil {
		return err
	}
	return f.Driver.Destroy(ctx, v)
}

// Launch implements driver.Driver.
func (f fenced) Launch(ctx context.Context, s driver.Spec) error {
	if err := f.over(); err != nil {
		return err
	}
	return f.Driver.Launch(ctx, s)
}

// Kill implements driver.Driver.
func (f fenced) Kill(ctx context.Context, task app.TaskID, grace time.Duration) error {
	if err := f.over(); err != nil {
		return err
	}
	return f.Driver.Kill(ctx, task, grace)
}

// Ack implements driver.Driver. A status that the next leader has not stored must come again.
func (f fenced) Ack(ctx context.Context, s driver.Status) error {
	if err := f.over(); err != nil {
		return err
	}
	return f.Driver.Ack(ctx, s)
}
