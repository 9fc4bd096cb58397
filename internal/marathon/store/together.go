package store

import (
	"context"
	"errors"
	"sync"
)

// atOnce bounds how many calls to the store are under way at a time.
const atOnce = 64

// few is how many calls are made one after the other: no goroutine is worth it, and what happened is told more easily.
const few = 4

// together makes calls whose order does not matter and returns when all have ended.
func together(ctx context.Context, calls []func(context.Context) error) error {
	if len(calls) <= few {
		return inTurn(ctx, calls)
	}
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for n, call := range calls {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			errs[n] = call(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// inTurn makes calls until one fails.
func inTurn(ctx context.Context, calls []func(context.Context) error) error {
	for _, call := range calls {
		if err := call(ctx); err != nil {
			return err
		}
	}
	return nil
}
