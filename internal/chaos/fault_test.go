package chaos

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/wal"
)

func led(name string, timeline int) Picture {
	return Picture{Leader: name, Members: []Member{
		{Name: "n1", Timeline: wal.Timeline(timeline)},
		{Name: "n2", Timeline: wal.Timeline(timeline)},
	}}
}

func TestPromises(t *testing.T) {
	cases := []struct {
		name          string
		moves         bool
		before, after Picture
		want          string
	}{
		{"nothing moved", false, led("n1", 3), led("n1", 3), ""},
		{"the lead moved and must not", false, led("n1", 3), led("n2", 4), "n2 leads instead of n1"},
		{"promoted in place", false, led("n1", 3), led("n1", 4), "without a new leader"},
		{"the lead moved", true, led("n1", 3), led("n2", 4), ""},
		{"the lead did not move", true, led("n1", 3), led("n1", 3), "another member must"},
		{"moved twice", true, led("n1", 3), led("n2", 5), "from 3 to 5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := Fault{Moves: c.moves}.kept(c.before, c.after)
			if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The laboratory must never kill what it did not start.
func TestStrangersAreNotKilled(t *testing.T) {
	if err := kill(t.TempDir(), os.Getppid()); err == nil || !strings.Contains(err.Error(), "none of this platform") {
		t.Errorf("got %v", err)
	}
}

func TestNetworksAreReservedOnce(t *testing.T) {
	first, held, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	second, heldToo, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer heldToo.Close() //nolint:errcheck // nobody connected
	if first == second {
		t.Errorf("%s twice", first)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address(first, 254, 8080))
	if err != nil {
		t.Fatal(err)
	}
	l.Close() //nolint:errcheck // nobody connected
}
