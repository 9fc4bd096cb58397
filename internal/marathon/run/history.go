package run

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// Versions are those of one app, newest first; none when there is no such app.
func (s *Scheduler) Versions(ctx context.Context, id app.ID) ([]app.Timestamp, error) {
	if _, there := s.App(id); !there {
		return nil, nil
	}
	return read(s.archive.Versions(ctx, id))
}

// Version is the app as it was then; false when that version is not kept.
func (s *Scheduler) Version(ctx context.Context, id app.ID, version app.Timestamp) (app.App, bool, error) {
	def, there := s.App(id)
	if !there || def.Version == version {
		return def, there, nil
	}
	def, found, err := s.archive.Version(ctx, id, version)
	return def, found, unreadable(err)
}

// GroupVersions are the times at which anything changed, newest first.
func (s *Scheduler) GroupVersions(ctx context.Context) ([]app.Timestamp, error) {
	return read(s.archive.GroupVersions(ctx))
}

// GroupVersion is everything as it was then; false when that version is not kept.
func (s *Scheduler) GroupVersion(ctx context.Context, version app.Timestamp) (app.Definitions, bool, error) {
	defs, found, err := s.archive.GroupVersion(ctx, version)
	return defs, found, unreadable(err)
}

func read(versions []app.Timestamp, err error) ([]app.Timestamp, error) {
	return versions, unreadable(err)
}

func unreadable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", app.ErrUnavailable, err)
}

// remember stores the versions that a change makes, before the change itself: what is current must be in the history. A
// version that is there without ever having been current does no harm.
func (l *loop) remember(next app.Definitions, changed []app.ID, at app.Timestamp) error {
	var defs []app.App
	for _, id := range changed {
		if def, there := next.Apps[id]; there {
			defs = append(defs, def)
		}
	}
	ctx, cancel := l.bound(changeTimeout)
	defer cancel()
	err := l.s.archive.Keep(ctx, at, next, defs, func(id app.ID) bool {
		_, known := l.defs.Apps[id]
		return !known
	})
	if err != nil {
		return err
	}
	l.groupVersions = append(l.groupVersions, at)
	return nil
}

// tidy removes versions that need not be kept any more, in the background. What it does not get to goes with the next
// change.
func (l *loop) tidy(changed []app.ID) {
	inUse := map[app.ID][]app.Timestamp{}
	for _, i := range l.instances {
		if i.Version != 0 && !slices.Contains(inUse[i.App], i.Version) {
			inUse[i.App] = append(inUse[i.App], i.Version)
		}
	}
	gone := map[app.ID]bool{}
	for _, id := range changed {
		_, there := l.defs.Apps[id]
		gone[id] = !there
	}
	surplus := l.groupVersions[:max(0, len(l.groupVersions)-store.KeptGroups)]
	l.groupVersions = l.groupVersions[len(surplus):]
	l.work.Go(func() {
		ctx, cancel := context.WithTimeout(l.ctx, changeTimeout)
		defer cancel()
		err := l.s.archive.DropGroups(ctx, surplus)
		for _, id := range slices.Sorted(maps.Keys(gone)) {
			if err != nil {
				break
			}
			if err = l.s.archive.Prune(ctx, id, inUse[id]); gone[id] {
				err = l.s.archive.Drop(ctx, id)
			}
		}
		if err != nil && ctx.Err() == nil {
			l.s.log.WarnContext(ctx, "old versions were not removed", slog.Any("err", err))
		}
	})
}

const changeTimeout = 20 * time.Second // for all the documents of one change
