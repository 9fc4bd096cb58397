package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/wal"
)

func lsn(t testing.TB, text string) wal.LSN {
	t.Helper()
	l, err := wal.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// slotAt returns a slot of the server, which has to have it.
func slotAt(t testing.TB, s *Server, name string) Slot {
	t.Helper()
	all, err := s.Slots(within(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(x Slot) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("there is no slot %s: %+v", name, all)
	}
	return all[i]
}

// decoding starts a cluster whose WAL can be decoded, on a primary with a table.
func decoding(t testing.TB, name string) *Server {
	t.Helper()
	cfg := describe(t, name)
	cfg.Parameters["wal_level"] = "logical"
	place(t, cfg)
	s := open(t, cfg)
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	run(t, s, "CREATE TABLE t (id bigint PRIMARY KEY)")
	return s
}

func TestPhysicalSlot(t *testing.T) {
	s := primary(t, "p1")
	member := Slot{Name: "n2"}
	for range 2 { // once more changes nothing
		if err := s.CreateSlot(within(t), member); err != nil {
			t.Fatal(err)
		}
	}
	made := slotAt(t, s, "n2")
	if made.Restart == 0 || made.Active || made.Logical || made.Lost || made.Temporary {
		t.Fatalf("a slot that was just made: %+v", made)
	}
	run(t, s, "CREATE TABLE t AS SELECT generate_series(1, 1000)")
	now := lsn(t, one(t, s, "SELECT pg_current_wal_flush_lsn()::text"))
	if err := s.AdvanceSlot(within(t), member, now); err != nil {
		t.Fatal(err)
	}
	if at := slotAt(t, s, "n2").Restart; at != now {
		t.Errorf("it is at %s after it was advanced to %s", at, now)
	}
	for range 2 {
		if err := s.DropSlot(within(t), "n2"); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Slots(within(t)); err != nil || len(all) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
}

func TestSlotsThatCannotBeChanged(t *testing.T) {
	cfg := describe(t, "p1")
	cfg.Parameters["wal_level"], cfg.Parameters["max_replication_slots"] = "logical", 4
	place(t, cfg)
	s := open(t, cfg)
	if _, err := s.Slots(within(t)); !errors.Is(err, ErrNotRunning) {
		t.Errorf("slots of a server that does not run: %v", err)
	}
	if err := s.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	logical := Slot{Name: "logic", Logical: true, Plugin: "pgoutput", Database: "postgres"}
	for _, slot := range []Slot{{Name: "n2"}, logical, {Name: "n4"}, {Name: "n5"}} {
		if err := s.CreateSlot(within(t), slot); err != nil {
			t.Fatal(err)
		}
	}
	run(t, s, "CREATE PUBLICATION everything FOR ALL TABLES")
	consumer := replicate(t, s, "logic", 0, "pgoutput")
	cases := map[string]struct {
		err  error
		want error
	}{
		"no room":                 {s.CreateSlot(within(t), Slot{Name: "n6"}), ErrTooManySlots},
		"taken by another kind":   {s.CreateSlot(within(t), Slot{Name: "n2", Logical: true, Plugin: "pgoutput", Database: "postgres"}), ErrSlotExists},
		"taken by another plugin": {s.CreateSlot(within(t), Slot{Name: "logic", Logical: true, Plugin: "test_decoding", Database: "postgres"}), ErrSlotExists},
		"in use, dropped":         {s.DropSlot(within(t), "logic"), ErrSlotInUse},
		"in use, advanced":        {s.AdvanceSlot(within(t), logical, 0x7fffffff), ErrSlotInUse},
		"not there":               {s.AdvanceSlot(within(t), Slot{Name: "n9"}, 1), ErrNoSlot},
	}
	for name, c := range cases {
		if !errors.Is(c.err, c.want) || errors.Is(c.err, ErrCopyAgain) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	consumer.close()
	if err := s.CreateSlot(within(t), Slot{Name: "n7", Logical: true, Plugin: "pgoutput", Database: "nowhere"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a slot in a database that is not there: %v", err)
	}
}

// The consumer of a logical slot sees every committed row once and in order, whichever server it asks, when the standby
// that has a copy of the slot is promoted.
func TestLogicalSlotGoesOnAfterAPromotion(t *testing.T) {
	for _, plugin := range []string{"pgoutput", "test_decoding"} {
		t.Run(plugin, func(t *testing.T) {
			first := decoding(t, "p1")
			run(t, first, "CREATE PUBLICATION everything FOR ALL TABLES")
			if err := first.CreateSlot(within(t), Slot{Name: "s1"}); err != nil {
				t.Fatal(err)
			}
			second := copying(t, "s1", first)
			logical := Slot{Name: "logic", Logical: true, Plugin: plugin, Database: "postgres"}
			if err := first.CreateSlot(within(t), logical); err != nil { // after the clone, which has no WAL from before itself
				t.Fatal(err)
			}
			var seen rows
			write(t, first, 1, 10)
			c := replicate(t, first, "logic", 0, plugin)
			seen.take(t, c, 5)
			c.close()
			await(t, second, "it has the rows", replayed(t, first))

			for range 2 { // what is there is replaced
				if err := second.CopySlots(within(t), address(first), []string{"logic", "none"}); err != nil {
					t.Fatal(err)
				}
				copied := slotAt(t, second, "logic")
				if want := slotAt(t, first, "logic"); copied.Confirmed > want.Confirmed || copied.Plugin != plugin || copied.Restart == 0 {
					t.Fatalf("the copy %+v of %+v", copied, want)
				}
			}
			write(t, first, 11, 20)
			c = replicate(t, first, "logic", seen.end, plugin)
			seen.take(t, c, 8)
			c.close()
			await(t, second, "it has the rows", replayed(t, first))
			to := slotAt(t, first, "logic").Confirmed
			if err := second.AdvanceSlot(within(t), logical, to); err != nil {
				t.Fatal(err)
			}
			if at := slotAt(t, second, "logic").Confirmed; at != to {
				t.Fatalf("the copy is at %s after it was advanced to %s", at, to)
			}

			if _, err := first.Stop(within(t), StopOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := second.Promote(within(t)); err != nil {
				t.Fatal(err)
			}
			write(t, second, 21, 30)
			c = replicate(t, second, "logic", seen.end, plugin)
			seen.take(t, c, 17)
			c.close()
			var want []string
			for id := range 30 {
				want = append(want, itoa(id+1))
			}
			if diff := cmp.Diff(want, seen.ids); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A slot is there as a whole or not at all, wherever the copying was cut.
func TestInterruptedCopyOfASlot(t *testing.T) {
	first := decoding(t, "p1")
	logical := Slot{Name: "logic", Logical: true, Plugin: "test_decoding", Database: "postgres"}
	for _, slot := range []Slot{{Name: "s1"}, logical} {
		if err := first.CreateSlot(within(t), slot); err != nil {
			t.Fatal(err)
		}
	}
	second := copying(t, "s1", first)
	folder := filepath.Join(second.dir, slotFolder)
	cuts := map[string]func() error{
		"an empty folder": func() error { return os.Mkdir(filepath.Join(folder, "logic.tmp"), 0o700) },
		"a part of the file": func() error {
			return errors.Join(os.Mkdir(filepath.Join(folder, "logic.tmp"), 0o700),
				os.WriteFile(filepath.Join(folder, "logic.tmp", "state"), []byte("x"), 0o600))
		},
		"the old one is away": func() error {
			return errors.Join(os.Rename(filepath.Join(folder, "logic"), filepath.Join(folder, "logic.old.tmp")), os.Mkdir(filepath.Join(folder, "logic.tmp"), 0o700))
		},
	}
	for _, name := range []string{"an empty folder", "a part of the file", "the old one is away"} {
		if _, err := second.Stop(within(t), StopOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := cuts[name](); err != nil {
			t.Fatal(err)
		}
		if err := second.Start(within(t), StartOptions{Standby: true, Upstream: through("s1", first)}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := second.CopySlots(within(t), address(first), []string{"logic"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		slotAt(t, second, "logic")
		if left, err := filepath.Glob(filepath.Join(folder, "*.tmp")); err != nil || len(left) > 0 {
			t.Errorf("%s: left are %v, %v", name, left, err)
		}
	}
}

func TestSlotsThatCannotBeCopied(t *testing.T) {
	first := decoding(t, "p1")
	for i := range 4 {
		slot := Slot{Name: "logic" + itoa(i), Logical: true, Plugin: "test_decoding", Database: "postgres"}
		if err := first.CreateSlot(within(t), slot); err != nil {
			t.Fatal(err)
		}
	}
	cfg := describe(t, "s1")
	cfg.Parameters["wal_level"], cfg.Parameters["max_replication_slots"] = "logical", 4
	second := open(t, cfg)
	if err := second.Clone(within(t), CloneOptions{From: address(first)}); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(within(t), StartOptions{Standby: true, Upstream: address(first)}); err != nil {
		t.Fatal(err)
	}
	started := second.Status(within(t)).PID
	if err := second.CreateSlot(within(t), Slot{Name: "n3"}); err != nil {
		t.Fatal(err)
	}
	all := []string{"logic0", "logic1", "logic2", "logic3"}
	for name, c := range map[string]struct{ err, want error }{
		"no room":          {second.CopySlots(within(t), address(first), all), ErrTooManySlots},
		"not there":        {second.CopySlots(within(t), address(first), []string{"none"}), ErrNoSlot},
		"from a standby":   {second.CopySlots(within(t), address(second), all), ErrSourceUnreachable},
		"nobody there":     {second.CopySlots(within(t), Upstream{Name: "x", Host: "127.0.0.1", Port: freePort(t)}, all), ErrSourceUnreachable},
		"slots of nobody":  {onlyError(second.SlotsOf(within(t), address(second))), ErrSourceUnreachable},
		"onto the primary": {first.CopySlots(within(t), address(first), all), nil},
	} {
		if c.err == nil || c.want != nil && !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if pid := second.Status(within(t)).PID; pid != started {
		t.Errorf("the server was restarted in vain")
	}
}

func onlyError(_ []Slot, err error) error { return err }

// A copy whose WAL is gone says that it has to be copied again.
func TestACopyWithoutItsWAL(t *testing.T) {
	first := decoding(t, "p1")
	logical := Slot{Name: "logic", Logical: true, Plugin: "test_decoding", Database: "postgres"}
	if err := first.CreateSlot(within(t), logical); err != nil {
		t.Fatal(err)
	}
	behind := slotAt(t, first, "logic").Restart
	for range 3 {
		run(t, first, "INSERT INTO t SELECT (SELECT count(*) FROM t) + generate_series(1, 1000)")
		run(t, first, "SELECT pg_switch_wal()")
	}
	run(t, first, "CHECKPOINT")
	if err := first.CreateSlot(within(t), Slot{Name: "s1"}); err != nil {
		t.Fatal(err)
	}
	second := copying(t, "s1", first) // a copy has no WAL from before it was made
	oldest, err := second.OldestWAL(within(t))
	if err != nil || oldest <= behind {
		t.Fatalf("the oldest WAL is at %s, %v; the slot begins at %s", oldest, err, behind)
	}
	if err := second.CopySlots(within(t), address(first), []string{"logic"}); err != nil {
		t.Fatal(err)
	}
	await(t, second, "it has everything", replayed(t, first))
	if err := second.AdvanceSlot(within(t), logical, second.Status(within(t)).Replayed); !errors.Is(err, ErrCopyAgain) {
		t.Errorf("got %v", err)
	}
}

// A copy knows which transactions ran where it begins: a decoder that does not would find out only later, and leave out what
// commits until then.
func TestACopyKnowsWhatRanWhereItBegins(t *testing.T) {
	first := decoding(t, "p1")
	run(t, first, "CREATE PUBLICATION everything FOR ALL TABLES")
	for _, slot := range []Slot{{Name: "s1"}, {Name: "logic", Logical: true, Plugin: "pgoutput", Database: "postgres"}} {
		if err := first.CreateSlot(within(t), slot); err != nil {
			t.Fatal(err)
		}
	}
	second := copying(t, "s1", first)
	before, after := session(t, first), session(t, first)
	do := func(conn *pgx.Conn, sql string) {
		t.Helper()
		if _, err := conn.Exec(within(t), sql); err != nil {
			t.Fatal(err)
		}
	}
	// Checkpoints write down what runs. The slot comes to begin at the first one, when one transaction was open.
	do(before, "BEGIN; INSERT INTO t VALUES (1)")
	run(t, first, "CHECKPOINT")
	do(after, "BEGIN; INSERT INTO t VALUES (2)")
	do(before, "COMMIT")
	var seen rows
	c := replicate(t, first, "logic", 0, "pgoutput")
	seen.take(t, c, 1)
	run(t, first, "CHECKPOINT")
	do(after, "COMMIT")
	write(t, first, 3, 3)
	seen.take(t, c, 2)
	c.close()
	await(t, second, "it has the rows", replayed(t, first))
	if err := second.CopySlots(within(t), address(first), []string{"logic"}); err != nil {
		t.Fatal(err)
	}
	write(t, first, 4, 10)
	await(t, second, "it has the rows", replayed(t, first))
	if _, err := first.Stop(within(t), StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := second.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	write(t, second, 11, 12)
	c = replicate(t, second, "logic", seen.end, "pgoutput")
	seen.take(t, c, 2)
	if got := strings.Join(seen.ids, " "); got != "1 2 3 4 5" {
		t.Errorf("the consumer has read %s", got)
	}
}

// Each version is asked for what it knows.
func TestSlotQuestionFitsTheVersion(t *testing.T) {
	for major, want := range map[int][]string{12: nil, 13: {"wal_status"}, 17: {"wal_status", "failover", "synced"}} {
		for _, column := range []string{"wal_status", "failover", "synced"} {
			if asked := strings.Contains(slotQuestion(major, ""), column); asked != slices.Contains(want, column) {
				t.Errorf("PostgreSQL %d is asked for %s: %v", major, column, asked)
			}
		}
	}
}

// through is how a standby with copies of logical slots follows a server that has a slot for it.
func through(slot string, of *Server) Upstream {
	up := address(of)
	up.Slot, up.Feedback = slot, true
	return up
}

// copying starts a standby that streams through the slot of its name and sends feedback.
func copying(t testing.TB, name string, of *Server) *Server {
	t.Helper()
	cfg := describe(t, name)
	cfg.Parameters["wal_level"] = "logical"
	s := open(t, cfg)
	if err := s.Clone(within(t), CloneOptions{From: address(of)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(within(t), StartOptions{Standby: true, Upstream: through(name, of)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// replayed is a status with everything that the other server has written.
func replayed(t testing.TB, of *Server) func(Status) bool {
	t.Helper()
	written := of.Status(within(t)).Written
	return func(st Status) bool { return st.Replayed >= written }
}

// write commits one row after another.
func write(t testing.TB, s *Server, from, to int) {
	t.Helper()
	conn := session(t, s)
	for id := from; id <= to; id++ {
		if _, err := conn.Exec(within(t), "INSERT INTO t VALUES ($1)", id); err != nil {
			t.Fatal(err)
		}
	}
}
