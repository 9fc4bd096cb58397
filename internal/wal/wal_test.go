package wal

import (
	"testing"

	"pgregory.net/rapid"
)

func TestLSNText(t *testing.T) {
	cases := []struct {
		text string
		want LSN
		bad  bool
	}{
		{text: "0/0", want: 0},
		{text: "0/3000060", want: 0x3000060},
		{text: "16/B374D848", want: 0x16_B374D848},
		{text: "ffffffff/FFFFFFFF", want: 1<<64 - 1},
		{text: "16", bad: true},
		{text: "16/", bad: true},
		{text: "/16", bad: true},
		{text: "1/100000000", bad: true},
		{text: "x/1", bad: true},
	}
	for _, c := range cases {
		got, err := ParseLSN(c.text)
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("ParseLSN(%q) = %v, %v; want %v, bad %v", c.text, got, err, c.want, c.bad)
		}
	}
}

func TestLSNTextRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := LSN(rapid.Uint64().Draw(t, "lsn"))
		back, err := ParseLSN(l.String())
		if err != nil || back != l {
			t.Fatalf("%v reads back as %v, %v", l, back, err)
		}
	})
}

func FuzzParseHistory(f *testing.F) {
	f.Add("1\t0/3000060\tno recovery target specified\n\n2\t0/4000000\tx\n")
	f.Add("# comment\n1 0/1\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHistory(text)
		if err != nil && h != nil {
			t.Fatalf("an error came with a history: %v %v", h, err)
		}
	})
}

func TestSystemIDValid(t *testing.T) {
	for id, want := range map[SystemID]bool{"": false, "123456789": false, "7012345678901234567": true, "701234567890123456x": false} {
		if id.Valid() != want {
			t.Errorf("%q valid: %v", id, !want)
		}
	}
}

func TestRelate(t *testing.T) {
	h := History{{Timeline: 1, End: 0x100}, {Timeline: 3, End: 0x200}}
	cases := []struct {
		name   string
		member Point
		leader Timeline
		h      History
		want   Relation
	}{
		{"same timeline", Point{Timeline: 4, LSN: 0x999}, 4, h, Ancestor},
		{"stopped before the switch", Point{Timeline: 1, LSN: 0xff}, 4, h, Ancestor},
		{"stopped exactly at the switch", Point{Timeline: 1, LSN: 0x100}, 4, h, Ancestor},
		{"wrote beyond the switch", Point{Timeline: 1, LSN: 0x101}, 4, h, Diverged},
		{"on a timeline the leader never saw", Point{Timeline: 2, LSN: 0x101}, 4, h, Diverged},
		{"ahead of the leader's timeline", Point{Timeline: 5, LSN: 0x1}, 4, h, Diverged},
		{"no history yet", Point{Timeline: 1, LSN: 0x1}, 4, nil, Unknown},
		{"leader unknown", Point{Timeline: 1, LSN: 0x1}, 0, h, Unknown},
		{"own position unknown", Point{Timeline: 1}, 4, h, Unknown},
	}
	for _, c := range cases {
		if got := Relate(c.member, c.leader, c.h); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestParseHistory(t *testing.T) {
	h, err := ParseHistory("1\t0/3000060\tno recovery target specified\n\n2\t0/4000000\tbefore 2000\n")
	if err != nil {
		t.Fatal(err)
	}
	want := History{{1, 0x3000060, "no recovery target specified"}, {2, 0x4000000, "before 2000"}}
	if len(h) != 2 || h[0] != want[0] || h[1] != want[1] {
		t.Fatalf("got %v", h)
	}
	for _, bad := range []string{"1", "x 0/1", "1 zz"} {
		if _, err := ParseHistory(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
