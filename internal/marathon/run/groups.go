package run

import (
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/store"
)

// changedGroups are the groups that a change touches as they were, nil for those that had nothing of their own.
func changedGroups(old, next map[app.ID]app.Group) map[app.ID]*app.Group {
	changed := map[app.ID]*app.Group{}
	for id, g := range next {
		if before, there := old[id]; !there {
			changed[id] = nil
		} else if !before.Equal(g) {
			changed[id] = &before
		}
	}
	for id, g := range old {
		if _, stays := next[id]; !stays {
			changed[id] = &g
		}
	}
	return changed
}

// undoGroups are groups with those the deployment changed as they were before it.
func undoGroups(groups map[app.ID]app.Group, d store.Deployment) map[app.ID]app.Group {
	back := maps.Clone(groups)
	if back == nil {
		back = map[app.ID]app.Group{}
	}
	for id, before := range d.GroupsBefore {
		if before == nil {
			delete(back, id)
			continue
		}
		g := *before
		g.Version = app.At(time.Now())
		back[id] = g
	}
	return back
}
