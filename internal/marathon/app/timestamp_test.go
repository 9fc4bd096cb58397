package app

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimestampHasThreeFractionDigitsInUTC(t *testing.T) {
	berlin := time.FixedZone("", 2*3600)
	for _, tt := range []struct {
		in   time.Time
		want string
	}{
		{time.Date(2026, 11, 30, 14, 0, 0, 0, berlin), "2026-11-30T12:00:00.000Z"},
		{time.Date(2026, 11, 30, 12, 0, 0, 1_999_999, time.UTC), "2026-11-30T12:00:00.001Z"},
		{time.Date(1, 2, 3, 4, 5, 6, 0, time.UTC), "0001-02-03T04:05:06.000Z"},
	} {
		if got := At(tt.in).String(); got != tt.want {
			t.Errorf("At(%v) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestZeroTimestampIsNever(t *testing.T) {
	if got := At(time.Time{}); got != 0 {
		t.Errorf("At(zero time) = %v, want 0", int64(got))
	}
	if got := Timestamp(0).Time(); !got.IsZero() {
		t.Errorf("Timestamp(0).Time() = %v, want the zero time", got)
	}
	b, err := json.Marshal(Task{})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"","appId":"","host":"","ports":[],"servicePorts":[],"slaveId":"","state":""}`
	if string(b) != want {
		t.Errorf("an empty task is %s, want %s", b, want)
	}
}

func TestParseTimestamp(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"2026-11-30T12:00:00.123Z", "2026-11-30T12:00:00.123Z"},
		{"2026-11-30T14:00:00+02:00", "2026-11-30T12:00:00.000Z"},
		{"2026-11-30T12:00:00.123456789Z", "2026-11-30T12:00:00.123Z"},
		{"2026-11-30", ""},
		{"yesterday", ""},
		{"9999-12-31T23:59:59-01:00", ""},
	} {
		got, err := ParseTimestamp(tt.in)
		if err != nil {
			if tt.want != "" {
				t.Errorf("ParseTimestamp(%q): %v", tt.in, err)
			}
			continue
		}
		if got.String() != tt.want {
			t.Errorf("ParseTimestamp(%q) = %s, want %s", tt.in, got, tt.want)
		}
		if back := At(got.Time()); back != got {
			t.Errorf("At(%v.Time()) = %v", got, back)
		}
	}
}
