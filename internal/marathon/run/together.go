package run

import (
	"context"
	"errors"
	"sync"
)

// atOnce bounds how many calls to the store are under way at a time.
const atOnce = 64

// together makes calls whose order does not matter and returns when all have ended.
func together(ctx context.Context, calls []func(context.Context) error) error {
	errs := make([]error, len(calls))
	if len(calls) == 1 {
		return calls[0](ctx)
	}
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
