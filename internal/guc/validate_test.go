package guc

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func nothing(string) bool { return false }

func TestValuesWithinTheirBounds(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"work_mem", "4MB", "4MB"},
		{"work_mem", "64", "64"},
		{"work_mem", "63kB", "64"},
		{"work_mem", "0x40", "0x40"},
		{"work_mem", "3TB", "2147483647"},
		{"work_mem", "99999999999999999999", "2147483647"},
		{"shared_buffers", "8kB", "16"},
		{"shared_buffers", "1GB", "1GB"},
		{"checkpoint_timeout", "1s", "30"},
		{"checkpoint_timeout", "2d", "86400"},
		{"checkpoint_completion_target", "1.5", "1"},
		{"checkpoint_completion_target", "0.9", "0.9"},
		{"random_page_cost", "-1", "0"},
		{"random_page_cost", "1e300", "1e300"},
		{"autovacuum_vacuum_cost_delay", "0.5", "0.5"},
		{"vacuum_cost_delay", "1s", "100"},
		{"extra_float_digits", "-20", "-15"},
		{"wal_buffers", "-1", "-1"},
		{"wal_buffers", "-2", "-1"},
		{"unix_socket_permissions", "0777", "0777"},
		{"unix_socket_permissions", "01000", "511"},
		{"max_slot_wal_keep_size", "-1", "-1"},
	}
	for _, c := range cases {
		got, problems := Validate(150004, Settings{c.name: c.text}, nothing)
		if got[c.name] != c.want || (len(problems) == 0) != (c.text == c.want) {
			t.Errorf("%s = %s: %v, %q; want %s", c.name, c.text, got, problems, c.want)
		}
	}
}

func TestValuesThatAreTaken(t *testing.T) {
	for name, texts := range map[string][]string{
		"fsync":                         {"on", "OFF", "t", "1"},
		"archive_mode":                  {"always", "Always", "on", "off"},
		"synchronous_commit":            {"remote_apply", "local", "no"},
		"wal_compression":               {"lz4", "on"},
		"default_transaction_isolation": {"repeatable read", "Serializable"},
		"recovery_target":               {"", "immediate"},
		"ssl_min_protocol_version":      {"TLSv1.2"},
		"ssl_max_protocol_version":      {""},
		"log_min_messages":              {"debug", "DEBUG5"},
		"log_line_prefix":               {"", "%m 'x'"},
		"restore_command":               {"cp %f %p"},
		"my.own":                        {"anything"},
	} {
		for _, text := range texts {
			got, problems := Validate(150004, Settings{name: text}, nothing)
			if diff := cmp.Diff(Settings{name: text}, got); diff != "" || problems != nil {
				t.Errorf("%s %q", diff, problems)
			}
		}
	}
}

func TestWhatIsLeftOutSaysWhy(t *testing.T) {
	for _, c := range []struct{ name, text, why string }{
		{"work_mem", "banana", `parameter work_mem = "banana" is left out: it is a whole number, which may have a unit: TB, GB, MB, kB, B`},
		{"work_mem", "5min", `parameter work_mem = "5min" is left out: it is a whole number, which may have a unit: TB, GB, MB, kB, B`},
		{"seq_page_cost", "", `parameter seq_page_cost = "" is left out: it is a number`},
		{"fsync", "maybe", `parameter fsync = "maybe" is left out: it is on or off`},
		{"archive_mode", "never", `parameter archive_mode = "never" is left out: it is on or off or always`},
		{"log_statement", "some", `parameter log_statement = "some" is left out: it is one of none, ddl, mod, all`},
		{"nonsense", "1", `parameter nonsense is left out: PostgreSQL 15 has no such parameter`},
		{"include", "/etc/passwd", `parameter include is left out: PostgreSQL 15 has no such parameter`},
		{"summarize_wal", "on", `parameter summarize_wal is left out: PostgreSQL 15 has no such parameter`},
		{"stats_temp_directory", "x", `parameter stats_temp_directory is left out: PostgreSQL 15 has no such parameter`},
	} {
		got, problems := Validate(150004, Settings{c.name: c.text}, nothing)
		if diff := cmp.Diff([]string{c.why}, problems); diff != "" || len(got) != 0 {
			t.Errorf("%v %s", got, diff)
		}
	}
}

