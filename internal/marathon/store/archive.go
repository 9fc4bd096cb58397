package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// How many versions are kept: of each app beside those its tasks run, and of everything at once.
const (
	KeptVersions = 50
	KeptGroups   = 25
)

// Archive keeps the definitions that were. Its documents are written once and never changed, so it has no part in the
// versions of [Store], and its methods may be called from any goroutine.
type Archive struct {
	kv     kv.Store
	prefix string
}

// Archive is where the definitions of this store go when they are replaced. It lies beside the state, not in it: a load of
// the state must not read a history that is many times as long.
func (s *Store) Archive() Archive {
	return Archive{kv: s.kv, prefix: strings.TrimSuffix(s.prefix, "/") + "-archive/"}
}

// Keys below the prefix of an archive. No two apps share a folder: the safe form of an id holds no slash and can be undone.
const (
	keyVersions = "versions/"
	keyGroups   = "groups/"
)

func (a Archive) folder(id app.ID) string { return a.prefix + keyVersions + id.Safe() + "/" }

// Keep stores what a change makes: the new versions of apps, and all definitions as they are from then on. A version that is
// there already is the same one, but what an earlier app of the id of a new one has left is deleted before.
func (a Archive) Keep(ctx context.Context, at app.Timestamp, defs app.Definitions, changed []app.App, isNew func(app.ID) bool) error {
	calls := []func(context.Context) error{
		func(ctx context.Context) error { return a.put(ctx, a.prefix+keyGroups+at.String(), defs) },
	}
	for _, def := range changed {
		calls = append(calls, func(ctx context.Context) error {
			if isNew(def.ID) {
				if err := a.Drop(ctx, def.ID); err != nil {
					return err
				}
			}
			return a.keep(ctx, def)
		})
	}
	return together(ctx, calls)
}

func (a Archive) keep(ctx context.Context, def app.App) error {
	return a.put(ctx, a.folder(def.ID)+def.Version.String(), def)
}

func (a Archive) put(ctx context.Context, key string, v any) error {
	text, err := encode(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if _, err := a.kv.Put(ctx, key, text, kv.IfAbsent(), 0); err != nil && !errors.Is(err, kv.ErrHeld) {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// Versions are those kept of an app, newest first.
func (a Archive) Versions(ctx context.Context, id app.ID) ([]app.Timestamp, error) {
	return a.list(ctx, a.folder(id))
}

// GroupVersions are the times of which all definitions are kept, newest first.
func (a Archive) GroupVersions(ctx context.Context) ([]app.Timestamp, error) {
	return a.list(ctx, a.prefix+keyGroups)
}

func (a Archive) list(ctx context.Context, folder string) ([]app.Timestamp, error) {
	snapshot, err := a.kv.List(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	versions := []app.Timestamp{}
	for _, pair := range snapshot.Pairs {
		if v, err := app.ParseTimestamp(strings.TrimPrefix(pair.Key, folder)); err == nil {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	slices.Reverse(versions)
	return versions, nil
}

// Version is an app as it was; false when that version is not kept.
func (a Archive) Version(ctx context.Context, id app.ID, version app.Timestamp) (app.App, bool, error) {
	var def app.App
	found, err := a.get(ctx, a.folder(id)+version.String(), &def)
	return def, found, err
}

// GroupVersion is everything as it was; false when that version is not kept.
func (a Archive) GroupVersion(ctx context.Context, version app.Timestamp) (app.Definitions, bool, error) {
	var defs app.Definitions
	found, err := a.get(ctx, a.prefix+keyGroups+version.String(), &defs)
	return defs, found, err
}

func (a Archive) get(ctx context.Context, key string, v any) (bool, error) {
	pair, found, err := a.kv.Get(ctx, key)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	if !found {
		return false, nil
	}
	return true, decode(pair, v)
}

// Prune deletes versions of an app beyond the newest ones, but none that is in use.
func (a Archive) Prune(ctx context.Context, id app.ID, inUse []app.Timestamp) error {
	return a.prune(ctx, a.folder(id), KeptVersions, inUse)
}

// DropGroups deletes versions of everything. Which ones is for the caller to know: listing them to find out would read them.
func (a Archive) DropGroups(ctx context.Context, versions []app.Timestamp) error {
	for _, v := range versions {
		if err := a.kv.Delete(ctx, a.prefix+keyGroups+v.String(), kv.Always()); err != nil {
			return fmt.Errorf("delete the definitions of %s: %w", v, err)
		}
	}
	return nil
}

// Drop deletes all versions of an app.
func (a Archive) Drop(ctx context.Context, id app.ID) error {
	return a.prune(ctx, a.folder(id), 0, nil)
}

func (a Archive) prune(ctx context.Context, folder string, keep int, inUse []app.Timestamp) error {
	versions, err := a.list(ctx, folder)
	if err != nil {
		return err
	}
	for _, v := range versions[min(keep, len(versions)):] {
		if slices.Contains(inUse, v) {
			continue
		}
		if err := a.kv.Delete(ctx, folder+v.String(), kv.Always()); err != nil {
			return fmt.Errorf("delete %s%s: %w", folder, v, err)
		}
	}
	return nil
}
