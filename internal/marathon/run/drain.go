package run

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Drain lets a host become empty, or ends that again: nothing new goes there, what can run elsewhere is moved, leaders hand
// over, and members that are bound to the host stop and come back when the drain ends. It is stored when Drain returns; what
// follows takes its time. A host that offers nothing and runs nothing is unknown: [app.ErrUnknownHost].
func (s *Scheduler) Drain(ctx context.Context, host string, on bool, cause string) error {
	var err error
	called := s.call(ctx, func(l *loop) { //nolint:contextcheck // as in Apply
		if err = l.available(); err == nil {
			err = l.drain(host, on, cause)
		}
	})
	if called != nil {
		return called
	}
	return err
}

// Draining are the hosts that are to become empty, each with the cause.
func (s *Scheduler) Draining() map[string]string {
	all := map[string]string{}
	maps.Copy(all, s.picture.Load().state.Draining)
	return all
}

func (l *loop) drain(host string, on bool, cause string) error {
	if _, drained := l.drained[host]; !drained && !l.knowsHost(host) {
		return fmt.Errorf("%w: %s", app.ErrUnknownHost, host)
	}
	ctx, cancel := l.bound(storeTimeout)
	defer cancel()
	text, change := "its drain ends", func() error { return l.s.store.DeleteDraining(ctx, host) }
	if on {
		text, change = "it is drained: "+cause, func() error { return l.s.store.SaveDraining(ctx, host, cause) }
	}
	if err := change(); err != nil {
		l.lost(err)
		return fmt.Errorf("%w: %w", app.ErrUnavailable, err)
	}
	delete(l.drained, host)
	if on {
		l.drained[host] = cause
	}
	l.tell(Event{Kind: EventHost, Host: host, Text: text})
	l.publish()
	return nil
}

// draining are the hosts that are to become empty because a person or the platform says so. A person's word counts more.
func (l *loop) draining() map[string]string {
	all := maps.Clone(l.leaving)
	maps.Copy(all, l.drained)
	return all
}

// knowsHost reports whether anything was ever heard of a host.
func (l *loop) knowsHost(host string) bool {
	if _, powered := l.down[host]; powered {
		return true
	}
	if _, offered := l.offered[host]; offered {
		return true
	}
	for _, i := range l.instances {
		if i.Host == host {
			return true
		}
	}
	if offers, err := l.offers(); err == nil {
		for _, o := range offers {
			if o.Host == host {
				return true
			}
		}
	}
	return false
}

// hostLeaves takes word of the platform that a host will be taken away, or stays after all.
func (l *loop) hostLeaves(host, why string, at time.Time, stays bool) {
	delete(l.leaving, host)
	if !stays {
		l.leaving[host] = why
		if !at.IsZero() {
			why += ", at " + app.At(at).String()
		}
	}
	l.tell(Event{Kind: EventHost, Host: host, Text: why})
}
