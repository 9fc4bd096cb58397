package supervise

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

func TestTheFirstFailureEndsTheGroup(t *testing.T) {
	g, ctx := New(t.Context())
	g.Go("waiter", func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	g.Go("worker", func(context.Context) error { return errBroken })
	if err := g.Wait(); !errors.Is(err, errBroken) || err.Error() != "worker: broken" {
		t.Errorf("got %v", err)
	}
	if !errors.Is(context.Cause(ctx), errBroken) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
}

func TestStopIsNoFailure(t *testing.T) {
	g, _ := New(t.Context())
	g.Go("waiter", func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if err := g.Stop(errors.New("enough")); err != nil {
		t.Errorf("got %v", err)
	}
}
