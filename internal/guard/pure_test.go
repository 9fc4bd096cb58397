package guard

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/clock"
)

func TestMessagesKeepTheirContent(t *testing.T) {
	want := message{Kind: arm, PID: 4711, Ticks: 1 << 40, Seq: 7, Act: 1 << 50, Deadline: 1<<50 + 1}
	text, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(text)
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, text[:len(text)-1], append(text, 0)} {
		if _, err := decode(bad); err == nil {
			t.Errorf("%d bytes were read", len(bad))
		}
	}
}

func TestConfirmations(t *testing.T) {
	for _, trouble := range []string{"", "no timer", strings.Repeat("x", 2*longest)} {
		var err error
		if trouble != "" {
			err = errors.New(trouble)
		}
		seq, got, err := parseConfirmation(confirmation(42, err))
		if err != nil || seq != 42 || !strings.HasPrefix(trouble, got) || got == "" != (trouble == "") {
			t.Errorf("got %d, %q, %v", seq, got, err)
		}
	}
	if _, _, err := parseConfirmation([]byte("short")); err == nil {
		t.Error("five bytes were read")
	}
}

func TestMeansGetHarder(t *testing.T) {
	got := meansOf(100, 200)
	want := []means{{100, unix.SIGINT}, {150, unix.SIGQUIT}, {175, unix.SIGKILL}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(means{})); diff != "" {
		t.Error(diff)
	}
	for _, m := range meansOf(200, 100) {
		if m.at != 200 {
			t.Errorf("%v at %d although the deadline has passed", m.signal, m.at)
		}
	}
}

// What the machine slept between two orders may have come after the instant that the deadline was reckoned from.
func TestASuspensionBetweenTwoOrders(t *testing.T) {
	g := &Guard{slept: clock.Suspended() - 7*time.Second}
	at := time.Now().Add(20 * time.Second)
	o := Order{Act: at, Deadline: at.Add(time.Second)}
	within := func(m message, want time.Duration) {
		t.Helper()
		if got := m.Act.sub(now()); got > want || got < want-time.Second {
			t.Errorf("it acts in %s, want %s", got, want)
		}
		if got := m.Deadline.sub(m.Act).Round(time.Millisecond); got != time.Second {
			t.Errorf("it has %s for it", got)
		}
	}
	within(g.translate(o), 13*time.Second)
	within(g.translate(o), 20*time.Second)
}
