package cluster

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Failover is the request in the failover key: a switchover when a leader is named, a failover when
// only a candidate is.
type Failover struct {
	Leader      string `json:"leader,omitempty"`
	Candidate   string `json:"member,omitempty"`
	ScheduledAt string `json:"scheduled_at,omitempty"`

	Version Version `json:"-"`
}

// Requested reports whether the key asks for anything; a cleared key is `{}`.
func (f Failover) Requested() bool { return f.Leader != "" || f.Candidate != "" }

// Kind is the word for the request in sentences: "switchover" or "failover".
func (f Failover) Kind() string {
	if f.Leader != "" {
		return "switchover"
	}
	return "failover"
}

// ParseFailover reads the failover key. The old form "leader:candidate" is understood; anything else
// that is not an object asks for nothing, and so does a name that is no text.
func ParseFailover(value string) Failover {
	if doc, ok := object(value); ok {
		return Failover{Leader: textIn(doc, "leader"), Candidate: textIn(doc, "member"), ScheduledAt: textIn(doc, "scheduled_at")}
	}
	leader, candidate, ok := strings.Cut(value, ":")
	if !ok || strings.ContainsAny(value, `{["`) {
		return Failover{}
	}
	return Failover{Leader: strings.TrimSpace(leader), Candidate: strings.TrimSpace(candidate)}
}

// JSON renders the document as it is stored; `{}` when nothing is asked.
func (f Failover) JSON() string { return compact(f) }

// Status is what the leader last said of its position.
type Status struct {
	// Optime is the leader's last known position.
	Optime wal.LSN
	// Slots is the position of each replication slot by name.
	Slots map[string]wal.LSN
	// RetainSlots names the slots kept for members that are away.
	RetainSlots []string

	Version Version
}

// ParseStatus reads the status key: an object, or a bare number as old members wrote it.
func ParseStatus(value string) Status {
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
		return Status{Optime: wal.LSN(n)}
	}
	doc, _ := object(value)
	s := Status{Optime: anyLSN(doc["optime"])}
	slots, _ := nested(doc["slots"]).(map[string]any)
	for name, lsn := range slots {
		if s.Slots == nil {
			s.Slots = map[string]wal.LSN{}
		}
		s.Slots[name] = anyLSN(lsn)
	}
	retained, _ := nested(doc["retain_slots"]).([]any)
	for _, item := range retained {
		if name, isText := item.(string); isText {
			s.RetainSlots = append(s.RetainSlots, name)
		}
	}
	return s
}

// nested reads a document that some stores hold as a text within another one.
func nested(v any) any {
	text, isText := v.(string)
	if !isText {
		return v
	}
	var inner any
	if exact(text, &inner) != nil {
		return nil
	}
	return inner
}

func anyLSN(v any) wal.LSN {
	text, isText := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		text, isText = n.String(), true
	}
	if !isText {
		return 0
	}
	u, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return wal.LSN(u)
}

// object reads a document; what is no object is none. Each part is then looked at by itself: what one part says wrongly
// must not take the others with it.
func object(value string) (map[string]any, bool) {
	var doc map[string]any
	return doc, exact(value, &doc) == nil && doc != nil
}

// textIn is a text in a document; empty where there is none.
func textIn(doc map[string]any, name string) string {
	value, _ := doc[name].(string)
	return value
}

// exact reads JSON without rounding its numbers: a position has up to 64 bits.
func exact(value string, into any) error {
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	return d.Decode(into)
}

// JSON renders the document as it is stored, without empty parts.
func (s Status) JSON() string {
	return compact(struct {
		Optime      wal.LSN            `json:"optime"`
		Slots       map[string]wal.LSN `json:"slots,omitempty"`
		RetainSlots []string           `json:"retain_slots,omitempty"`
	}{s.Optime, s.Slots, s.RetainSlots})
}

// Sync is the promise about synchronous standbys: which members hold every commit that was acknowledged. One of the
// voters, or the leader, may win a vacant leader key when it and Quorum more of them hold no newer WAL than it does.
type Sync struct {
	// Leader is the primary that made the promise; empty when none is made.
	Leader string
	Quorum int
	// Voters are the members beside the leader, sorted.
	Voters []string

	Version Version
}

// Made reports whether anything is promised.
func (s Sync) Made() bool { return s.Leader != "" }

// Votes reports whether a member is the leader or a voter of the promise. Names are compared without case, as
// PostgreSQL compares the names of standbys.
func (s Sync) Votes(name string) bool {
	return s.Made() && (strings.EqualFold(s.Leader, name) || s.Names(name))
}

// Names reports whether a member is a voter, without case.
func (s Sync) Names(name string) bool {
	return slices.ContainsFunc(s.Voters, func(v string) bool { return strings.EqualFold(v, name) })
}

// Says reports whether two promises say the same, whatever their versions.
func (s Sync) Says(other Sync) bool {
	return s.Leader == other.Leader && s.Quorum == other.Quorum && slices.Equal(s.Voters, other.Voters)
}

