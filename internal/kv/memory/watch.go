package memory

import (
	"context"
	"strings"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// feed sends every event below prefix after the revision, until ctx ends, the link is cut or the events
// are not kept anymore.
func (w *world) feed(ctx context.Context, cut <-chan struct{}, prefix string, after kv.Version, to chan<- kv.Event) {
	next, ok := w.seek(after)
	if !ok {
		return
	}
	for {
		events, more, ok := w.since(next)
		if !ok {
			return
		}
		next += len(events)
		for _, event := range events {
			if !strings.HasPrefix(event.Key, prefix) {
				continue
			}
			select {
			case to <- event:
			case <-ctx.Done():
				return
			case <-cut:
				return
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		case <-cut:
			return
		}
	}
}
