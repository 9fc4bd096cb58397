package supervise

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Group is a set of goroutines. The first that fails ends the others.
type Group struct {
	ctx    context.Context //nolint:containedctx // the group is the lifetime of its goroutines
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	errs []error
}

// New makes a group and the context that its goroutines get; it ends with the parent, with the first failure,
// or with Stop.
func New(parent context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	return &Group{ctx: ctx, cancel: cancel}, ctx
}

// Go starts a goroutine. An error of its own ends the group; the end of the context is not one.
func (g *Group) Go(name string, run func(ctx context.Context) error) {
	g.wg.Go(func() {
		err := run(g.ctx)
		if err == nil || g.ctx.Err() != nil && errors.Is(err, context.Cause(g.ctx)) || errors.Is(err, context.Canceled) {
			return
		}
		err = fmt.Errorf("%s: %w", name, err)
		g.mu.Lock()
		g.errs = append(g.errs, err)
		g.mu.Unlock()
		g.cancel(err)
	})
}

// Stop ends the group and waits for it. It returns the failures of its goroutines, joined.
func (g *Group) Stop(cause error) error {
	g.cancel(cause)
	return g.Wait()
}

// Wait waits until all goroutines have ended and returns their failures, joined.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.cancel(nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.errs...)
}
