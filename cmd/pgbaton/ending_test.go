package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The first signal begins the end. It is cut short by a Ctrl-C that is no echo of the first, and by nothing else.
func TestSignalsThatEnd(t *testing.T) {
	const term, interrupt = syscall.SIGTERM, syscall.SIGINT
	for name, c := range map[string]struct {
		first, second os.Signal
		after         time.Duration
		cut           bool
	}{
		"asked once":                          {first: term},
		"a whole process tree is ended":       {first: term, second: term, after: 3 * time.Millisecond},
		"a manager asks again":                {first: term, second: term, after: time.Minute},
		"Ctrl-C reaches it twice":             {first: interrupt, second: interrupt, after: 3 * time.Millisecond},
		"Ctrl-C again":                        {first: interrupt, second: interrupt, after: 2 * time.Second, cut: true},
		"Ctrl-C for what a manager has begun": {first: term, second: interrupt, after: 2 * time.Second, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, begin := context.WithCancel(t.Context())
				signals := make(chan os.Signal, 8)
				cut := false
				go attend(ctx, signals, begin, func() { cut = true })
				synctest.Wait()
				if ctx.Err() != nil {
					t.Fatal("it ends before anybody has asked")
				}
				signals <- c.first
				synctest.Wait()
				if ctx.Err() == nil {
					t.Error("it does not end")
				}
				time.Sleep(c.after)
				if c.second != nil {
					signals <- c.second
				}
				synctest.Wait()
				if cut != c.cut {
					t.Errorf("cut short: %t, want %t", cut, c.cut)
				}
				close(signals)
			})
		})
	}
}
