package lead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// term is the time for which this process leads.
type term struct {
	c       *Campaign
	ctx     context.Context //nolint:containedctx // what work gets
	cancel  context.CancelCauseFunc
	lease   kv.LeaseID
	version kv.Version    // of the key
	over    chan struct{} // closed when the lead was given up

	mu       sync.Mutex
	deadline time.Time
	asleep   time.Duration // how long the machine had been suspended when the deadline was set
}

// newTerm is a term whose lease is asked for from now on. It goes on after ctx has ended until somebody ends it, so that
// an orderly end of the work and of the lease can follow one another.
func (c *Campaign) newTerm(ctx context.Context) *term {
	t := &term{c: c, over: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	t.renewed(time.Now(), c.cfg.Suspended())
	return t
}

func (t *term) renewed(sent time.Time, asleep time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline, t.asleep = sent.Add(t.c.cfg.TTL), asleep
}

// end is when this process stops to lead unless the lease is renewed: before the store may end the lease.
func (t *term) end() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deadline.Add(-t.c.cfg.TTL / 6).Add(t.asleep - t.c.cfg.Suspended())
}

// serve lets work run for the term, and gives the key up when it has returned.
func (c *Campaign) serve(ctx context.Context, t *term, work func(ctx context.Context) error) error { //nolint:contextcheck // the term outlives ctx by its orderly end
	c.setTerm(t)
	c.see(holder{Name: c.name, Address: c.cfg.Address})
	stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
	defer stop()
	var keeping sync.WaitGroup
	keep, done := context.WithCancel(t.ctx)
	keeping.Go(func() { t.keep(keep) })
	keeping.Go(func() { t.watch(keep) })
	err := work(t.ctx) //nolint:contextcheck // as above
	ended := t.ctx.Err() != nil
	done()
	keeping.Wait()
	cause := context.Cause(t.ctx) //nolint:contextcheck // as above
	t.cancel(ErrTermOver)
	t.release(ctx)
	c.setTerm(nil)
	c.see(holder{})
	close(t.over)
	switch {
	case err != nil:
		return err
	case errors.Is(cause, ErrAbdicated):
		c.yield(ctx)
	case !ended:
		return errWorkEnded
	}
	return nil
}

var errWorkEnded = errors.New("the work of a leader ended before its term")

// keep renews the lease in good time, and ends the term when that does not succeed before it is over. It returns when ctx
// ends, which the term's own end does too.
func (t *term) keep(ctx context.Context) {
	interval := t.c.cfg.TTL / 3
	for pause := interval; ; {
		rest(ctx, min(pause, time.Until(t.end())))
		if ctx.Err() != nil {
			return
		}
		if time.Until(t.end()) <= 0 {
			t.cancel(ErrTermOver)
			return
		}
		err := t.renew(ctx)
		switch {
		case err == nil:
			pause = interval
			continue
		case errors.Is(err, kv.ErrLost):
			t.cancel(ErrTermOver)
			return
		case ctx.Err() == nil:
			t.c.log.WarnContext(ctx, "the lead of the schedulers was not renewed", slog.Any("err", err), slog.Duration("left", time.Until(t.end())))
		}
		pause = min(retryPause, interval)
	}
}

// renew renews the lease once.
func (t *term) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.c.patience(), errSilent)
	defer cancel()
	sent, asleep := time.Now(), t.c.cfg.Suspended()
	if _, err := t.c.kv.Renew(ctx, t.lease); err != nil {
		return fmt.Errorf("renew the lead: %w", err)
	}
	t.renewed(sent, asleep)
	return nil
}

// watch ends the term when the key is not the one this process wrote any more: a person may have deleted it. While the store
// is silent the deadline decides.
func (t *term) watch(ctx context.Context) {
	for ctx.Err() == nil {
		snapshot, err := t.c.look(ctx)
		switch {
		case err != nil:
			rest(ctx, retryPause)
		case !slices.ContainsFunc(snapshot.Pairs, t.wrote):
			t.cancel(ErrTermOver)
		default:
			_ = t.c.follow(ctx, snapshot.Revision) // a watch that broke is followed by a look, too
		}
	}
}

// wrote reports whether the pair is what made this process the leader.
func (t *term) wrote(p kv.Pair) bool { return p.Key == t.c.cfg.Key && p.Version == t.version }

// release gives up the key of this term and its lease, so that the next leader need not wait.
func (t *term) release(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), t.c.patience(), errSilent)
	defer cancel()
	err := t.c.kv.Delete(ctx, t.c.cfg.Key, kv.IfVersion(t.version))
	if err != nil && !errors.Is(err, kv.ErrConflict) {
		t.c.log.WarnContext(ctx, "the lead could not be given up and ends with its lease", slog.Any("err", err))
		return
	}
	_ = t.c.kv.Revoke(ctx, t.lease) // it ends by itself if not
}

// yield gives others the time to take what was given up. It follows whoever does.
func (c *Campaign) yield(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, abdicatePause, ErrAbdicated)
	defer cancel()
	snapshot, err := c.look(ctx)
	if err == nil && len(snapshot.Pairs) == 0 {
		_ = c.follow(ctx, snapshot.Revision) // whoever it was, the campaign goes on
	}
}
