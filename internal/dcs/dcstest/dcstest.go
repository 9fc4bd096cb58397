package dcstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// Run runs the suite. Every call of open returns another client of one and the same store, to be closed
// by a cleanup of its t.
func Run(t *testing.T, open func(t *testing.T) kv.Store) {
	t.Helper()
	tests := []struct {
		name string
		test func(t *testing.T, s scope)
	}{
		{"EmptyScopeIsAnEmptyPicture", emptyScopeIsAnEmptyPicture},
		{"ScopesDoNotSeeEachOther", scopesDoNotSeeEachOther},
		{"ForeignKeysAreLeftAlone", foreignKeysAreLeftAlone},
		{"MemberIsAnnouncedWithTheLease", memberIsAnnouncedWithTheLease},
		{"UnchangedMemberIsNotWritten", unchangedMemberIsNotWritten},
		{"NobodyWritesWithoutALease", nobodyWritesWithoutALease},
		{"LeaderKeyIsAcquiredOnce", leaderKeyIsAcquiredOnce},
		{"LeaderKeyIsReleasedByVersion", leaderKeyIsReleasedByVersion},
		{"LeaderKeyOfAnEarlierLifeIsAdopted", leaderKeyOfAnEarlierLifeIsAdopted},
		{"LeaseEndTakesLeaderAndMember", leaseEndTakesLeaderAndMember},
		{"NewTTLIsANewLease", newTTLIsANewLease},
		{"BootstrapEndsWithItsLease", bootstrapEndsWithItsLease},
		{"DocumentsAreSwapped", documentsAreSwapped},
		{"FailoverIsClearedNotDeleted", failoverIsClearedNotDeleted},
		{"StatusCarriesSlotsOver", statusCarriesSlotsOver},
		{"OldPositionIsReadWithoutStatus", oldPositionIsReadWithoutStatus},
		{"WatchReportsWhatWakes", watchReportsWhatWakes},
		{"WatchIsSilentAboutPositions", watchIsSilentAboutPositions},
		{"WatchBeginsWithALook", watchBeginsWithALook},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, scope{name: tt.name, raw: open(t), open: open})
		})
	}
}

// scope is one cluster and the store below it.
type scope struct {
	name string
	raw  kv.Store
	open func(t *testing.T) kv.Store
}

// member is one process of the scope, with checks that end the test.
type member struct {
	*dcs.Store

	raw kv.Store
}

// member starts a process under the name: another life when there was one before.
func (s scope) member(t *testing.T, name string) member {
	t.Helper()
	raw := s.open(t)
	store, err := dcs.New(raw, dcs.Config{Namespace: "/service/", Scope: s.name, Name: name})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return member{store, raw}
}

// leased starts a process with a lease.
func (s scope) leased(t *testing.T, name string, ttl time.Duration) member {
	t.Helper()
	m := s.member(t, name)
	if err := m.Grant(limit(t), ttl); err != nil {
		t.Fatalf("grant: %v", err)
	}
	return m
}

// key returns the path of a document as any program knows it.
func (s scope) key(name string) string { return "/service/" + s.name + "/" + name }

// put writes a key as another program would.
func (s scope) put(t *testing.T, name, value string) {
	t.Helper()
	if _, err := s.raw.Put(limit(t), s.key(name), value, kv.Always(), 0); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

// wantRaw compares a key as another program reads it.
func (s scope) wantRaw(t *testing.T, name, want string) {
	t.Helper()
	pair, ok, err := s.raw.Get(limit(t), s.key(name))
	if err != nil || !ok || pair.Value != want {
		t.Fatalf("got %s %q, exists %v, error %v; want %q", name, pair.Value, ok, err, want)
	}
}

func (m member) load(t *testing.T) cluster.Cluster {
	t.Helper()
	c, err := m.Load(limit(t))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

func (m member) mustAcquire(t *testing.T) cluster.Leader {
	t.Helper()
	if err := m.Acquire(limit(t)); err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return m.load(t).Leader
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError demands exactly one of the errors of package kv.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	for _, sentinel := range []error{kv.ErrHeld, kv.ErrConflict, kv.ErrLost, kv.ErrUnavailable} {
		if errors.Is(err, sentinel) != errors.Is(want, sentinel) {
			t.Fatalf("got error %v, want %v", err, want)
		}
	}
}

func wantEqual(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
