package chaos

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgconn"
)

// What was sent is compared with what is there: only what was acknowledged must be, only what was sent and not refused may
// be, once, as it was sent.
func TestBooks(t *testing.T) {
	rows := func(ids ...int64) (held []heldRow) {
		for _, id := range ids {
			held = append(held, heldRow{id, content(id)})
		}
		return held
	}
	sent := []fate{acknowledged, unanswered, denied, acknowledged, pending}
	for name, c := range map[string]struct {
		held []heldRow
		want Account
	}{
		"all that must be":              {rows(1, 4), Account{Acknowledged: 2, Unknown: 1}},
		"whose answer was lost may be":  {rows(1, 2, 4), Account{Acknowledged: 2, Unknown: 1}},
		"and who waits for it":          {rows(1, 4, 5), Account{Acknowledged: 2, Unknown: 1}},
		"lost":                          {rows(1, 2), Account{Acknowledged: 1, Unknown: 1, Lost: 1}},
		"twice":                         {rows(1, 4, 4), Account{Acknowledged: 2, Unknown: 1, Unexpected: 1}},
		"there although it was refused": {rows(1, 3, 4), Account{Acknowledged: 2, Unknown: 1, Unexpected: 1}},
		"there although nobody sent it": {rows(1, 4, 6), Account{Acknowledged: 2, Unknown: 1, Unexpected: 1}},
		"there and not what was sent":   {append(rows(1), heldRow{4, content(5)}), Account{Acknowledged: 2, Unknown: 1, Unexpected: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks()
			for _, f := range sent {
				b.note(b.send(), f)
			}
			got := b.audit(b.expect(true), c.held)
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Account{}, "Examples")); diff != "" {
				t.Errorf("%s %v", diff, got.Examples)
			}
		})
	}
}

// A later audit looks at what was not settled before; one of everything looks at everything.
func TestBooksAgain(t *testing.T) {
	b := newBooks()
	first, second := b.send(), b.send()
	b.note(first, acknowledged)
	if got := b.audit(b.expect(false), []heldRow{{first, content(first)}}); got.Acknowledged != 1 || got.Lost > 0 {
		t.Errorf("got %+v", got)
	}
	b.note(second, acknowledged)
	if e := b.expect(false); e.after != first {
		t.Errorf("the next audit begins after row %d", e.after)
	}
	if got := b.audit(b.expect(false), nil); got.Lost != 1 {
		t.Errorf("the second row is lost, got %+v", got)
	}
	if got := b.audit(b.expect(true), nil); got.Lost != 2 {
		t.Errorf("both rows are lost, got %+v", got)
	}
}

// What was acknowledged while nothing was promised may be missing.
func TestBooksWeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks()
		b.note(b.send(), acknowledged)
		time.Sleep(time.Second)
		b.weaken()
		b.note(b.send(), acknowledged)
		b.strengthen()
		time.Sleep(time.Second)
		b.note(b.send(), acknowledged)
		if got := b.audit(b.expect(true), nil); got.Lost != 2 || got.Let != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFateOf(t *testing.T) {
	for _, c := range []struct {
		err    error
		warned bool
		want   fate
	}{
		{nil, false, acknowledged},
		{nil, true, unanswered},
		{errors.New("connection reset"), false, unanswered},
		{&pgconn.PgError{Code: "57P01"}, false, unanswered},
		{&pgconn.PgError{Code: "25006"}, false, denied},
	} {
		if got := fateOf(c.err, c.warned); got != c.want {
			t.Errorf("%v, %t: got %d, want %d", c.err, c.warned, got, c.want)
		}
	}
}
