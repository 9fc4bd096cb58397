package quorum

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// world is a cluster as the exhaustive search sees it: who holds how much of the WAL, what was acknowledged, and what each
// process of the leader's server goes by.
//
// A commit is a position, and whoever holds a position holds all before it. So the newest acknowledged position stands for
// all acknowledged commits, and it is raised as far as the senders allow after every event: an earlier acknowledgement only
// makes the law harder to keep.
type world struct {
	mode   cluster.SyncMode
	count  int
	strict bool

	lead    int
	promise cluster.Sync
	// names is what the server was told last, late what it may still be told by a SetSyncNames without an answer. told is
	// true when all its processes were, at the position since. open says that commits wait for nobody.
	names guc.SyncNames
	late  *guc.SyncNames
	told  bool
	open  bool
	since int

	at, acked int
	members   []member
	mem       Memory
}

// member is what its server holds and, while it is here, what the leader's process that sends it WAL does.
type member struct {
	hold, sent int
	here, lags bool
	goes       guc.SyncNames
}

// instant is always now: what a world remembers of the past is moved back instead.
var instant = moment(0)

const (
	origin   = 1000 // the first position
	tooFar   = 500
	patience = 10 * time.Second
)

// ages are the spans of time that make a difference: none, more than the grace of a sender, and more than the patience.
var ages = []time.Duration{0, 2 * senderGrace, 2 * patience}

func name(i int) string { return "abcde"[i : i+1] }

func (w *world) clone() world {
	other := *w
	other.members = slices.Clone(w.members)
	return other
}

// view is what the leader sees.
func (w *world) view() View {
	v := View{
		Now: instant, Self: name(w.lead), Mode: w.mode, Count: w.count, Strict: w.strict, MaximumLag: tooFar, Patience: patience,
		Promise: w.promise, Names: w.names, Doubt: !w.told, Position: origin + wal.LSN(w.at), //nolint:gosec // small
	}
	for i, m := range w.members {
		if !m.here || i == w.lead {
			continue
		}
		s := Standby{Name: name(i), Priority: 1, Sent: origin + wal.LSN(m.sent), Flushed: origin + wal.LSN(m.hold)} //nolint:gosec // small
		if m.lags {
			s.Flushed = 1
		}
		v.Standbys = append(v.Standbys, s)
	}
	return v
}

// tell has the server go by the names; its senders read them when they get to it.
func (w *world) tell(n guc.SyncNames, all bool) {
	w.names, w.late, w.told, w.since = n, nil, all, w.at
	w.open = n.Empty() || w.open && !all
}

// send brings a standby all the WAL. A sender that is past what it did when it was told goes by what it was told.
func (w *world) send(i int) {
	m := &w.members[i]
	m.sent = w.at
	if w.told && m.sent > w.since {
		m.goes = w.names
	}
}

// acknowledge acknowledges all that any sender may.
func (w *world) acknowledge() {
	if w.open {
		w.acked = w.at
	}
	for i := range w.members {
		if w.rank(i) >= 0 {
			w.acked = max(w.acked, w.released(i))
		}
	}
}

// rank is the place of a standby in the names that its own sender goes by, -1 where that finds it not named.
func (w *world) rank(i int) int {
	if m := &w.members[i]; m.here && i != w.lead {
		return slices.Index(m.goes.Names, name(i))
	}
	return -1
}

// released is the newest position that the sender of a standby may acknowledge (SyncRepGetSyncRecPtr): with ANY that many
// of the candidates have it, with FIRST those that come first, its own standby among them. A candidate is one whose own
// sender finds it named.
func (w *world) released(sender int) int {
	n := w.members[sender].goes
	type candidate struct{ hold, place int }
	var all []candidate
	for i := range w.members {
		rank := w.rank(i)
		switch {
		case rank < 0 || n.Any:
		case i == sender:
			rank = 2 * rank // before whoever has the same place by another configuration: either may come first
		default:
			rank = 2*rank + 1
		}
		if rank >= 0 {
			all = append(all, candidate{w.members[i].hold, rank})
		}
	}
	if len(all) < n.Num {
		return 0
	}
	if n.Any {
		slices.SortFunc(all, func(a, b candidate) int { return b.hold - a.hold })
		return all[n.Num-1].hold
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(a.place-b.place, b.hold-a.hold) })
	low, own := w.at, false
	for _, c := range all[:n.Num] {
		low, own = min(low, c.hold), own || c.place == 2*w.rank(sender)
	}
	if !own {
		return 0
	}
	return low
}

// winners are the members that may win the leader key, should the leader fail now: with nobody ahead among as many others
// as the promise asks for, or as the one that made it.
func (w *world) winners() []int {
	var can []int
	for i, m := range w.members {
		votes := 0
		for j, o := range w.members {
			if j != i && w.promise.Votes(name(j)) && o.hold <= m.hold {
				votes++
			}
		}
		if w.promise.Leader == name(i) || w.promise.Votes(name(i)) && votes >= w.promise.Quorum {
			can = append(can, i)
		}
	}
	return can
}

