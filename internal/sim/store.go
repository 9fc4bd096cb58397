package sim

import (
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// store is the model of the coordination store: the documents of one scope with their versions, and leases on its own
// clock, which is the run's.
type store struct {
	w *world
	// now is the picture as it stands. Its slices are never written to.
	now cluster.Cluster
	// leases by their numbers.
	leases   map[int64]*lease
	granted  int64
	revision cluster.Version
	// failsafe is the version of the failsafe key.
	failsafe cluster.Version
	// down counts faults that leave the store without a majority; nothing is answered, nothing ends.
	down int
	// limbo are writes that arrived while there was none; some of them happen afterwards.
	limbo []func()
	// replaced counts how often it was replaced by an empty one, which what was under way does not reach.
	replaced int
	// wiped is when documents were last deleted by a fault.
	wiped int64
}

// lease is one lease; ends is when, unless it is renewed.
type lease struct {
	id, ends, ttl int64
	owner         *member
}

// condition is the check that a write of a document makes first.
func condition(current, wanted cluster.Version) error {
	switch {
	case current == wanted:
		return nil
	case wanted == 0:
		return kv.ErrHeld
	}
	return kv.ErrConflict
}

func (st *store) bump() cluster.Version {
	st.revision++
	st.now.Revision = st.revision
	return st.revision
}

// grant makes a lease. The store ends it a little late at most, as etcd does, or at once, never early.
func (st *store) grant(m *member, ttl time.Duration) int64 {
	st.granted++
	l := &lease{id: st.granted, ends: st.w.now + int64(ttl), ttl: int64(ttl), owner: m}
	st.leases[l.id] = l
	st.expect(l)
	return l.id
}

func (st *store) renew(id int64) error {
	l := st.leases[id]
	if l == nil {
		return kv.ErrLost
	}
	l.ends = st.w.now + l.ttl
	return nil
}

// expect ends a lease when its time is over. One event is planned at a time: renewals only move its end.
func (st *store) expect(l *lease) {
	late := int64(0)
	if st.w.setup.LateStore {
		late = st.w.rng.Int64N(int64(500 * time.Millisecond))
	}
	st.w.at(l.ends+late, func() {
		switch {
		case st.leases[l.id] != l || st.down > 0: // mend plans anew
		case st.w.now >= l.ends:
			st.expire(l)
		default:
			st.expect(l)
		}
	})
}

// expire ends a lease and deletes its keys.
func (st *store) expire(l *lease) {
	delete(st.leases, l.id)
	st.w.note(nil, "store", "the lease of "+l.owner.name+" ended")
	if st.now.Leader.Lease == l.id && st.now.Leader.Version != 0 {
		st.setLeader(cluster.Leader{})
	}
	if st.now.Initialize.Lease == l.id && st.now.Initialize.Present {
		st.now.Initialize = cluster.Initialize{}
		st.bump()
		st.tell(nil, true)
	}
	for _, m := range st.now.Members {
		if m.Lease == l.id {
			st.dropMember(m.Name)
		}
	}
}

// setLeader changes the leader key, which every router sees.
func (st *store) setLeader(l cluster.Leader) {
	st.now.Leader = l
	st.bump()
	st.tell(nil, true)
	st.w.routes()
	st.w.touched = true
}

// putLeader writes the leader key over the version given, zero for a vacant one.
func (st *store) putLeader(m *member, lease int64, old cluster.Version, compare bool) error {
	st.w.checkLeaderWrite(m, old, compare)
	if compare {
		if err := condition(st.now.Leader.Version, old); err != nil {
			return err
		}
	}
	if st.leases[lease] == nil {
		return kv.ErrLost
	}
	st.w.acquired(m, old == 0)
	st.setLeader(cluster.Leader{Name: m.name, Lease: lease, Version: st.revision + 1})
	return nil
}

func (st *store) deleteLeader(old cluster.Version) error {
	if old == 0 || st.now.Leader.Version != old {
		return kv.ErrConflict
	}
	st.setLeader(cluster.Leader{})
	return nil
}

func (st *store) createInitialize(lease int64) error {
	switch {
	case st.now.Initialize.Present:
		return kv.ErrHeld
	case st.leases[lease] == nil:
		return kv.ErrLost
	}
	st.now.Initialize = cluster.Initialize{Present: true, Lease: lease, Version: st.bump()}
	st.tell(nil, true)
	return nil
}

func (st *store) putInitialize(id wal.SystemID, old cluster.Version) error {
	if err := condition(st.now.Initialize.Version, old); err != nil {
		return err
	}
	st.now.Initialize = cluster.Initialize{Present: true, SystemID: id, Version: st.bump()}
	st.tell(nil, true)
	return nil
}

func (st *store) deleteInitialize(old cluster.Version) error {
	if old == 0 || st.now.Initialize.Version != old {
		return kv.ErrConflict
	}
	st.now.Initialize = cluster.Initialize{}
	st.bump()
	st.tell(nil, true)
	return nil
}

func (st *store) putConfig(data map[string]any, old cluster.Version) error {
	if err := condition(st.now.Config.Version, old); err != nil {
		return err
	}
	st.now.Config = cluster.Config{Data: data, Version: st.bump()}
	if st.w.synchronous() && st.w.mode() == cluster.SyncOff {
		st.w.forgive("synchronous_mode is off")
	}
	st.tell(nil, true)
	return nil
}

func (st *store) putFailover(f cluster.Failover, old cluster.Version) error {
	if err := condition(st.now.Failover.Version, old); err != nil {
		return err
	}
	f.Version = st.bump()
	st.now.Failover = f
	st.tell(nil, true)
	return nil
}

// putStatus and putHistory wake nobody.
func (st *store) putStatus(s cluster.Status, old cluster.Version) (cluster.Version, error) {
	if err := condition(st.now.Status.Version, old); err != nil {
		return 0, err
	}
	s.Version = st.bump()
	st.now.Status = s
	return s.Version, nil
}

func (st *store) putHistory(h cluster.History) error {
	if err := condition(st.now.History.Version, h.Version); err != nil {
		return err
	}
	h.Version = st.bump()
	st.now.History = h
	return nil
}

func (st *store) putFailsafe(members map[string]string, old cluster.Version) error {
	if err := condition(st.failsafe, old); err != nil {
		return err
	}
	st.now.Failsafe, st.failsafe = members, st.bump()
	return nil
}

// putSync writes the promise over the version in it, zero for none.
func (st *store) putSync(promise cluster.Sync) error {
	if err := condition(st.now.Sync.Version, promise.Version); err != nil && !st.w.bend.syncBlindly {
		return err
	}
	promise.Version = st.bump()
	st.now.Sync = promise
	st.tell(nil, true)
	st.w.promised()
	return nil
}

func (st *store) deleteSync(old cluster.Version) error {
	if old == 0 || st.now.Sync.Version != old {
		return kv.ErrConflict
	}
	st.now.Sync = cluster.Sync{}
	st.bump()
	st.tell(nil, true)
	st.w.promised()
	return nil
}

// putMember writes a member document, which wakes the others when more than positions changed.
func (st *store) putMember(m *member, doc cluster.Member, lease int64) (cluster.Version, error) {
	if st.leases[lease] == nil {
		return 0, kv.ErrLost
	}
	doc.Lease, doc.Version = lease, st.bump()
	i, known := st.find(doc.Name)
	matters := true
	all := slices.Clone(st.now.Members)
	if known {
		matters = !sameBut(&all[i], &doc)
		all[i] = doc
	} else {
		all = slices.Insert(all, i, doc)
	}
	st.now.Members = all
	if matters {
		st.tell(m, false)
	}
	return doc.Version, nil
}

func (st *store) dropMember(name string) {
	i, known := st.find(name)
	if !known {
		return
	}
	st.now.Members = slices.Delete(slices.Clone(st.now.Members), i, i+1)
	st.bump()
	st.tell(nil, true)
}

func (st *store) find(name string) (int, bool) {
	for i, m := range st.now.Members {
		if m.Name >= name {
			return i, m.Name == name
		}
	}
	return len(st.now.Members), false
}

// tell wakes the agents whose watch sees a change. The author of a member document is not woken by it.
func (st *store) tell(author *member, everybody bool) {
	for _, m := range st.w.members {
		if m == author && !everybody || m.life == nil || st.down > 0 || !st.w.net.passes(storeNode, m.node) {
			continue
		}
		m.life.wakeAfter(st.w.net.latency(storeNode, m.node))
	}
}

// lose takes the majority away.
func (st *store) lose() { st.down++ }

// mend gives it back. A new leader of the store lets every lease last its whole ttl once more, and some of the writes
// that were under way happen after all.
func (st *store) mend() {
	if st.down--; st.down > 0 {
		return
	}
	limbo := st.limbo
	st.limbo = nil
	for _, do := range limbo {
		if st.w.rng.IntN(2) == 0 {
			do()
		}
	}
	for id := int64(1); id <= st.granted; id++ {
		if l := st.leases[id]; l != nil {
			l.ends = max(l.ends, st.w.now+l.ttl)
			st.expect(l)
		}
	}
	for _, m := range st.w.members {
		m.lookAgain()
	}
	st.w.routes()
}

// recent reports whether documents were deleted so lately that what agents know of them may still be from before.
func (st *store) recent() bool {
	return st.wiped != 0 && st.w.now-st.wiped < 2*int64(st.w.ttl())
}

// wipe deletes documents, as an operator does, and with leases the store itself is replaced by an empty one.
func (st *store) wipe(key string, leases bool) {
	st.wiped = st.w.now
	all := key == ""
	if all || key == "config" {
		st.now.Config = cluster.Config{}
	}
	if all || key == "initialize" {
		st.now.Initialize = cluster.Initialize{}
	}
	if all || key == "history" {
		st.now.History = cluster.History{}
	}
	if all || key == "status" {
		st.now.Status = cluster.Status{}
	}
	if all || key == "failsafe" {
		st.now.Failsafe, st.failsafe = nil, 0
	}
	if all || key == "failover" {
		st.now.Failover = cluster.Failover{}
	}
	if all || key == "sync" {
		st.now.Sync = cluster.Sync{}
		st.w.forgive("the promise was deleted by a fault")
	}
	if all || key == "members" {
		st.now.Members = nil
	}
	if all || key == "leader" {
		st.setLeader(cluster.Leader{})
	}
	if leases {
		st.replaced++
		st.limbo = nil
		st.leases = map[int64]*lease{}
	}
	st.bump()
	st.tell(nil, true)
}
