package guc

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestParseBool(t *testing.T) {
	cases := map[string]struct{ value, ok bool }{
		"on": {true, true}, "TRUE": {true, true}, "t": {true, true}, "yes": {true, true}, "y": {true, true}, "1": {true, true},
		"off": {false, true}, "of": {false, true}, "False": {false, true}, "n": {false, true}, "0": {false, true},
		"o": {}, "": {}, "enabled": {}, "2": {},
	}
	for text, want := range cases {
		value, ok := ParseBool(text)
		if value != want.value || ok != want.ok {
			t.Errorf("%q: %v, %v", text, value, ok)
		}
	}
}

// The expectations are what PostgreSQL 15 answers to postgres -C NAME --NAME=TEXT.
func TestParseInteger(t *testing.T) {
	cases := []struct {
		text, unit string
		want       int64
		bad        bool
	}{
		{text: "100", want: 100},
		{text: " 100 ", want: 100},
		{text: "-1", unit: "8kB", want: -1},
		{text: "0x10", want: 16},
		{text: "010", want: 8},
		{text: "08", bad: true},
		{text: "1.5", want: 2},
		{text: "2.5", want: 2},
		{text: "1e2", want: 100},
		{text: "128MB", unit: "8kB", want: 16384},
		{text: "1GB", unit: "8kB", want: 131072},
		{text: "1 GB", unit: "MB", want: 1024},
		{text: "4096kB", unit: "kB", want: 4096},
		{text: "1.5GB", unit: "MB", want: 1536},
		{text: "30.1GB", unit: "MB", want: 30822},
		{text: "100B", unit: "kB", want: 0},
		{text: "0.5kB", unit: "B", want: 512},
		{text: "5min", unit: "s", want: 300},
		{text: "1d", unit: "min", want: 1440},
		{text: "1500us", unit: "ms", want: 2},
		{text: "128mb", unit: "8kB", bad: true},
		{text: "128MB", bad: true},
		{text: "5min", unit: "kB", bad: true},
		{text: "MB", unit: "kB", bad: true},
		{text: "1MBB", unit: "kB", bad: true},
		{text: "99999999999", bad: true},
		{text: "", bad: true},
		{text: "ten", bad: true},
		{text: "1MB", unit: "0kB", bad: true},
	}
	for _, c := range cases {
		got, ok := ParseInteger(c.text, c.unit)
		if ok == c.bad || (ok && got != c.want) {
			t.Errorf("%q in %q: %d, %v; want %d", c.text, c.unit, got, ok, c.want)
		}
	}
}

func TestParseReal(t *testing.T) {
	cases := []struct {
		text, unit string
		want       float64
		bad        bool
	}{
		{text: "0.9", want: 0.9},
		{text: ".5", want: 0.5},
		{text: "1e-3", want: 0.001},
		{text: "2ms", unit: "ms", want: 2},
		{text: "500us", unit: "ms", want: 0.5},
		{text: "0.9kB", bad: true},
		{text: "x", bad: true},
		{text: "1e999", bad: true},
	}
	for _, c := range cases {
		got, ok := ParseReal(c.text, c.unit)
		if ok == c.bad || (ok && got != c.want) {
			t.Errorf("%q in %q: %v, %v; want %v", c.text, c.unit, got, ok, c.want)
		}
	}
}

func TestEqualComparesMeanings(t *testing.T) {
	cases := []struct {
		kind       Kind
		unit, a, b string
		want       bool
	}{
		{Bool, "", "on", "true", true},
		{Bool, "", "on", "off", false},
		{Bool, "", "on", "maybe", false},
		{Integer, "8kB", "128MB", "16384", true},
		{Integer, "8kB", "128MB", "128", false},
		{Integer, "ms", "1min", "60s", true},
		{Real, "", "0.50", ".5", true},
		{Enum, "", "Replica", "replica", true},
		{Enum, "", "on", "true", true},
		{Enum, "", "pglz", "lz4", false},
		{String, "", "a", "A", false},
		{String, "", "a", "a", true},
		{Kind("new"), "", "1", "01", false},
	}
	for _, c := range cases {
		if got := Equal(c.kind, c.unit, c.a, c.b); got != c.want {
			t.Errorf("%s %q: %q = %q is %v", c.kind, c.unit, c.a, c.b, got)
		}
	}
}

func TestTextOfConfiguredValues(t *testing.T) {
	cases := []struct {
		value any
		want  string
		ok    bool
	}{
		{"1GB", "1GB", true},
		{true, "on", true},
		{false, "off", true},
		{100, "100", true},
		{int64(7), "7", true},
		{uint64(8), "8", true},
		{float64(100), "100", true},
		{0.9, "0.9", true},
		{float64(1 << 40), "1099511627776", true},
		{nil, "", false},
		{[]any{"a"}, "", false},
		{map[string]any{}, "", false},
	}
	for _, c := range cases {
		if got, ok := Text(c.value); got != c.want || ok != c.ok {
			t.Errorf("%#v: %q, %v", c.value, got, ok)
		}
	}
}

func TestRenderSortsAndQuotes(t *testing.T) {
	got := Settings{"work_mem": "4MB", "archive_command": `cp '%p' \\host\x`, "a.b": "two\nlines"}.Render()
	want := `a.b = 'two\nlines'
archive_command = 'cp ''%p'' \\\\host\\x'
work_mem = '4MB'
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"work_mem": true, "TimeZone": true, "a.b": true, "pg_stat_statements.track": true,
		"": false, "a b": false, "a=1\nb": false, "1a": false, "a..b": false, "include 'x'": false,
	} {
		if ValidName(name) != want {
			t.Errorf("%q valid: %v", name, !want)
		}
	}
}

func TestQuoteRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		if back, ok := Unquote(Quote(value)); !ok || back != value {
			t.Fatalf("%q reads back as %q, %v", value, back, ok)
		}
	})
	for _, bad := range []string{"", "x", "'x", `'\'`, `'''`} {
		if v, ok := Unquote(bad); ok {
			t.Errorf("%q was read as %q", bad, v)
		}
	}
}

func FuzzNumbers(f *testing.F) {
	for _, seed := range []string{"1", "0x1f", "010", "1.5GB", " 12 min", "-1e3", "1e", "0x", "+", "9999999999999999999TB"} {
		f.Add(seed, "8kB")
		f.Add(seed, "ms")
	}
	f.Fuzz(func(t *testing.T, text, unit string) {
		n, ok := ParseInteger(text, unit)
		if !ok {
			return
		}
		// A plain number is in the base unit already, so what was read must read back as itself.
		canonical := strconv.FormatInt(n, 10)
		if back, ok := ParseInteger(canonical, unit); !ok || back != n {
			t.Fatalf("%q in %q is %d, which reads back as %d, %v", text, unit, n, back, ok)
		}
		if !Equal(Integer, unit, text, canonical) {
			t.Fatalf("%q in %q is %s, but not equal to it", text, unit, canonical)
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add(`it's \ here`)
	f.Fuzz(func(t *testing.T, value string) {
		quoted := Quote(value)
		for _, c := range quoted {
			if c == '\n' || c == '\r' {
				t.Fatalf("%q has a raw line break", quoted)
			}
		}
	})
}
