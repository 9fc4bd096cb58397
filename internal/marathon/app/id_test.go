package app

import "testing"

func TestParseID(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"/postgresql/patroni", "/postgresql/patroni"},
		{"patroni", "/patroni"},
		{"//a///b/", "/a/b"},
		{"/a/../b/./c", "/b/c"},
		{"../a", "/a"},
		{"/a.b-c.d/0", "/a.b-c.d/0"},
		{"", ""},
		{"/", ""},
		{"/a/..", ""},
		{"/a/.", ""},
		{"/a/./", ""},
		{"/A", ""},
		{"/a_b", ""},
		{"/-a", ""},
		{"/a-", ""},
		{"/a..b", ""},
		{"/a b", ""},
		{"/ä", ""},
		{"/a\n", ""},
	} {
		got, err := ParseID(tt.in)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ParseID(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestPartsOfAnID(t *testing.T) {
	id := ID("/postgresql/eu.west/patroni")
	if got, want := id.Safe(), "postgresql_eu.west_patroni"; got != want {
		t.Errorf("Safe() = %q, want %q", got, want)
	}
	if got, want := id.Name(), "patroni"; got != want {
		t.Errorf("Name() = %q, want %q", got, want)
	}
	if got, want := id.Parent(), ID("/postgresql/eu.west"); got != want {
		t.Errorf("Parent() = %q, want %q", got, want)
	}
	if got, want := ID("/top").Parent(), ID("/"); got != want {
		t.Errorf("Parent() of a top-level app = %q, want %q", got, want)
	}
}

func TestNewIDsLeaveTheWordsOfTheAPIAlone(t *testing.T) {
	for _, s := range []string{"/a/restart", "tasks", "/versions/", "/", "A"} {
		if id, err := ParseNewID(s); err == nil {
			t.Errorf("ParseNewID(%q) = %q, want an error", s, id)
		}
	}
	if id, err := ParseNewID("tasks/x"); err != nil || id != "/tasks/x" {
		t.Errorf("ParseNewID(tasks/x) = %q, %v", id, err)
	}
}
