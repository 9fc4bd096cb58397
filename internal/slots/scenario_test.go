package slots

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The scenarios in testdata are the specification of the rules. Each file opens with prose; then
//
//	given     starts over with the facts that follow, one per line
//	and       changes facts and keeps the memory
//	plan      runs Next and prints what is to be done; the golden text is the expected one
//	done      has the steps of the last plan happen, and prints the slots
//	publish   runs Publish and prints what the leader says of its slots
//	feedback  prints whether hot_standby_feedback is needed
//	own       prints the slot that this member streams through; with the argument remote, on the remote
//
// Facts, in any order (times are seconds on an imaginary clock):
//
//	self n1 [TAG…] · role primary|replica|standby_leader · leader n2|none · position 0/500 · started 7
//	member n2 [down] [nostream] [nofailover] [replicatefrom=n3] [at=0/1] [version=3.3.2] · member n2 none
//	member_slots_ttl 0 · use_slots off · pause on|off · standby_cluster [slot=for_us] · dcs silent
//	permanent NAME [physical|logical db=app plugin=pgoutput] [in=primary|standby] · ignore [name=…] [type=…] [db=…] [plugin=…]
//	slot NAME [logical db=app plugin=pgoutput] [active] [temporary] [failover] [synced] [lost] [xmin=7] [catalog=7] [at=0/1] · slot NAME none
//	      (at is where WAL is kept from for a physical slot, how far its consumer is for a logical one)
//	leader_slot NAME … (the same on the leader's server, with restart=0/1) · oldest_wal 0/1 · spoiled NAME
//	status [optime=0/1] [NAME=0/1…] · retained [NAME…] · heard n3=0/1 · now 100
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s scenario
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			switch d.Cmd {
			case "given":
				s = newScenario()
				s.facts(t, d)
			case "and":
				s.facts(t, d)
			case "plan":
				return s.plan()
			case "done":
				s.view.Existing = apply(s.view, s.last.Steps)
				return show(s.view.Existing)
			case "publish":
				return s.publish()
			case "feedback":
				return strconv.FormatBool(Feedback(s.view)) + "\n"
			case "own":
				return fmt.Sprintf("%q\n", OwnSlot(s.view.Name, s.view.Tags, s.view.Settings, d.HasArg("remote")))
			default:
				d.Fatalf(t, "unknown verb %q", d.Cmd)
			}
			return ""
		})
	})
}

type scenario struct {
	mem  Memory
	view View
	last Plan
	now  time.Time
}

// newScenario is the leader n1 with the members n2 and n3, which stream from it, and no slots.
func newScenario() scenario {
	s := scenario{now: at(100)}
	s.view = View{Name: "n1", Settings: cluster.Config{}.Settings(), Role: Primary, Position: 0x1000, Started: at(1)}
	s.view.Settings.Slots = map[string]cluster.Slot{}
	s.view.Cluster.Leader.Name = "n1"
	s.view.Cluster.Status.Optime = 0x1000
	s.member(newWords([]string{"n2"}))
	s.member(newWords([]string{"n3"}))
	return s
}