// lost names a member that can win without an acknowledged commit.
func (w *world) lost() string {
	if !w.promise.Made() {
		return "" // asynchronous still
	}
	for _, i := range w.winners() {
		if w.members[i].hold < w.acked {
			return name(i)
		}
	}
	return ""
}

// pass moves what is remembered back in time.
func (w *world) pass(age int) {
	older := func(at time.Time) time.Time {
		return instant.Add(-ages[max(age, slices.Index(ages, instant.Sub(at)))])
	}
	seen := map[string]time.Time{}
	for n, at := range w.mem.Seen {
		seen[n] = at
		if !w.members[n[0]-'a'].here {
			seen[n] = older(at)
		}
	}
	w.mem.Seen = seen
	if w.mem.Begun && w.mem.MarkedAt != (time.Time{}) {
		w.mem.MarkedAt = older(w.mem.MarkedAt)
	}
	for i := range w.members {
		if w.told {
			w.members[i].goes = w.names
		}
	}
}

// elect makes a member the leader after the present one failed. What others hold beyond its WAL is no part of it.
func (w *world) elect(i int, inherit inheritFunc) {
	p, names := inherit(w.promise, name(i), w.mode, w.strict)
	w.promise, w.lead, w.at, w.mem = p, i, w.members[i].hold, Memory{}
	w.tell(names, true)
	w.told = false // a new life of the agent
	for j := range w.members {
		m := &w.members[j]
		*m = member{hold: min(m.hold, w.at)}
	}
}

type (
	nextFunc    func(Memory, View) (Memory, Step)
	inheritFunc func(cluster.Sync, string, cluster.SyncMode, bool) (cluster.Sync, guc.SyncNames)
)

// rules are the functions under test, or bent ones.
type rules struct {
	next    nextFunc
	inherit inheritFunc
}

// event is one thing that can happen, and what comes of it.
type event struct {
	what  string
	after world
}

// events are all that can happen now, the agent's next step first.
func (w *world) events(r rules) []event {
	var all []event
	add := func(what string, happen func(w *world)) {
		after := w.clone()
		happen(&after)
		if after.members[after.lead].hold < after.at {
			after.members[after.lead].hold = after.at
		}
		after.acknowledge()
		all = append(all, event{what: what, after: after})
	}
	w.ofAgent(r, add)
	for i := range w.members {
		if i != w.lead {
			w.ofStandby(i, add)
		}
	}
	w.ofSettings(add)
	add("a second passes", func(w *world) { w.pass(1) })
	add("the patience passes", func(w *world) { w.pass(2) })
	if w.promise.Made() {
		for _, i := range w.winners() {
			add("the leader crashes, then leads "+name(i), func(w *world) { w.elect(i, r.inherit) })
		}
	}
	return all
}

func (w *world) ofStandby(i int, add func(string, func(*world))) {
	who, is := name(i), w.members[i]
	if !is.here {
		add(who+" comes", func(w *world) {
			w.members[i] = member{here: true, hold: is.hold, sent: w.at, goes: w.names}
		})
		return
	}
	add(who+" goes", func(w *world) { w.members[i] = member{hold: is.hold} })
	add(who+" lags, or does no more", func(w *world) { w.members[i].lags = !is.lags })
	if !is.lags {
		add("a commit, received by "+who, func(w *world) {
			w.at++
			w.send(i)
			w.members[i].hold = w.at
		})
		if is.hold < w.at {
			add(who+" flushes everything", func(w *world) {
				w.send(i)
				w.members[i].hold = w.at
			})
		}
	}
	if is.sent < w.at || !is.goes.Same(w.names) {
		add("the sender of "+who+" goes on", func(w *world) {
			w.send(i)
			w.members[i].goes = w.names
		})
	}
}

func (w *world) ofAgent(r rules, add func(string, func(*world))) {
	mem, step := r.next(w.mem, w.view())
	does := strings.TrimSpace(strings.SplitN(describe(step), "\n", 2)[0])
	add(does, func(w *world) {
		w.mem = mem
		w.carryOut(step)
	})
	if step.Kind == SetNames {
		add(does+" is done without an answer", func(w *world) {
			w.mem = mem
			w.tell(step.Names, false)
		})
		add(does+" is yet to be done", func(w *world) { w.mem, w.told, w.late = mem, false, &step.Names })
	}
	if step.Kind == MakePromise {
		add(does+" is refused", func(w *world) { w.mem = mem })
	}
	if w.late != nil {
		add("what was asked earlier is done", func(w *world) { w.tell(*w.late, false) })
	}
	add("the agent starts again", func(w *world) { w.mem, w.told = Memory{}, false })
}

func (w *world) carryOut(s Step) {
	switch s.Kind {
	case SetNames:
		w.tell(s.Names, true)
	case MakePromise:
		w.promise = s.Promise
	case Emit:
		w.at++
	case Rest, Await:
	}
}

