package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// healWithin is how long a platform may take to be whole again after a fault: the lease, and a clone or two.
const healWithin = 2 * time.Minute

// Tour is a platform with a client that writes all the time and a watchman, to which one fault after the other
// happens.
type Tour struct {
	Platform *Platform
	Writer   *Writer
	Watchman *Watchman

	leads *leads
}

// Begin puts the writer and the watchman to work on a platform that is up.
func Begin(ctx context.Context, p *Platform) (*Tour, error) {
	t := &Tour{Platform: p}
	var err error
	if t.leads, err = watchLeads(ctx, p.store); err != nil {
		return nil, fmt.Errorf("watch the leader key: %w", err)
	}
	url := p.URLs().Write
	if t.Writer, err = StartWriter(ctx, url); err == nil {
		t.Watchman, err = StartWatchman(ctx, p.layout.Hosts, url)
	}
	if err != nil {
		return nil, errors.Join(err, t.End())
	}
	return t, nil
}

// Act lets a fault happen and returns when the platform is whole again, everything promised holds, and the rows were
// counted. The error says what is not as it must be.
func (t *Tour) Act(ctx context.Context, f Fault) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, healWithin)
	defer cancel()
	r := Result{Fault: f}
	var err error
	if r.Before, err = t.Platform.Await(ctx, nil); err != nil {
		return r, err
	}
	moves := t.leads.count()
	began := time.Now()
	if r.Deed, err = f.strike(ctx, t.Platform, r.Before); err != nil {
		return r, err
	}
	r.After, err = t.Platform.Await(ctx, func(after Picture) error { return f.kept(r.Before, after) })
	if err != nil {
		return r, err
	}
	r.Took = time.Since(began)
	if err := t.Writer.Written(ctx); err != nil {
		return r, err
	}
	outage := t.Writer.Outage(began)
	r.Outage = outage.Length()
	allowed := &outage
	if !f.Loses {
		allowed = nil
	}
	r.Lost, err = t.Writer.Audit(ctx, allowed)
	if moved := t.leads.count() - moves; !f.Moves && moved > 0 {
		err = errors.Join(err, fmt.Errorf("the leader key changed %d times, it must not", moved))
	}
	if r.Outage > f.Limit {
		err = errors.Join(err, fmt.Errorf("writes were out for %s, more than %s", r.Outage, f.Limit))
	}
	return r, errors.Join(err, t.Watchman.Report())
}

// End ends the writer and the watchman and says whether two servers ever accepted writes at once. It may be called
// twice.
func (t *Tour) End() error {
	if t.Writer != nil {
		t.Writer.Stop()
	}
	if t.leads != nil {
		t.leads.close()
	}
	if t.Watchman == nil {
		return nil
	}
	t.Watchman.Stop()
	return t.Watchman.Report()
}
