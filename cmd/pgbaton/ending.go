package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// echo is how long after the first request to end another one is taken for the same: who ends a whole process tree asks each of
// its processes, and one that passes it on to another asks that twice.
const echo = time.Second

// untilEnded is a context that ends with the first signal that asks for the end, and with it the program in good order. A
// second Ctrl-C ends it at once, for people who do not want to wait. SIGTERM never does: managers send it again when they ask
// again, and have SIGKILL for what does not listen.
func untilEnded() (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go attend(ctx, signals, cancel, func() {
		signal.Reset(syscall.SIGINT)
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
	})
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// attend waits for signals: the first one begins the end, a later Ctrl-C cuts it short.
func attend(ctx context.Context, signals <-chan os.Signal, begin, cut func()) {
	select {
	case <-ctx.Done():
		return
	case <-signals:
	}
	began := time.Now()
	begin()
	for s := range signals {
		if s == syscall.SIGINT && time.Since(began) >= echo {
			cut()
			return
		}
	}
}