func (w *world) ofSettings(add func(string, func(*world))) {
	add("the mode changes", func(w *world) {
		w.mode = map[cluster.SyncMode]cluster.SyncMode{cluster.SyncOn: cluster.SyncQuorum, cluster.SyncQuorum: cluster.SyncOn}[w.mode]
	})
	add("the count changes", func(w *world) { w.count = 3 - w.count })
	add("strict changes", func(w *world) { w.strict = !w.strict })
}

// key describes a world up to the names of its members other than the leader, and up to the size of the steps between
// positions: worlds with one key have the same future. What no later step asks for is left out.
func (w *world) key() string {
	values := w.values()
	rank := w.ranks()
	out := make([]byte, 0, 96)
	out = append(out,
		byte(w.count), bits(w.mode == cluster.SyncOn, w.strict, w.late != nil, w.told, w.open, w.mem.Begun, w.mem.Unsure, w.mem.Heard),
		byte(w.promise.Quorum), bits(w.promise.Made(), w.promise.Leader == name(w.lead), w.mem.Mark > 0, w.at > mark(w.mem)),
		byte(len(w.mem.Owed)), byte(len(values)), rank(w.at), rank(w.acked))
	if w.mem.Mark > 0 || w.mem.Heard {
		out = append(out, age(w.mem.MarkedAt))
	}
	if w.mem.Heard {
		out = append(out, rank(mark(w.mem)))
	}
	for _, n := range values {
		out = append(out, byte(n.Num), bits(n.Any, n.Has(guc.NobodySync)))
	}
	out = w.sign(out, w.lead, values, rank)
	begin, size := len(out), 0
	for i := range w.members {
		if i != w.lead {
			out = w.sign(out, i, values, rank)
			size = (len(out) - begin) / (len(w.members) - 1)
		}
	}
	return string(out[:begin]) + sorted(out[begin:], size)
}

// sorted sorts the signs of the members, which are of one size.
func sorted(signs []byte, size int) string {
	var all []string
	for one := range slices.Chunk(signs, size) {
		all = append(all, string(one))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// values are all names that some process or memory goes by: first those with a part of their own, then the rest.
func (w *world) values() []guc.SyncNames {
	values := make([]guc.SyncNames, 0, 8)
	values = append(values, w.names, w.mem.Names)
	if w.late != nil {
		values = append(values, *w.late)
	}
	values = append(values, w.mem.Owed...)
	slices.SortFunc(values[len(values)-len(w.mem.Owed):], compare)
	for i := range w.members {
		if n := w.members[i].goes; !slices.ContainsFunc(values, func(o guc.SyncNames) bool { return identical(o, n) }) {
			values = append(values, n)
		}
	}
	return values
}

func compare(a, b guc.SyncNames) int {
	return cmp.Or(cmp.Compare(bits(a.Any), bits(b.Any)), cmp.Compare(a.Num, b.Num), slices.Compare(a.Names, b.Names))
}

// sign appends all that is to be said about one member.
func (w *world) sign(out []byte, i int, values []guc.SyncNames, rank func(int) byte) []byte {
	m, who := w.members[i], name(i)
	goes := slices.IndexFunc(values, func(o guc.SyncNames) bool { return identical(o, m.goes) })
	sent, seen := m.sent > mark(w.mem) || w.mem.Heard, byte(0)
	if w.mem.Names.Has(who) || w.late != nil {
		seen = age(w.mem.Seen[who])
	}
	out = append(out, rank(m.hold), byte(goes), seen,
		bits(m.here, m.lags, m.sent > w.since, sent, w.promise.Names(who), w.promise.Leader == who))
	for _, n := range values {
		place := byte(0)
		if at := slices.Index(n.Names, who); at >= 0 {
			place = 1
			if !n.Any && n.Num < len(n.Names) {
				place += byte(at)
			}
		}
		out = append(out, place)
	}
	return out
}

func identical(a, b guc.SyncNames) bool {
	return a.Any == b.Any && a.Num == b.Num && slices.Equal(a.Names, b.Names)
}

func mark(mem Memory) int { return int(mem.Mark) - origin } //nolint:gosec // small

func age(at time.Time) byte { return byte(slices.Index(ages, instant.Sub(at)) + 1) }

func bits(all ...bool) byte {
	var b byte
	for i, yes := range all {
		if yes {
			b |= 1 << i
		}
	}
	return b
}

// ranks numbers the positions that are compared with each other.
func (w *world) ranks() func(int) byte {
	all := []int{w.at, w.acked, mark(w.mem)}
	for _, m := range w.members {
		all = append(all, m.hold)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return func(at int) byte {
		i, _ := slices.BinarySearch(all, at)
		return byte(i)
	}
}

func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s count %d strict %v, leader %s, promise %d of %v, names %q told %v open %v, at %d acked %d:", w.mode, w.count, w.strict, name(w.lead),
		w.promise.Quorum, w.promise.Voters, w.names, w.told, w.open, w.at, w.acked)
	for i, m := range w.members {
		fmt.Fprintf(&b, " %s holds %d goes by %q;", name(i), m.hold, m.goes)
	}
	return b.String()
}
