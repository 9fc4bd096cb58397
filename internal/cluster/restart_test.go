package cluster

import (
	"testing"
	"time"
)

func TestServerVersions(t *testing.T) {
	cases := []struct {
		text    string
		version int
		err     string
	}{
		{"15.12", 150012, ""},
		{"9.6.24", 90624, ""},
		{"10.1", 100001, ""},
		{"9.6", 0, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6"},
		{"15", 0, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 15"},
		{"1.2.3.4", 0, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 1.2.3.4"},
		{"new", 0, "Invalid PostgreSQL version: new"},
		{"15.-1", 0, "Invalid PostgreSQL version: 15.-1"},
		{"", 0, "Invalid PostgreSQL version: "},
	}
	for _, c := range cases {
		version, err := ParseServerVersion(c.text)
		if version != c.version || err == nil && c.err != "" || err != nil && err.Error() != c.err {
			t.Errorf("%q: got %d, %v, want %d, %q", c.text, version, err, c.version, c.err)
		}
		if err == nil && ServerVersionText(version) != c.text {
			t.Errorf("%d is written %q", version, ServerVersionText(version))
		}
	}
}

func TestSchedules(t *testing.T) {
	west := time.FixedZone("", -5*3600)
	cases := []struct {
		text  string
		want  string
		zoned bool
	}{
		{"2030-01-02T03:04:05.5Z", "2030-01-02T03:04:05.5Z", true},
		{"2030-01-02T03:04+01:00", "2030-01-02T03:04:00+01:00", true},
		{"2030-01-02 03:04:05+0100", "2030-01-02T03:04:05+01:00", true},
		{"2030-01-02 03:04:05.123456+02", "2030-01-02T03:04:05.123456+02:00", true},
		{"2030-01-02 03:04 +01:00", "2030-01-02T03:04:00+01:00", true},
		{" 2030-01-02T03:04 ", "2030-01-02T03:04:00-05:00", false},
		{"2030-01-02", "2030-01-02T00:00:00-05:00", false},
	}
	for _, c := range cases {
		at, zoned, err := ParseSchedule(c.text, west)
		if err != nil || at.Format(time.RFC3339Nano) != c.want || zoned != c.zoned {
			t.Errorf("%q: got %s, %v, %v, want %s, %v", c.text, at.Format(time.RFC3339Nano), zoned, err, c.want, c.zoned)
		}
	}
	for _, text := range []string{"", "soon", "2030-13-01T00:00:00Z", "03:04"} {
		if at, _, err := ParseSchedule(text, west); err == nil {
			t.Errorf("%q was read as %v", text, at)
		}
	}
}
