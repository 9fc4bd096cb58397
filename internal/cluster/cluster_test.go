package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// The forms below are the ones Patroni 4.1 members write; both kinds of agent compare them as text.
func TestDocumentsAsStored(t *testing.T) {
	no := false
	cases := map[string]struct{ got, want string }{
		"member": {
			Member{
				Name: "n1", ConnURL: "postgres://127.0.0.11:5432/postgres", APIURL: "http://127.0.0.11:8008/patroni",
				State: StateRunning, Role: RolePrimary, AgentVersion: "4.1.0", CheckpointAfterPromote: &no,
				Tags: Tags{"clonefrom": true}, Location: 0x3000060, Timeline: 1,
			}.JSON(),
			`{"conn_url":"postgres://127.0.0.11:5432/postgres","api_url":"http://127.0.0.11:8008/patroni",` +
				`"state":"running","role":"primary","version":"4.1.0","checkpoint_after_promote":false,` +
				`"tags":{"clonefrom":true},"xlog_location":50331744,"timeline":1}`,
		},
		"nothing asked":  {Failover{}.JSON(), `{}`},
		"switchover":     {Failover{Leader: "a", Candidate: "b"}.JSON(), `{"leader":"a","member":"b"}`},
		"failover":       {Failover{Candidate: "b"}.JSON(), `{"member":"b"}`},
		"status":         {Status{Optime: 7, Slots: map[string]wal.LSN{"b": 2, "a": 1}}.JSON(), `{"optime":7,"slots":{"a":1,"b":2}}`},
		"sync":           {Sync{Leader: "a", Quorum: 1, Voters: []string{"c", "b"}}.JSON(), `{"leader":"a","quorum":1,"sync_standby":"b,c"}`},
		"sync, nobody":   {Sync{Leader: "a"}.JSON(), `{"leader":"a","quorum":0,"sync_standby":null}`},
		"history, empty": {History{Present: true}.JSON(), `[]`},
		"history": {
			History{Lines: []HistoryLine{{wal.Switch{Timeline: 1, End: 5, Reason: "none"}, "2026-01-01T00:00:00+00:00", "a"}}}.JSON(),
			`[[1,5,"none","2026-01-01T00:00:00+00:00","a"]]`,
		},
		"beyond ASCII": {Failover{Candidate: "é𝄞"}.JSON(), `{"member":"\u00e9\ud834\udd1e"}`},
	}
	for name, c := range cases {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOldAndBrokenDocumentsAreTolerated(t *testing.T) {
	if f := ParseFailover("a: b"); f.Leader != "a" || f.Candidate != "b" {
		t.Errorf("old failover form: %+v", f)
	}
	if f := ParseFailover(`["x"]`); f.Requested() {
		t.Errorf("a list asks for nothing: %+v", f)
	}
	if s := ParseStatus("12345"); s.Optime != 12345 {
		t.Errorf("old status form: %+v", s)
	}
	if s := ParseStatus(`{"optime":18446744073709551615,"slots":{"a":"9007199254740993"}}`); s.Optime != 1<<64-1 || s.Slots["a"] != 9007199254740993 {
		t.Errorf("positions are rounded: %+v", s)
	}
	if s := ParseStatus("nonsense"); s.Optime != 0 {
		t.Errorf("broken status: %+v", s)
	}
	if m := ParseMember("n1", "nonsense"); m.Name != "n1" || m.State != StateUnknown {
		t.Errorf("broken member: %+v", m)
	}
	if m := ParseMember("n1", `{"role":"master","state":"running","future":{"x":1}}`); m.Role != RolePrimary {
		t.Errorf("old role word: %+v", m)
	}
	if c := ParseConfig("[]"); c.Data != nil {
		t.Errorf("a list is no configuration: %+v", c)
	}
	if s := ParseSync(`{"sync_standby":"a"}`); s.Leader != "" || len(s.Voters) != 0 {
		t.Errorf("sync without a leader promises nothing: %+v", s)
	}
}

// What one part of a document says wrongly does not take the others with it: they may be a promise, or who follows whom.
func TestOneWrongPartLeavesTheOthers(t *testing.T) {
	cases := []struct {
		got, want any
	}{
		{ParseFailover(`{"leader":5,"member":"b"}`), Failover{Candidate: "b"}},
		{ParseStatus(`{"optime":7,"slots":"{\"a\":\"5\"}","retain_slots":"[\"a\", 3]"}`), Status{Optime: 7, Slots: map[string]wal.LSN{"a": 5}, RetainSlots: []string{"a"}}},
		{ParseStatus(`{"optime":7,"slots":[1],"retain_slots":{}}`), Status{Optime: 7}},
		{ParseStatus(`{"optime":1e400,"retain_slots":["a"]}`), Status{RetainSlots: []string{"a"}}},
		{ParseSync(`{"leader":"a","quorum":"1","sync_standby":"c,b"}`), Sync{Leader: "a", Quorum: 1, Voters: []string{"b", "c"}}},
		{ParseSync(`{"leader":"a","quorum":[],"sync_standby":"b"}`), Sync{Leader: "a", Voters: []string{"b"}}},
		{ParseSync(`{"leader":"a","quorum":-4,"sync_standby":7}`), Sync{Leader: "a"}},
		{ParseSync(`{"leader":"a","quorum":9223372036854775807,"sync_standby":null}`), Sync{Leader: "a", Quorum: maxVotes}},
		{ParseFailsafe(`{"a":"http://a","b":1}`), map[string]string{"a": "http://a", "b": ""}},
		{ParseFailsafe(`["a"]`), map[string]string(nil)},
		{ParseMember("a", `{"state":"running","timeline":"x","receive_lsn":-1,"tags":[1],"xlog_location":5}`), Member{Name: "a", State: StateRunning, Location: 5}},
		{
			ParseMember("a", "postgres://u@h:5433/postgres?application_name=http://h:8008/patroni"),
			Member{Name: "a", State: StateUnknown, ConnURL: "postgres://u@h:5433/postgres", APIURL: "http://h:8008/patroni"},
		},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTimelineFromHistory(t *testing.T) {
	cases := []struct {
		key  string
		want wal.Timeline
	}{{"", 0}, {"nonsense", 0}, {"[]", 1}, {`[[1,5,"x"],[2,9,"y"]]`, 3}}
	for _, c := range cases {
		if got := (Cluster{History: ParseHistory(c.key)}).Timeline(); got != c.want {
			t.Errorf("%q: timeline %d, want %d", c.key, got, c.want)
		}
	}
}

func TestHistoryKeepsWhatWasKnown(t *testing.T) {
	old := History{Lines: []HistoryLine{{wal.Switch{Timeline: 1, End: 5, Reason: "x"}, "then", "a"}}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	got := HistoryFrom(wal.History{{Timeline: 1, End: 5, Reason: "x"}, {Timeline: 2, End: 9, Reason: "y"}}, old, now, "b")
	want := `[[1,5,"x","then","a"],[2,9,"y","2026-01-02T03:04:05.000006+00:00","b"]]`
	if got.JSON() != want {
		t.Errorf("got %s", got.JSON())
	}
}

func TestSettingsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-5, 100)
		s := Config{Data: map[string]any{
			"ttl": number.Draw(t, "ttl"), "loop_wait": number.Draw(t, "loop_wait"), "retry_timeout": number.Draw(t, "retry_timeout"),
		}}.Settings()
		if s.LoopWait+2*s.RetryTimeout > s.TTL || s.LoopWait < time.Second || s.TTL < 20*time.Second {
			t.Fatalf("ttl %v, loop_wait %v, retry_timeout %v", s.TTL, s.LoopWait, s.RetryTimeout)
		}
	})
}

func TestSettingsOutOfAllBounds(t *testing.T) {
	for _, value := range []string{"1e300", "-1e300", "9223372036854775807", `"9223372036854775807"`, "[]", `"x"`, "null", "{}"} {
		var fields []string
		for _, name := range []string{"ttl", "loop_wait", "retry_timeout", "maximum_lag_on_failover", "primary_start_timeout", "primary_stop_timeout", "member_slots_ttl", "primary_race_backoff", "synchronous_node_count"} {
			fields = append(fields, `"`+name+`":`+value)
		}
		s := settings(t, "{"+strings.Join(fields, ",")+"}")
		if s.TTL < 20*time.Second || s.LoopWait < time.Second || s.RetryTimeout < time.Second || s.LoopWait+2*s.RetryTimeout > s.TTL {
			t.Errorf("%s: ttl %s, loop_wait %s, retry_timeout %s", value, s.TTL, s.LoopWait, s.RetryTimeout)
		}
		if s.PrimaryStartTimeout < 0 || s.PrimaryStopTimeout < 0 || s.MemberSlotsTTL < 0 || s.PrimaryRaceBackoff < 0 || s.SynchronousNodes < 1 {
			t.Errorf("%s: %+v", value, s)
		}
	}
}

func TestSettingsDefaults(t *testing.T) {
	s := Config{}.Settings()
	if s.TTL != 30*time.Second || s.LoopWait != 10*time.Second || s.RetryTimeout != 10*time.Second ||
		s.MaximumLagOnFailover != 1<<20 || s.PrimaryStartTimeout != 300*time.Second || !s.UseSlots {
		t.Errorf("%+v", s)
	}
}

func TestPatch(t *testing.T) {
	doc := map[string]any{"ttl": 30.0, "postgresql": map[string]any{"parameters": map[string]any{"a": "1", "b": "2"}}}
	got := Patch(doc, map[string]any{"ttl": nil, "postgresql": map[string]any{"parameters": map[string]any{"a": nil, "c": "3"}}})
	want := map[string]any{"postgresql": map[string]any{"parameters": map[string]any{"b": "2", "c": "3"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	before := map[string]any{"ttl": 30.0, "postgresql": map[string]any{"parameters": map[string]any{"a": "1", "b": "2"}}}
	if diff := cmp.Diff(before, doc); diff != "" {
		t.Errorf("the original document was changed: %s", diff)
	}
}

func TestMemberAddresses(t *testing.T) {
	m := Member{ConnURL: "postgres://[::1]:5433/postgres", APIURL: "http://127.0.0.11:8008/patroni"}
	if host, port, ok := m.Endpoint(); host != "::1" || port != 5433 || !ok {
		t.Errorf("endpoint %s %d %v", host, port, ok)
	}
	if got := m.API("/restart"); got != "http://127.0.0.11:8008/restart" {
		t.Errorf("api %s", got)
	}
	if _, _, ok := (Member{}).Endpoint(); ok {
		t.Error("a member without an address has an endpoint")
	}
}

func TestHistoryKeepsTheLastLines(t *testing.T) {
	h := History{Lines: []HistoryLine{{Switch: wal.Switch{Timeline: 1}}, {Switch: wal.Switch{Timeline: 2}}, {Switch: wal.Switch{Timeline: 3}}}}
	for n, want := range map[int]int{0: 3, 1: 1, 2: 2, 3: 3, 9: 3} {
		got := h.Last(n).Lines
		if len(got) != want || got[len(got)-1].Timeline != 3 {
			t.Errorf("last %d: got %v", n, got)
		}
	}
}