func at(seconds int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

func (s *scenario) plan() string {
	s.mem, s.last = Next(s.mem, s.view)
	var b strings.Builder
	for _, step := range s.last.Steps {
		fmt.Fprintf(&b, "%s\n", step)
	}
	for _, line := range []struct {
		what  string
		names []string
	}{{"copy", s.last.Copy}, {"not safe", s.last.Unsafe}} {
		if len(line.names) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", line.what, strings.Join(line.names, " "))
		}
	}
	if s.last.AskLeader {
		b.WriteString("ask the leader for its slots\n")
	}
	for _, note := range s.last.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

func (s *scenario) publish() string {
	r, p := Publish(s.view.Retention, s.view, s.now)
	s.view.Retention = r
	s.view.Cluster.Status.Slots, s.view.Cluster.Status.RetainSlots = p.Positions, p.Retain
	return s.view.Cluster.Status.JSON() + "\n"
}

func show(all []Existing) string {
	var b strings.Builder
	for _, e := range all {
		fmt.Fprintf(&b, "%s at %s\n", describe(e.Slot), max(e.Restart, e.Confirmed))
	}
	return b.String()
}

func (s *scenario) facts(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for line := range strings.SplitSeq(d.Input, "\n") {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		if !s.fact(args[0], newWords(args[1:])) {
			d.Fatalf(t, "unknown fact %q", line)
		}
	}
}

// words are the arguments of one fact: bare ones in order, and key=value ones.
type words struct {
	bare []string
	keys map[string]string
}

func newWords(args []string) words {
	w := words{keys: map[string]string{}}
	for _, a := range args {
		if key, value, ok := strings.Cut(a, "="); ok {
			w.keys[key] = value
			continue
		}
		w.bare = append(w.bare, a)
	}
	return w
}

func (w words) has(word string) bool { return slices.Contains(w.bare, word) }

func (w words) first() string {
	if len(w.bare) == 0 {
		return ""
	}
	return w.bare[0]
}

func (w words) number(key string) uint32 {
	n, err := strconv.ParseUint("0"+w.keys[key], 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func lsn(text string) wal.LSN {
	if text == "" {
		return 0
	}
	l, err := wal.ParseLSN(text)
	if err != nil {
		panic(err)
	}
	return l
}

func seconds(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *scenario) fact(verb string, w words) bool {
	v := &s.view
	switch verb {
	case "self":
		v.Name, v.Tags = w.first(), w.tags()
	case "role":
		v.Role = map[string]Role{"primary": Primary, "replica": Replica, "standby_leader": StandbyLeader}[w.first()]
	case "leader":
		v.Cluster.Leader.Name = strings.TrimPrefix(w.first(), "none")
	case "position":
		v.Position = lsn(w.first())
	case "started":
		v.Started = at(seconds(w.first()))
	case "now":
		s.now = at(seconds(w.first()))
	case "member":
		s.member(w)
	case "slot":
		v.Existing = put(v.Existing, w)
	case "leader_slot":
		v.Leader = put(v.Leader, w)
	case "oldest_wal":
		v.OldestWAL = lsn(w.first())
	case "spoiled":
		v.Spoiled = w.bare
	case "status":
		s.status(w)
	case "retained":
		v.Cluster.Status.RetainSlots = w.bare
	case "heard":
		v.Heard = w.positions()
	case "dcs":
		v.Cut = w.has("silent")
	default:
		return s.setting(verb, w)
	}
	return true
}

func (s *scenario) setting(verb string, w words) bool {
	v := &s.view.Settings
	switch verb {
	case "member_slots_ttl":
		v.MemberSlotsTTL = time.Duration(seconds(w.first())) * time.Second
	case "use_slots":
		v.UseSlots = w.has("on")
	case "pause":
		v.Pause = w.has("on")
	case "standby_cluster":
		v.Standby = cluster.StandbyCluster{Host: "far", PrimarySlotName: w.keys["slot"]}
	case "permanent":
		v.Slots[w.first()] = w.slot(w.keys["in"])
	case "ignore":
		v.IgnoreSlots = append(v.IgnoreSlots, cluster.Slot{Name: w.keys["name"], Type: w.keys["type"], Database: w.keys["db"], Plugin: w.keys["plugin"]})
	default:
		return false
	}
	return true
}

func (w words) slot(in string) cluster.Slot {
	s := cluster.Slot{Name: w.first(), Type: cluster.PhysicalSlot, Database: w.keys["db"], Plugin: w.keys["plugin"], ClusterType: in}
	if w.has("logical") {
		s.Type = cluster.LogicalSlot
	}
	return s
}

// put replaces a slot in a list, or takes it away.
func put(all []Existing, w words) []Existing {
	all = slices.DeleteFunc(slices.Clone(all), func(e Existing) bool { return e.Name == w.first() })
	if w.has("none") {
		return all
	}
	e := Existing{
		Slot: w.slot(""), Active: w.has("active"), Temporary: w.has("temporary"), Failover: w.has("failover"), Synced: w.has("synced"),
		Lost: w.has("lost"), Xmin: w.number("xmin"), CatalogXmin: w.number("catalog"), Restart: lsn(w.keys["at"]),
	}
	if e.Logical() {
		e.Confirmed, e.Restart = e.Restart, lsn(w.keys["restart"])
	}
	return append(all, e)
}

func (w words) tags() cluster.Tags {
	tags := cluster.Tags{}
	for _, tag := range []string{"nofailover", "nostream"} {
		if w.has(tag) {
			tags[tag] = true
		}
	}
	if from := w.keys["replicatefrom"]; from != "" {
		tags["replicatefrom"] = from
	}
	return tags
}

func (s *scenario) member(w words) {
	c := &s.view.Cluster
	c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m cluster.Member) bool { return m.Name == w.first() })
	if w.has("none") {
		return
	}
	m := cluster.Member{
		Name: w.first(), ConnURL: "postgres://" + w.first() + ":5432/postgres", State: cluster.StateRunning, Tags: w.tags(),
		Location: lsn(w.keys["at"]), AgentVersion: w.keys["version"],
	}
	if w.has("down") {
		m.State = cluster.StateStopped
	}
	c.Members = append(c.Members, m)
	slices.SortFunc(c.Members, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
}

func (s *scenario) status(w words) {
	st := &s.view.Cluster.Status
	st.Optime = lsn(w.keys["optime"])
	delete(w.keys, "optime")
	st.Slots = w.positions()
}

func (w words) positions() map[string]wal.LSN {
	out := map[string]wal.LSN{}
	for name, at := range w.keys {
		out[name] = lsn(at)
	}
	return out
}

// apply is what a server makes of steps: it refuses what PostgreSQL refuses.
func apply(v View, steps []Step) []Existing {
	all := slices.Clone(v.Existing)
	for _, step := range steps {
		switch step := step.(type) {
		case Drop:
			all = slices.DeleteFunc(all, func(e Existing) bool { return e.Name == step.Name })
		case Create:
			if _, taken := find(all, step.Slot.Name); taken {
				panic("there is such a slot: " + step.String())
			}
			all = append(all, Existing{Slot: step.Slot, Restart: v.Position})
			if step.Slot.Logical() {
				all[len(all)-1].Confirmed = v.Position
			}
		case Advance:
			i := slices.IndexFunc(all, func(e Existing) bool { return e.Slot == step.Slot })
			if i < 0 {
				panic("there is no such slot: " + step.String())
			}
			if all[i].Confirmed = step.To; !step.Slot.Logical() {
				all[i].Confirmed, all[i].Restart = 0, step.To
			}
		}
	}
	return all
}
