package ctl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// watched draws pictures until the time is over and returns what a terminal, or a file, got.
func watched(t *testing.T, terminal bool, pictures ...any) (string, error) {
	t.Helper()
	var out bytes.Buffer
	tool := &tool{env: testEnv(&out, nil, "")}
	tool.env.Terminal = terminal
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(pictures))*2*time.Second-time.Second)
	defer cancel()
	next := -1
	err := tool.watching(ctx, watchOptions{often: true}, func() (string, error) {
		next++
		text, _ := pictures[next].(string)
		err, _ := pictures[next].(error)
		return text, err
	})
	return out.String(), err
}

// On a terminal each picture takes the place of the last one, and the last one stays behind on the screen that was there before.
func TestWatchRedrawsInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := watched(t, true, "a\n", "b\n")
		want := enterScreen + home + "a" + clearLine + "\n" + clearBelow + home + "b" + clearLine + "\n" + clearBelow + leaveScreen + "b\n"
		if err != nil || got != want {
			t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
		}
	})
}

func TestWatchIntoAFileIsPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got, err := watched(t, false, "a\n", "b\n", "c\n"); err != nil || got != "a\nb\nc\n" {
			t.Errorf("%v %q", err, got)
		}
	})
}

// A DCS that is silent for a while ends nothing, but one that was never there does.
func TestWatchOutlivesTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := errors.New("no answer")
		got, err := watched(t, false, "first\n", silent, "c\n")
		if err != nil || got != strings.Repeat("first\n", 2)+"2026-01-02 03:04:05 no answer\nc\n" {
			t.Errorf("%v %q", err, got)
		}
		if _, err := watched(t, true, silent); !errors.Is(err, silent) {
			t.Errorf("%v", err)
		}
	})
}

func TestWatchIntervals(t *testing.T) {
	cases := map[watchOptions]time.Duration{
		{}: 0, {often: true}: 2 * time.Second, {seconds: 0.5}: 500 * time.Millisecond, {seconds: 1, often: true}: time.Second,
		{seconds: -1}: 0, {seconds: 1e300}: 24 * time.Hour,
	}
	for o, want := range cases {
		if got := o.every(); got != want {
			t.Errorf("%+v: %v, want %v", o, got, want)
		}
	}
}

// What is answered at once is not announced; what takes longer is, and is gone afterwards.
func TestWhatTakesLongIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tool := &tool{env: Env{Err: &log, Terminal: true}}
		n := tool.waiting("waiting for a")
		time.Sleep(time.Second)
		n.over()
		if log.Len() > 0 {
			t.Errorf("after a second: %q", log.String())
		}
		n = tool.waiting("waiting for a")
		time.Sleep(2500 * time.Millisecond)
		n.say("waiting for b")
		time.Sleep(time.Second)
		n.over()
		if got, want := log.String(), "\r\x1b[Kwaiting for a … 2 s\r\x1b[Kwaiting for b … 3 s\r\x1b[K"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		tool.env.Terminal = false
		log.Reset()
		n = tool.waiting("waiting")
		time.Sleep(time.Minute)
		n.over()
		if log.Len() > 0 {
			t.Errorf("without a terminal: %q", log.String())
		}
	})
}

func TestDifferencesAreColoured(t *testing.T) {
	text, err := difference("a: 1\nb: 2\n", "a: 1\nb: 3\n")
	if err != nil || text != "--- \n+++ \n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n" {
		t.Errorf("%v %q", err, text)
	}
	if got := coloured(text); !strings.Contains(got, "\x1b[31m-b: 2\x1b[0m\n\x1b[32m+b: 3\x1b[0m\n") || !strings.Contains(got, "\n a: 1\n") {
		t.Errorf("%q", got)
	}
}

// Whoever interrupts a question has nothing done.
func TestQuestionsCanBeInterrupted(t *testing.T) {
	in, hold := io.Pipe()
	t.Cleanup(func() { hold.Close() }) //nolint:errcheck // nobody reads any more
	ctx, interrupt := context.WithCancel(t.Context())
	var out bytes.Buffer
	env := testEnv(&out, fixed{c: picture("")}, "")
	env.In = in
	root := newTestRoot(env)
	root.SetArgs([]string{"switchover"})
	time.AfterFunc(50*time.Millisecond, interrupt)
	if err := root.ExecuteContext(ctx); !errors.Is(err, ErrAborted) || !strings.HasSuffix(out.String(), "Primary [patroni-node1]: \n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
