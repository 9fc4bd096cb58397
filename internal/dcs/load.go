package dcs

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// proofLasts is the part of the lease's ttl for which a renewal proves the picture.
const proofLasts = 3

// Load returns the whole cluster at one revision. A document that cannot be understood is as good as
// empty, with its version; keys that mean nothing here are left out.
//
// The store is not asked when the last renewal of the lease was answered at the revision of the last picture, less than a
// third of ttl ago, and neither a watch nor a write of this process has shown a change since. Whoever may race for the
// leader key always asks: a picture without a leader is never taken for current.
func (s *Store) Load(ctx context.Context) (cluster.Cluster, error) {
	if c, ok := s.proved(); ok {
		return c, nil
	}
	snapshot, err := s.kv.List(ctx, s.base)
	if err != nil {
		return cluster.Cluster{}, fmt.Errorf("load cluster %s: %w", s.config.Scope, err)
	}
	pairs := map[string]kv.Pair{}
	c := cluster.Cluster{Revision: cluster.Version(snapshot.Revision)}
	for _, pair := range snapshot.Pairs {
		key := strings.TrimPrefix(pair.Key, s.base)
		pairs[key] = pair
		place(&c, key, pair)
	}
	if _, ok := pairs[keyStatus]; !ok {
		c.Status.Optime = cluster.ParseStatus(pairs[keyOptime].Value).Optime
	}
	s.remember(pairs, snapshot.Revision)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture, s.current, s.provedAt = c, true, time.Time{}
	return c, nil
}

// proved returns the last picture if it is known to be current.
func (s *Store) proved() (cluster.Cluster, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := s.current && s.picture.Locked() && s.lease.ID != 0 && time.Since(s.provedAt) < s.lease.TTL/proofLasts
	return s.picture, ok
}

// outdate takes note of a change, or of one that may have happened: the next Load reads.
func (s *Store) outdate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = false
}

// place puts one document into the picture. Members arrive sorted by name.
func place(c *cluster.Cluster, key string, pair kv.Pair) {
	version := cluster.Version(pair.Version)
	switch key {
	case keyInitialize:
		c.Initialize = cluster.Initialize{
			Present: true, SystemID: wal.SystemID(pair.Value), Lease: int64(pair.Lease), Version: version,
		}
	case keyConfig:
		c.Config = cluster.ParseConfig(pair.Value)
		c.Config.Version = version
	case keyLeader:
		c.Leader = cluster.Leader{Name: pair.Value, Lease: int64(pair.Lease), Version: version}
	case keyFailover:
		c.Failover = cluster.ParseFailover(pair.Value)
		c.Failover.Version = version
	case keySync:
		c.Sync = cluster.ParseSync(pair.Value)
		c.Sync.Version = version
	case keyStatus:
		c.Status = cluster.ParseStatus(pair.Value)
		c.Status.Version = version
	case keyHistory:
		c.History = cluster.ParseHistory(pair.Value)
		c.History.Version = version
	case keyFailsafe:
		c.Failsafe = cluster.ParseFailsafe(pair.Value)
	default:
		if name, ok := memberName(key); ok {
			m := cluster.ParseMember(name, pair.Value)
			m.Lease, m.Version = int64(pair.Lease), version
			c.Members = append(c.Members, m)
		}
	}
}

// remember keeps the documents that this process writes only when they change, unless it has written
// since the picture was taken.
func (s *Store) remember(pairs map[string]kv.Pair, revision kv.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision < s.knownAt {
		return
	}
	s.knownAt = revision
	s.known = maps.Clone(pairs)
	maps.DeleteFunc(s.known, func(key string, _ kv.Pair) bool {
		return key != keyStatus && key != keyFailsafe && key != s.own()
	})
}
