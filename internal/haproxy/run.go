package haproxy

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Run keeps HAProxy running: one that ends is started again, at once the first time and with growing
// pauses when it ends again soon. It returns nil when ctx ends; HAProxy goes on.
func (p *Process) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() { p.hear(ctx) })
	var pauses pauses
	for {
		r, since := p.held()
		err := r.ended(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		r.release()
		p.keep(nil)
		p.log.WarnContext(ctx, "haproxy ended", slog.Int("pid", r.PID()))
		if !p.restart(ctx, &pauses, time.Since(since)) {
			return nil
		}
		p.wakeUp()
	}
}

// restart starts HAProxy until it stays; the bool is false when ctx ended before.
func (p *Process) restart(ctx context.Context, pauses *pauses, lived time.Duration) bool {
	for pause := pauses.next(lived); ; pause = pauses.next(0) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		r, err := p.start(ctx)
		if err == nil {
			p.log.InfoContext(ctx, "haproxy started", slog.Int("pid", r.PID()))
			p.keep(r)
			return true
		}
		if ctx.Err() == nil {
			p.log.ErrorContext(ctx, "haproxy does not start", slog.Any("err", err))
		}
	}
}

// pauses are the waits before the next start.
type pauses struct {
	last time.Duration
}

// The bounds of a pause. Whoever lived longer than steady is started at once.
const (
	firstPause = 100 * time.Millisecond
	longPause  = 10 * time.Second
	steady     = 30 * time.Second
)

// next is how long to wait before starting again what lived that long.
func (p *pauses) next(lived time.Duration) time.Duration {
	switch {
	case lived >= steady:
		p.last = 0
		return 0
	case p.last == 0:
		p.last = firstPause
		return 0
	}
	now := p.last
	p.last = min(2*now, longPause)
	return now
}

// hear listens to what HAProxy says of its servers until ctx ends.
func (p *Process) hear(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = p.events.SetReadDeadline(time.Unix(1, 0)) }) // Closed already.
	defer stop()
	line := make([]byte, 64<<10)
	for {
		n, err := p.events.Read(line)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			p.log.WarnContext(ctx, "haproxy is not heard", slog.Any("err", err))
			return
		}
		p.heard(string(line[:n]))
	}
}

// heading is what a syslog line begins with: priority, time, program and process.
var heading = regexp.MustCompile(`^<\d+>\w+ +\d+ [\d:]+ (?:\S+ )?haproxy\[\d+\]: `)

// heard takes one line. Only what a check found is news: the rest is the echo of what HAProxy was told.
func (p *Process) heard(line string) {
	text := strings.TrimSpace(heading.ReplaceAllString(line, ""))
	if !strings.Contains(text, ", reason: ") {
		p.log.Debug("haproxy reports", slog.String("source", "haproxy"), slog.String("report", text))
		return
	}
	p.log.Info("haproxy reports", slog.String("source", "haproxy"), slog.String("report", text))
	p.wakeUp()
}