func TestVersionsOfParameters(t *testing.T) {
	for _, c := range []struct {
		name, text string
		version    int
		want       string
	}{
		{"summarize_wal", "on", 169999, ""},
		{"summarize_wal", "on", 170000, "on"},
		{"vacuum_defer_cleanup_age", "1", 150004, "1"},
		{"vacuum_defer_cleanup_age", "1", 160000, ""},
		{"allow_in_place_tablespaces", "on", 140004, ""},
		{"allow_in_place_tablespaces", "on", 140005, "on"},
		{"allow_in_place_tablespaces", "on", 150000, "on"},
		{"maintenance_work_mem", "64kB", 170002, "1024"},
		{"maintenance_work_mem", "64kB", 180000, "64kB"},
		{"log_connections", "authorization", 170002, ""},
		{"log_connections", "authorization", 180000, "authorization"},
		{"wal_compression", "lz4", 140001, ""},
		{"wal_compression", "lz4", 150000, "lz4"},
	} {
		got, problems := Validate(c.version, Settings{c.name: c.text}, nothing)
		if got[c.name] != c.want || (len(problems) == 0) != (c.want == c.text) {
			t.Errorf("%s = %s in %d: %v, %q", c.name, c.text, c.version, got, problems)
		}
	}
}

// What the table does not know, the server is asked for.
func TestParametersOnlyTheServerKnows(t *testing.T) {
	given := Settings{"of_a_fork": "1", "nonsense": "2", "work_mem": "1MB"}
	var asked []string
	got, problems := Validate(150004, given, func(name string) bool {
		asked = append(asked, name)
		return name == "of_a_fork"
	})
	if diff := cmp.Diff(Settings{"of_a_fork": "1", "work_mem": "1MB"}, got); diff != "" || len(problems) != 1 {
		t.Errorf("%s %q", diff, problems)
	}
	if diff := cmp.Diff([]string{"nonsense", "of_a_fork"}, asked); diff != "" {
		t.Error(diff)
	}
	if got, problems := Validate(150004, given, nil); len(got) != 3 || problems != nil {
		t.Errorf("with nobody to ask: %v %q", got, problems)
	}
}

// Each line of the table reads as it is meant to.
func TestTableIsWellFormed(t *testing.T) {
	names := map[string]bool{}
	last := ""
	for line := range strings.Lines(strings.TrimPrefix(table, "\n")) {
		fields := strings.Fields(line)
		name := fields[0]
		if name < last || name != strings.ToLower(name) || !ValidName(name) {
			t.Errorf("%s after %s", name, last)
		}
		last, names[name] = name, true
		d := readDomain(fields[2:])
		if _, _, ok := baseUnit(d.unit); d.unit != "" && !ok || d.least > d.most || d.kind == Enum && len(d.words) < 2 {
			t.Errorf("%s: %+v", line, d)
		}
		if first, _, ok := strings.Cut(fields[1], "-"); !ok || atoi(strings.Split(first, ".")[0]) < 12 {
			t.Errorf("%s: no versions", line)
		}
	}
	if len(names) < 380 {
		t.Errorf("%d parameters", len(names))
	}
}

