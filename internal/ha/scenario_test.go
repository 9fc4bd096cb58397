package ha

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The scenarios in testdata are the specification of the rules. Each file opens with prose; then
//
//	given    starts over with the facts that follow, one per line
//	and      changes facts and keeps the memory
//	decide   runs Next and prints its decision; the golden text is the expected one
//
// Facts, in any order (times are seconds on an imaginary clock):
//
//	now 100 · self n1 [tag=value…] [clone] [alone] · ttl 30 · loop_wait 10 · primary_start_timeout 0 · maximum_lag 0
//	primary_race_backoff 5 · pause on|off · failsafe_mode on|off · standby_cluster HOST|archive|none
//	failsafe n1 n2|none (the key) · consent until=130 asked=100 · heard n2 [when=99] · watchdog [required] [usable] [active]
//	dcs down|up · leader n2|none|n1 old · lease renewed=95 [ttl=20]|none · initialize ID|none|empty [ours] · optime 0/1
//	config none · history 2 [by=n2]|none · failover leader=n1 candidate=n2 at=TEXT · failover none
//	member n2 primary|replica|standby_leader running|stopped|… [streaming] [tag[=value]…] [checkpointing] · member n2 none
//	server empty|incomplete|unknown|stopped|starting|running|stopping [primary|standby] [tl=1] [at=0/1] [streaming] [follows=n2]
//	       [clean] [silent] [norewind] [aside] [id=…] [remote] [replaypaused] [pending] [started=50] [version=150012] [led=2]
//	peer n2 primary|standby running|… tl=1 at=0/1 [nofailover] [declines] [priority=2] [when=99] · peer n2 silent
//	upstream n2|remote tl=2 switched=0/1 [when=99] [recovering] · upstream n2 silent
//	job KIND [primary] [began=90] [timeout=5] [checkpoint=0/1] · job none · ended KIND ok|failed [lost] [checkpoint=0/1]
//	synchronous_mode on|quorum|off [strict] [count=2] · sync LEADER 1 n2,n3 [sure] | none · names 'TEXT' [sure] [own] · held
//	sender n2 [sent=0/1] [flushed=0/1] [slot=other] · sender n2 none
//	leaving · outcome ACTION done|refused|unknown · request none|restart|reinitialize [at=110] [started=50] [role=primary] [below=160000]
//	       [pending] [timeout=5]
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
			case "decide":
				return s.decide()
			default:
				d.Fatalf(t, "unknown verb %q", d.Cmd)
			}
			return ""
		})
	})
}

const (
	testIdentity = wal.SystemID("7000000000000000001")
	ownLease     = 1
	otherLease   = 99
)

type scenario struct {
	mem  Memory
	view View
}

// newScenario is a member n1 of a known cluster, with a lease and a reachable DCS.
func newScenario() scenario {
	s := scenario{}
	s.view = View{
		Now: at("100"), Fresh: true, Self: Self{Name: "n1"},
		Settings: cluster.Config{}.Settings(),
		Lease:    Lease{ID: ownLease, Renewed: at("95"), Deadline: at("125")},
		Peers:    map[string]Peer{},
	}
	s.view.Cluster.Initialize = cluster.Initialize{Present: true, SystemID: testIdentity, Version: 1}
	s.view.Cluster.Config = cluster.Config{Data: map[string]any{}, Version: 1}
	s.view.Cluster.History = cluster.History{Present: true}
	return s
}

func at(text string) time.Time {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("not a time: " + text)
	}
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(f * float64(time.Second)))
}

func (s *scenario) decide() string {
	mem, d := Next(s.mem, s.view)
	s.mem = mem
	s.view.Outcomes, s.view.Ended, s.view.Requests = nil, nil, nil
	var b strings.Builder
	fmt.Fprintf(&b, "why: %s\n", d.Why)
	for _, c := range d.Checks {
		mark := "ok"
		if !c.OK {
			mark = "no"
		}
		fmt.Fprintf(&b, "  %s  %s: %s\n", mark, c.Rule, c.Detail)
	}
	for _, a := range d.Do {
		fmt.Fprintf(&b, "do: %s\n", a)
	}
	if d.Again {
		b.WriteString("again\n")
	}
	return b.String()
}

