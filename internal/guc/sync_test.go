package guc

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Which of the values are accepted is what PostgreSQL 15 answers to
// postgres -C synchronous_standby_names --synchronous_standby_names=TEXT.
func TestParseSyncNames(t *testing.T) {
	first := func(n int, names ...string) SyncNames { return SyncNames{Num: n, Names: names} }
	quorum := func(n int, names ...string) SyncNames { return SyncNames{Any: true, Num: n, Names: names} }
	cases := []struct {
		text string
		want SyncNames
	}{
		{"", SyncNames{}},
		{"a", first(1, "a")},
		{"A", first(1, "A")},
		{" a , b ", first(1, "a", "b")},
		{"a\t,\fb", first(1, "a", "b")},
		{"a\v,b", first(1, "a", "b")},
		{"*", first(1, "*")},
		{"*,a", first(1, "*", "a")},
		{`"*"`, first(1, "*")},
		{`"a"`, first(1, "a")},
		{`"a""b"`, first(1, `a"b`)},
		{`""`, first(1, "")},
		{`"a,b"`, first(1, "a,b")},
		{`"any"`, first(1, "any")},
		{`"first", a`, first(1, "first", "a")},
		{"anyone", first(1, "anyone")},
		{"FIRST 1 (a, b)", first(1, "a", "b")},
		{"first 2(a,b)", first(2, "a", "b")},
		{"aNy 2 ( a , b )", quorum(2, "a", "b")},
		{"ANY 1 (*, *)", quorum(1, "*", "*")},
		{"2 (a)", first(2, "a")},
		{"01 (a)", first(1, "a")},
		{"1(*)", first(1, "*")},
		{"2147483647 (a)", first(2147483647, "a")},
		{"1", first(1, "1")},
		{"1,2", first(1, "1", "2")},
		{"2 (1, 2)", first(2, "1", "2")},
		{"a1", first(1, "a1")},
		{"a$", first(1, "a$")},
		{"_a", first(1, "_a")},
		{"é", first(1, "é")},
		{`ő,"日本"`, first(1, "ő", "日本")},
		{"日本", first(1, "日本")},
		{"a\u00a0,b", first(1, "a\u00a0", "b")}, // that blank is a letter to PostgreSQL
	}
	for _, c := range cases {
		got, err := ParseSyncNames(c.text)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v %s", c.text, err, diff)
		}
	}
}

// The first list is refused by PostgreSQL 15, in the way of the test above.
func TestWhatIsNoValueOfSyncNames(t *testing.T) {
	refused := []string{
		" ", "a,", ",a", "a b", `"a`, `a"b"`, "first", "any", "a,FIRST", "a, any", "any 1", "FIRST 1", "ANY (a)", "1 (a", "1 a)", "1 ()", "0 (a)",
		"-1 (a)", "1 (a) b", "1 (a),b", "(a)", "1a", "$a", "a-b", "a.b", "a\nb", `ANY "1" (a)`, "FIRST1 (a)", "a;", "'a'", "ANY 1 (a b)", "ANY 1 ((a))",
		"1 1 (a)", `"a" "b"`, `"a"b`, "a*", "1.5 (a)", "+1 (a)", "ANY 1 (any)", "any,any", "2147483648 (a)", "4294967296 (a)",
	}
	ours := []string{"99999999999 (a)"} // PostgreSQL takes it for 1215752191
	for _, text := range slices.Concat(refused, ours) {
		if got, err := ParseSyncNames(text); err == nil || !got.Empty() {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestSyncNamesAsPostgreSQLReadsThem(t *testing.T) {
	cases := []struct {
		names SyncNames
		want  string
	}{
		{SyncNames{}, ""},
		{SyncNames{Num: 1, Names: []string{"n2"}}, "n2"},
		{SyncNames{Num: 1, Names: []string{"patroni-node2"}}, `"patroni-node2"`},
		{SyncNames{Num: 2, Names: []string{"n2", "n3"}}, "2 (n2,n3)"},
		{SyncNames{Num: 2, Names: []string{"n2"}}, "2 (n2)"},
		{SyncNames{Num: 1, Names: []string{"n2", "n3"}}, "1 (n2,n3)"},
		{SyncNames{Any: true, Num: 1, Names: []string{"n2"}}, "ANY 1 (n2)"},
		{SyncNames{Any: true, Num: 1, Names: []string{"n2", "Any", "first", "2", "*"}}, `ANY 1 (n2,"Any","first","2",*)`},
		{SyncNames{Num: 1, Names: []string{`a"b`}}, `"a""b"`},
		{SyncNames{Num: 1, Names: []string{"é"}}, `"é"`},
		{SyncNames{Num: 1, Names: []string{NobodySync}}, NobodySync},
	}
	for _, c := range cases {
		if got := c.names.String(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.names, got, c.want)
		}
	}
}

func TestSyncNamesHaveNoCase(t *testing.T) {
	n := SyncNames{Num: 2, Names: []string{"N2", "n3"}}
	if !n.Has("n2") || n.Has("n4") || n.Has("") {
		t.Errorf("%+v", n)
	}
}

func TestSameSyncNames(t *testing.T) {
	cases := []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"a", "A", true},
		{"a", "1 (a)", true},
		{"2 (a,b)", "2 (b,A)", true},
		{"ANY 1 (a,b)", "ANY 1 (b,a)", true},
		{"a", "", false},
		{"a", "ANY 1 (a)", false},
		{"2 (a,b)", "1 (a,b)", false},
		{"1 (a,b)", "1 (b,a)", false}, // b stands by
		{"ANY 1 (a,b)", "ANY 1 (a,c)", false},
		{"ANY 1 (a,a,b)", "ANY 1 (a,b,b)", true},
		{"ANY 1 (a,a)", "ANY 1 (a,b)", false},
	}
	for _, c := range cases {
		a, b := mustSyncNames(t, c.a), mustSyncNames(t, c.b)
		if a.Same(b) != c.want || b.Same(a) != c.want {
			t.Errorf("%q and %q: same %v, want %v", c.a, c.b, a.Same(b), c.want)
		}
	}
}

func mustSyncNames(t *testing.T, text string) SyncNames {
	t.Helper()
	n, err := ParseSyncNames(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSyncNamesReadBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9_$.*"-]{0,8}`), rapid.SampledFrom([]string{"first", "ANY", "*", "1", NobodySync}))
		n := SyncNames{
			Any: rapid.Bool().Draw(t, "any"), Num: rapid.IntRange(1, 9).Draw(t, "num"), Names: rapid.SliceOfN(name, 1, 5).Draw(t, "names"),
		}
		back, err := ParseSyncNames(n.String())
		if diff := cmp.Diff(n, back); err != nil || diff != "" {
			t.Fatalf("%s: %v %s", n, err, diff)
		}
	})
}

func FuzzParseSyncNames(f *testing.F) {
	for _, seed := range []string{"", "a", "*", `"a""b", c`, "2 (a,b)", "FIRST 1 (a)", "any 2 (a, b, 3)", "1 (", `"`, "\xff", "1,2", "ANY 1 ANY"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSyncNames(text)
		if err != nil {
			return
		}
		if n.Empty() != (text == "") || !n.Empty() && n.Num < 1 {
			t.Fatalf("%q: %+v", text, n)
		}
		back, err := ParseSyncNames(n.String())
		if diff := cmp.Diff(n, back); err != nil || diff != "" {
			t.Fatalf("%q is %s: %v %s", text, n, err, diff)
		}
	})
}