// maxVotes bounds what a promise may ask for: far more than there are members, and no sum with it overflows.
const maxVotes = 1 << 20

// ParseSync reads the sync key. Without a leader the whole document promises nothing.
func ParseSync(value string) Sync {
	doc, _ := object(value)
	if textIn(doc, "leader") == "" {
		return Sync{}
	}
	s := Sync{Leader: textIn(doc, "leader"), Quorum: int(min(anyLSN(doc["quorum"]), maxVotes))}
	for name := range strings.SplitSeq(textIn(doc, "sync_standby"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.Voters = append(s.Voters, name)
		}
	}
	slices.Sort(s.Voters)
	return s
}

// JSON renders the document with its three keys in their order.
func (s Sync) JSON() string {
	var standby any
	if len(s.Voters) > 0 {
		standby = strings.Join(slices.Sorted(slices.Values(s.Voters)), ",")
	}
	return compact(struct {
		Leader  string `json:"leader"`
		Quorum  int    `json:"quorum"`
		Standby any    `json:"sync_standby"`
	}{s.Leader, s.Quorum, standby})
}

// HistoryLine is one timeline that ended.
type HistoryLine struct {
	wal.Switch
	// At is when the leader noticed, ISO 8601; empty when unknown.
	At string
	// Leader is the member that began the next timeline; empty when unknown.
	Leader string
}

// History is the history key.
type History struct {
	// Present tells a key that lists nothing (timeline 1) from no key.
	Present bool
	Lines   []HistoryLine
	Version Version
}

// ParseHistory reads the history key; lines it cannot read are left out.
func ParseHistory(value string) History {
	var rows [][]any
	if exact(value, &rows) != nil {
		return History{}
	}
	h := History{Present: true}
	for _, row := range rows {
		if line, ok := historyLine(row); ok {
			h.Lines = append(h.Lines, line)
		}
	}
	return h
}

func historyLine(row []any) (HistoryLine, bool) {
	if len(row) < 2 {
		return HistoryLine{}, false
	}
	tl := anyLSN(row[0])
	if tl == 0 || tl > 1<<32-1 {
		return HistoryLine{}, false
	}
	text := func(i int) string {
		if i >= len(row) {
			return ""
		}
		s, _ := row[i].(string)
		return s
	}
	sw := wal.Switch{Timeline: wal.Timeline(tl), End: anyLSN(row[1]), Reason: text(2)}
	return HistoryLine{Switch: sw, At: text(3), Leader: text(4)}, true
}

// JSON renders the document as it is stored: a list of lists.
func (h History) JSON() string {
	rows := make([][]any, 0, len(h.Lines))
	for _, l := range h.Lines {
		rows = append(rows, []any{l.Timeline, l.End, l.Reason, l.At, l.Leader})
	}
	return compact(rows)
}

// HistoryFrom builds the key from a timeline history file. Lines that stood in the old key with the same
// end keep their time and leader; a new last line is stamped with at and leader. The version stays that of the
// old key, over which the new one is written.
func HistoryFrom(file wal.History, old History, at time.Time, leader string) History {
	h := History{Present: true, Version: old.Version}
	for i, s := range file {
		line := HistoryLine{Switch: s}
		if known, ok := old.find(s); ok {
			line.At, line.Leader = known.At, known.Leader
		}
		if line.At == "" && i == len(file)-1 {
			line.At, line.Leader = at.Format("2006-01-02T15:04:05.999999-07:00"), leader
		}
		h.Lines = append(h.Lines, line)
	}
	return h
}

// Last keeps the last n lines; zero keeps all (max_timelines_history).
func (h History) Last(n int) History {
	if n > 0 && len(h.Lines) > n {
		h.Lines = h.Lines[len(h.Lines)-n:]
	}
	return h
}

func (h History) find(s wal.Switch) (HistoryLine, bool) {
	for _, l := range h.Lines {
		if l.Timeline == s.Timeline && l.End == s.End {
			return l, true
		}
	}
	return HistoryLine{}, false
}

// ParseFailsafe reads the failsafe key: member names and their REST addresses.
func ParseFailsafe(value string) map[string]string {
	doc, ok := object(value)
	if !ok {
		return nil
	}
	members := map[string]string{}
	for name := range doc {
		members[name] = textIn(doc, name)
	}
	return members
}

// compact renders a value as the DCS holds it: no blanks, and characters beyond ASCII escaped, because
// that is how every other member writes it and comparisons are made on the text.
func compact(v any) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("cluster: a document cannot be rendered: " + err.Error())
	}
	return asciiOnly(strings.TrimSuffix(out.String(), "\n"))
}

func asciiOnly(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			writeEscape(&out, 0xd800+(r>>10))
			writeEscape(&out, 0xdc00+(r&0x3ff))
		default:
			writeEscape(&out, r)
		}
	}
	return out.String()
}

func writeEscape(out *strings.Builder, r rune) {
	out.WriteString(`\u`)
	hex := strconv.FormatInt(int64(r), 16)
	out.WriteString(strings.Repeat("0", 4-len(hex)) + hex)
}