func tableNames() []string {
	names := map[string]bool{}
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 0 {
			names[fields[0]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// What is used once is used unchanged ever after, is nothing that was not given, and every change has its sentence.
func TestValidSettingsStayAsTheyAre(t *testing.T) {
	names := rapid.OneOf(rapid.SampledFrom(tableNames()), rapid.StringMatching(`[a-z_]{1,6}(\.[a-z]{1,3})?`))
	texts := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,12}(\.[0-9])?(kB|MB|GB|ms|s|min|d)?`), rapid.SampledFrom([]string{"on", "off", "", "always"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.IntRange(120000, 190005).Draw(t, "version")
		given := Settings(rapid.MapOfN(names, texts, 0, 20).Draw(t, "given"))
		got, problems := Validate(version, given, nothing)
		again, more := Validate(version, got, nothing)
		if diff := cmp.Diff(got, again); diff != "" || more != nil {
			t.Fatalf("%s %q", diff, more)
		}
		changes := 0
		for name, text := range given {
			if kept, ok := got[name]; !ok || kept != text {
				changes++
			}
		}
		if changes != len(problems) {
			t.Fatalf("%d changes, %q", changes, problems)
		}
		for name, text := range got {
			d, known := domainOf(version, name)
			if v, ok := d.number(text); known && (d.kind == Integer || d.kind == Real) && (!ok || v < d.least || v > d.most) {
				t.Fatalf("%s = %s is out of %+v", name, text, d)
			}
			if _, ok := given[name]; !ok {
				t.Fatalf("%s comes from nowhere", name)
			}
		}
	})
}

func TestShow(t *testing.T) {
	for _, c := range []struct {
		kind             Kind
		unit, text, want string
	}{
		{Integer, "8kB", "16384", "128MB"},
		{Integer, "8kB", "128MB", "128MB"},
		{Integer, "8kB", "3", "24kB"},
		{Integer, "8kB", "-1", "-1"},
		{Integer, "kB", "0", "0"},
		{Integer, "s", "300", "5min"},
		{Integer, "s", "301", "301s"},
		{Integer, "ms", "86400000", "1d"},
		{Integer, "", "100", "100"},
		{Integer, "16MB", "2", "32MB"},
		{Integer, "B", "1024", "1kB"},
		{Real, "ms", "2", "2ms"},
		{Real, "ms", "0.5", "500us"},
		{Real, "", "0.9", "0.9"},
		{Bool, "", "true", "on"},
		{Bool, "", "0", "off"},
		{Enum, "", "Replica", "Replica"},
		{Integer, "8kB", "?", "?"},
		{String, "", "x", "x"},
	} {
		if got := Show(c.kind, c.unit, c.text); got != c.want {
			t.Errorf("%s %q in %q: %s, want %s", c.kind, c.text, c.unit, got, c.want)
		}
	}
}

// What is shown means what was given.
func TestShownValuesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]string{"", "B", "kB", "8kB", "MB", "16MB", "ms", "s", "min"}).Draw(t, "unit")
		text := rapid.StringMatching(`-?[0-9]{1,9}`).Draw(t, "text")
		if v, ok := ParseInteger(text, unit); ok {
			if back, ok := ParseInteger(Show(Integer, unit, text), unit); !ok || back != v {
				t.Fatalf("%s in %q is shown as %s", text, unit, Show(Integer, unit, text))
			}
		}
	})
}

func FuzzValidate(f *testing.F) {
	for name, text := range map[string]string{
		"work_mem": "1e400", "shared_buffers": "0x7fffffffffffffffff", "fsync": "o", "log_statement": "", "my.own": "x", "nonsense": "\x00",
		"autovacuum_vacuum_cost_delay": "-.5us", "": "", "archive_mode 12-": "on",
	} {
		f.Add(150004, name, text)
	}
	f.Fuzz(func(t *testing.T, version int, name, text string) {
		got, problems := Validate(version, Settings{name: text}, nothing)
		if len(got) == 0 && len(problems) == 0 || len(got) > 1 || len(problems) > 1 {
			t.Fatalf("%v %q", got, problems)
		}
		if again, more := Validate(version, got, nothing); !cmp.Equal(got, again) || more != nil {
			t.Fatalf("%v, then %v %q", got, again, more)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	given := Settings{}
	for i, name := range tableNames() {
		if i%10 == 0 {
			given[name] = "1"
		}
	}
	for b.Loop() {
		Validate(150004, given, nothing)
	}
}