func (s *scenario) facts(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	for line := range strings.SplitSeq(d.Input, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.fact(words[0], newWords(words[1:])); err != nil {
			d.Fatalf(t, "%s: %v", line, err)
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

func (w words) lsn(key string) wal.LSN {
	if w.keys[key] == "" {
		return 0
	}
	l, err := wal.ParseLSN(w.keys[key])
	if err != nil {
		panic(err)
	}
	return l
}

func (w words) timeline() wal.Timeline {
	n, err := strconv.Atoi(w.keys["tl"])
	if err != nil {
		return 0
	}
	return wal.Timeline(n)
}

func (w words) seconds() time.Duration {
	n, err := strconv.Atoi(w.first())
	if err != nil {
		panic(err)
	}
	return time.Duration(n) * time.Second
}

func (s *scenario) when(w words) time.Time {
	if w.keys["when"] != "" {
		return at(w.keys["when"])
	}
	return s.view.Now
}

func (s *scenario) fact(verb string, w words) error {
	v := &s.view
	switch verb {
	case "now":
		v.Now = at(w.first())
	case "self":
		v.Self = Self{Name: w.first(), Tags: w.tags(), CloneDiverged: w.has("clone"), CloneAfterRewindFailure: w.has("clone"), CloneAlone: w.has("alone")}
	case "ttl":
		v.Settings.TTL = w.seconds()
	case "loop_wait":
		v.Settings.LoopWait = w.seconds()
	case "primary_start_timeout":
		v.Settings.PrimaryStartTimeout = w.seconds()
	case "maximum_lag":
		v.Settings.MaximumLagOnFailover = uint64(w.seconds() / time.Second)
	case "primary_race_backoff":
		v.Settings.PrimaryRaceBackoff = w.seconds()
	case "pause":
		v.Settings.Pause = w.has("on")
	case "failsafe_mode":
		v.Settings.FailsafeMode = w.has("on")
	case "failsafe":
		v.Cluster.Failsafe = w.addresses()
	case "consent":
		v.Failsafe.Until, v.Failsafe.Asked = at(w.keys["until"]), at(w.keys["asked"])
	case "heard":
		v.Failsafe.Leader, v.Failsafe.Heard = w.first(), s.when(w)
	case "watchdog":
		v.Watchdog = Watchdog{Wanted: true, Required: w.has("required"), Usable: w.has("usable"), Active: w.has("active")}
	case "standby_cluster":
		v.Settings.Standby = standbyOf(w.first())
	case "dcs":
		v.Fresh = w.first() == "up"
	case "leader":
		v.Cluster.Leader = leaderKey(v.Self.Name, w)
	case "lease":
		v.Lease = Lease{}
		if w.keys["renewed"] != "" {
			v.Lease = Lease{ID: ownLease, Renewed: at(w.keys["renewed"]), Deadline: at(w.keys["renewed"]).Add(v.Settings.TTL)}
			if v.Lease.TTL = time.Duration(w.number("ttl")) * time.Second; v.Lease.TTL > 0 {
				v.Lease.Deadline = v.Lease.Renewed.Add(v.Lease.TTL)
			}
		}
	case "initialize":
		v.Cluster.Initialize = initializeKey(w)
	case "optime":
		l, err := wal.ParseLSN(w.first())
		v.Cluster.Status.Optime = l
		return err
	case "config":
		v.Cluster.Config = cluster.Config{}
	case "history":
		v.Cluster.History = historyKey(w.first())
		if n := len(v.Cluster.History.Lines); n > 0 {
			v.Cluster.History.Lines[n-1].Leader = w.keys["by"]
		}
	case "failover":
		v.Cluster.Failover = cluster.Failover{
			Leader: w.keys["leader"], Candidate: w.keys["candidate"], ScheduledAt: w.keys["at"], Version: 1,
		}
	case "member":
		s.member(w)
	case "server":
		s.server(w)
	case "peer":
		v.Peers[w.first()] = Peer{
			At: s.when(w), Reached: !w.has("silent"), InRecovery: w.has("standby"), State: stateIn(w),
			Timeline: w.timeline(), Position: w.lsn("at"), NoFailover: w.has("nofailover"), Priority: w.number("priority"),
			Declines: w.has("declines"),
		}
	case "upstream":
		v.Upstream = Upstream{
			Member: strings.TrimPrefix(w.first(), "remote"), Remote: w.first() == "remote", At: s.when(w), Reached: !w.has("silent"), InRecovery: w.has("recovering"),
			Timeline: w.timeline(), SystemID: testIdentity,
		}
		if sw := w.lsn("switched"); sw != 0 {
			v.Upstream.History = wal.History{{Timeline: w.timeline() - 1, End: sw}}
		}
	case "job":
		v.Job = RunningJob{}
		if !w.has("none") {
			v.Job = RunningJob{
				Job:   Job{Kind: JobKind(w.first()), Primary: w.has("primary"), Timeout: time.Duration(w.number("timeout")) * time.Second},
				Began: v.Now, Checkpoint: w.lsn("checkpoint"),
			}
			if w.keys["began"] != "" {
				v.Job.Began = at(w.keys["began"])
			}
		}
	case "ended":
		v.Job = RunningJob{}
		v.Ended = &EndedJob{
			Job: Job{Kind: JobKind(w.first())}, OK: w.has("ok"), SourceLost: w.has("lost"), Trouble: "it broke", Checkpoint: w.lsn("checkpoint"),
		}
	case "outcome":
		return s.outcome(w)
	case "synchronous_mode":
		v.Settings.Synchronous, v.Settings.SynchronousStrict = cluster.SyncMode(w.first()), w.has("strict")
		if v.Settings.SynchronousNodes = max(w.number("count"), 1); w.first() == "off" {
			v.Settings.Synchronous = cluster.SyncOff
		}
	case "sync":
		return s.sync(w)
	case "names":
		return s.names(w)
	case "sender":
		s.sender(w)
	case "held":
		v.Server.Held = true
	case "leaving":
		v.Leaving = true
	case "request":
		v.Requests = w.requests()
	default:
		return fmt.Errorf("unknown fact %q", verb)
	}
	return nil
}

func (s *scenario) sync(w words) error {
	s.view.Cluster.Sync = cluster.Sync{}
	if w.has("none") {
		return nil
	}
	quorum, err := strconv.Atoi(w.bare[1])
	s.view.Cluster.Sync = cluster.Sync{Leader: w.first(), Quorum: quorum, Version: 1}
	if len(w.bare) > 2 && w.bare[2] != "sure" {
		s.view.Cluster.Sync.Voters = strings.Split(w.bare[2], ",")
	}
	s.mem.PromiseSure = s.mem.PromiseSure || w.has("sure")
	return err
}

// names are those in force; blanks in the text are underscores.
func (s *scenario) names(w words) error {
	text := strings.ReplaceAll(strings.Trim(w.first(), "'"), "_", " ")
	names, err := guc.ParseSyncNames(text)
	s.view.Server.SyncNames, s.view.Server.NamesManaged = names, !w.has("own")
	s.mem.NamesSure = w.has("sure")
	return err
}

func (s *scenario) sender(w words) {
	v := &s.view
	v.Server.Senders = slices.DeleteFunc(slices.Clone(v.Server.Senders), func(b Sender) bool { return b.Name == w.first() })
	if w.has("none") {
		return
	}
	b := Sender{Name: w.first(), Slot: cmp.Or(w.keys["slot"], cluster.SlotName(w.first())), SyncState: "async", Sent: w.lsn("sent"), Flushed: w.lsn("flushed")}
	b.Sent = max(b.Sent, b.Flushed)
	v.Server.Senders = append(v.Server.Senders, b)
}

// tags are the words of a member that are tags: nofailover, replicatefrom=n2.
func (w words) tags() cluster.Tags {
	tags := cluster.Tags{}
	for _, tag := range []string{"nofailover", "clonefrom", "nostream", "nosync"} {
		if w.has(tag) {
			tags[tag] = true
		}
	}
	for _, tag := range []string{"replicatefrom", "failover_priority"} {
		if value, given := w.keys[tag]; given {
			tags[tag] = value
		}
	}
	return tags
}

func (w words) number(key string) int {
	if w.keys[key] == "" {
		return 0
	}
	n, err := strconv.Atoi(w.keys[key])
	if err != nil {
		panic(err)
	}
	return n
}

// addresses are the members named, each with its REST address.
func (w words) addresses() map[string]string {
	out := map[string]string{}
	for _, name := range w.bare {
		if name != "none" {
			out[name] = "http://" + name + ":8008/patroni"
		}
	}
	return out
}

func (w words) requests() []Request {
	r := Request{
		ID: 7, Kind: RequestRestart, Role: cluster.Role(w.keys["role"]), Below: w.number("below"), Pending: w.has("pending"),
		Timeout: time.Duration(w.number("timeout")) * time.Second,
	}
	switch w.first() {
	case "none":
		return nil
	case "reinitialize":
		r.Kind = RequestReinitialize
	}
	if w.keys["at"] != "" {
		r.At = at(w.keys["at"])
	}
	if w.keys["started"] != "" {
		r.StartedAt = at(w.keys["started"])
	}
	return []Request{r}
}

func standbyOf(source string) cluster.StandbyCluster {
	switch source {
	case "none":
		return cluster.StandbyCluster{}
	case "archive":
		return cluster.StandbyCluster{RestoreCommand: "cp /archive/%f %p"}
	}
	return cluster.StandbyCluster{Host: source}
}

func leaderKey(self string, w words) cluster.Leader {
	switch {
	case w.first() == "none":
		return cluster.Leader{}
	case w.first() == self && !w.has("old"):
		return cluster.Leader{Name: self, Lease: ownLease, Version: 5}
	}
	return cluster.Leader{Name: w.first(), Lease: otherLease, Version: 5}
}

func initializeKey(w words) cluster.Initialize {
	lease := int64(otherLease)
	if w.has("ours") {
		lease = ownLease
	}
	switch w.first() {
	case "none":
		return cluster.Initialize{}
	case "empty":
		return cluster.Initialize{Present: true, Lease: lease, Version: 1}
	}
	return cluster.Initialize{Present: true, SystemID: wal.SystemID(w.first()), Version: 1}
}

func historyKey(timeline string) cluster.History {
	n, err := strconv.Atoi(timeline)
	if err != nil {
		return cluster.History{}
	}
	h := cluster.History{Present: true}
	for tl := 1; tl < n; tl++ {
		h.Lines = append(h.Lines, cluster.HistoryLine{Switch: wal.Switch{Timeline: wal.Timeline(tl)}})
	}
	return h
}

func (s *scenario) member(w words) {
	name := w.first()
	members := s.view.Cluster.Others(name)
	if !w.has("none") {
		m := cluster.Member{
			Name: name, ConnURL: "postgres://" + name + ":5432/postgres", APIURL: "http://" + name + ":8008/patroni",
			State: stateIn(w), Role: cluster.RoleReplica, Tags: w.tags(), AgentVersion: w.keys["version"],
		}
		if w.has("primary") {
			m.Role = cluster.RolePrimary
		}
		if w.has("standby_leader") {
			m.Role = cluster.RoleStandbyLeader
		}
		if w.has("streaming") {
			m.ReplicationState = cluster.ReplicationStreaming
		}
		if w.has("checkpointing") {
			m.CheckpointAfterPromote = new(bool)
		}
		members = append(members, m)
	}
	s.view.Cluster.Members = sortedMembers(members)
}

func sortedMembers(ms []cluster.Member) []cluster.Member {
	for i := range ms {
		for j := i; j > 0 && ms[j].Name < ms[j-1].Name; j-- {
			ms[j], ms[j-1] = ms[j-1], ms[j]
		}
	}
	return ms
}

func stateIn(w words) cluster.State {
	for _, s := range []cluster.State{cluster.StateStopped, cluster.StateStarting, cluster.StateCreatingReplica, cluster.StateCrashed} {
		if w.has(string(s)) {
			return s
		}
	}
	return cluster.StateRunning
}

func (s *scenario) server(w words) {
	sv := Server{
		Data: DataCluster, SystemID: testIdentity, Answers: !w.has("silent"), InRecovery: w.has("standby"),
		Timeline: w.timeline(), Position: w.lsn("at"), Streaming: w.has("streaming"), Follows: w.keys["follows"],
		CanRewind: !w.has("norewind"), SetAside: w.has("aside"), FollowsRemote: w.has("remote"), ReplayPaused: w.has("replaypaused"),
		PendingRestart: w.has("pending"), Version: w.number("version"), Led: wal.Timeline(w.number("led")), //nolint:gosec // a scenario's numbers are small
	}
	if w.keys["started"] != "" {
		sv.Started = at(w.keys["started"])
	}
	if id := w.keys["id"]; id != "" {
		sv.SystemID = wal.SystemID(id)
	}
	switch w.first() {
	case "empty":
		sv = Server{Data: DataEmpty}
	case "incomplete":
		sv = Server{Data: DataIncomplete, SetAside: w.has("aside")}
	case "unknown":
		sv = Server{Data: DataUnknown, Trouble: "input/output error"}
	case "starting":
		sv.Process = Starting
	case "running":
		sv.Process = Running
	case "stopping":
		sv.Process = Stopping
	case "stopped":
		sv.Control = Control{Clean: w.has("clean"), Standby: w.has("standby"), Primary: w.has("primary"), Timeline: w.timeline(), End: w.lsn("at")}
		sv.InRecovery, sv.Timeline, sv.Position, sv.Answers = false, 0, 0, false
	}
	// Whom commits wait for is said by facts of its own.
	sv.SyncNames, sv.NamesManaged, sv.Senders = s.view.Server.SyncNames, s.view.Server.NamesManaged, s.view.Server.Senders
	s.view.Server = sv
}

func (s *scenario) outcome(w words) error {
	results := map[string]Result{"done": Done, "refused": Refused, "unknown": Unknown}
	actions := map[string]Action{
		"acquire": AcquireLeader{}, "renew": RenewLease{}, "ask": AskPeers{peersToAsk(s.view)}, "watchdog": ActivateWatchdog{},
		"sync": WriteSync{}, "names": SetSyncNames{},
	}
	a, known := actions[w.first()]
	if !known {
		return fmt.Errorf("unknown action %q", w.first())
	}
	for word, r := range results {
		if w.has(word) {
			s.view.Outcomes = append(s.view.Outcomes, Outcome{Action: a, Result: r})
		}
	}
	return nil
}
