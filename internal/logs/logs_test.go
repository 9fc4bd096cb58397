package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is where a log falls back to. While it is held it takes nothing.
type sink struct {
	held sync.Mutex
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sink) Write(line []byte) (int, error) {
	s.held.Lock()
	defer s.held.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(line)
}

func (s *sink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(s.text.String(), "\n"), "\n")
}

func open(t *testing.T, o Options) (*Log, *slog.Logger, *sink) {
	t.Helper()
	to := &sink{}
	l, err := Open(o, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, l) })
	return l, slog.New(l.Handler()), to
}

// end closes a log, after which all its lines are there.
func end(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestDefaultLayout(t *testing.T) {
	l, log, to := open(t, Options{})
	log.DebugContext(t.Context(), "nobody reads this")
	log.WarnContext(t.Context(), "no answer", slog.String("member", "n 2"), slog.Any("err", errors.New("line one\nline two")))
	end(t, l)
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING: no answer member="n 2" err="line one\\nline two"$`)
	if got := to.lines(); len(got) != 1 || !want.MatchString(got[0]) {
		t.Fatalf("got %q", got)
	}
}

// spoken is a record of this test, made at a known time.
func spoken() entry {
	e := entry{
		time: time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.Local), level: slog.LevelWarn, message: "the lease is lost",
		attrs: []slog.Attr{slog.Int("left", 3), slog.Duration("after", time.Second)},
	}
	e.at.Function, e.at.File, e.at.Line = "github.com/pgbaton/pgbaton/internal/kv/etcd3.(*Store).Renew", "x/internal/kv/etcd3/lease.go", 42
	return e
}

func TestFormats(t *testing.T) {
	for format, want := range map[string]string{
		"":                            "2026-01-02 03:04:05,678 WARNING: the lease is lost left=3 after=1s",
		"%(levelname)-8s|%(message)s": "WARNING |the lease is lost left=3 after=1s",
		"%(message).9s":               "the lease",
		"%(levelname)10s 100%%":       "   WARNING 100%",
		"%(name)s %(module)s %(filename)s %(funcName)s:%(lineno)d": "pgbaton.kv.etcd3 lease lease.go (*Store).Renew:42",
		"%(lineno)05d %(lineno)s %(lineno)x %(levelno)d":           "00042 42 2a 30",
		"%(msecs)03d %(msecs)s":                                    "678 678.9",
		"%(created).1f":                                            fmt.Sprintf("%.1f", float64(spoken().time.UnixMilli())/1e3),
		"%(process)d":                                              fmt.Sprint(os.Getpid()),
		"%(threadName)s %(processName)s %(thread)d %(taskName)s":   "MainThread MainProcess 0 None",
		"%(pathname)s":                                             "x/internal/kv/etcd3/lease.go",
	} {
		l, err := newLayout(Options{Format: format}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(l.line(spoken())); got != want+"\n" {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
}

func TestFormatsThatCannotBe(t *testing.T) {
	for format, want := range map[string]string{
		"%(colour)s":  "no place %(colour)s",
		"%message":    "begins no place",
		"50% sure":    "begins no place",
		"%(message)d": "as a number",
		"%(message)":  "begins no place",
	} {
		if _, err := newLayout(Options{Format: format}, time.Time{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", format, err, want)
		}
	}
	if _, err := newLayout(Options{JSON: true, Fields: []Field{{"nothing", "x"}}}, time.Time{}); err == nil {
		t.Error("a field that does not exist was taken")
	}
}

func TestDateFormat(t *testing.T) {
	l, err := newLayout(Options{Format: "%(asctime)s.%(msecs)03d", DateFormat: "%d/%m/%y %H-%M"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(l.line(spoken())); got != "02/01/26 03-04.678\n" {
		t.Errorf("got %q", got)
	}
}

func TestJSON(t *testing.T) {
	static := map[string]any{"app": "db", "left": 9, "more": map[string]any{"a": 1}}
	l, err := newLayout(Options{JSON: true, Static: static, Fields: []Field{{"levelname", "severity"}, {"message", "message"}, {"lineno", "line"}}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	e := spoken()
	e.message = "<it's \"\n\xff"
	e.attrs = append(e.attrs, slog.Any("password", secret.Text("hush")), slog.Any("names", []string{"a", "b"}), slog.Any("err", errors.New("x")), slog.Any("f", func() {}), slog.Bool("ok", true))
	line := l.line(e)
	if strings.Contains(string(line), "hush") || strings.Count(string(line), "\n") != 1 {
		t.Fatalf("got %q", line)
	}
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	delete(got, "f")
	delete(got, "password")
	want := map[string]any{
		"severity": "WARNING", "message": "<it's \"\n\ufffd", "line": 42.0, "left_": 3.0, "after": "1s", "names": []any{"a", "b"}, "err": "x", "ok": true,
		"app": "db", "left": 9.0, "more": map[string]any{"a": 1.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(string(line), `{"severity": "WARNING", "message": `) {
		t.Errorf("the fields are not in their order: %s", line)
	}
}

func TestPartsHaveLevelsOfTheirOwn(t *testing.T) {
	l := newLevels(Options{Level: slog.LevelWarn, Loggers: map[string]slog.Level{"pgbaton.kv": slog.LevelDebug, "patroni.ha": slog.LevelInfo, "urllib3": slog.LevelDebug}})
	for name, want := range map[string]slog.Level{
		"pgbaton": slog.LevelWarn, "pgbaton.kv": slog.LevelDebug, "pgbaton.kv.etcd3": slog.LevelDebug, "pgbaton.kvx": slog.LevelWarn, "pgbaton.agent": slog.LevelInfo,
	} {
		if got := l.of(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	own, log, to := open(t, Options{Level: slog.LevelError, Loggers: map[string]slog.Level{"patroni.logs": slog.LevelDebug}})
	log.DebugContext(t.Context(), "said by this package")
	end(t, own)
	if got := to.lines(); !strings.HasSuffix(got[0], "DEBUG: said by this package") {
		t.Errorf("got %q", got)
	}
}

func TestRepeatedLinesAreLeftOut(t *testing.T) {
	l, log, to := open(t, Options{Deduplicate: true, Format: "%(message)s"})
	for range 3 {
		log.InfoContext(t.Context(), "leading", slog.Int("tl", 1))
	}
	log.InfoContext(t.Context(), "leading", slog.Int("tl", 2))
	for range 2 {
		log.WarnContext(t.Context(), "no answer")
	}
	end(t, l)
	if diff := cmp.Diff([]string{"leading tl=1", "leading tl=2", "no answer", "no answer"}, to.lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGroupsAndAttributesOfALogger(t *testing.T) {
	l, log, to := open(t, Options{Format: "%(message)s"})
	log = log.With(slog.String("member", "n1")).WithGroup("job").With(slog.Int("no", 1))
	log.InfoContext(t.Context(), "done", slog.Group("took", slog.Duration("all", time.Second)), slog.Attr{})
	end(t, l)
	if got, want := to.lines()[0], "done member=n1 job.no=1 job.took.all=1s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBriefErrors(t *testing.T) {
	err := errors.Join(errors.New("no start"), errors.New("details"))
	for level, want := range map[slog.Level]string{slog.LevelInfo: "failed err=\"no start\"\n", slog.LevelDebug: "failed err=\"no start\\ndetails\"\n"} {
		l, problem := newLayout(Options{Brief: true, Level: level, Format: "%(message)s"}, time.Time{})
		if problem != nil {
			t.Fatal(problem)
		}
		if got := string(l.line(entry{message: "failed", attrs: []slog.Attr{slog.Any("err", err)}})); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestForPeople(t *testing.T) {
	l, log, to := open(t, Options{Human: true})
	log.InfoContext(t.Context(), "leading\n2026 ERROR: forged", slog.Int("tl", 1))
	end(t, l)
	if got := to.lines(); len(got) != 1 || !strings.Contains(got[0], "leading") || !strings.Contains(got[0], "tl=") {
		t.Errorf("got %q", got)
	}
}

// An agent whose log is stuck goes on, and says later what the log lacks.
func TestNobodyWaitsForAStuckLog(t *testing.T) {
	const limit, more = 10, 7
	l, log, to := open(t, Options{Queue: limit, Format: "%(levelname)s %(message)s"})
	to.held.Lock()
	log.InfoContext(t.Context(), "taken")
	for l.QueueSize() > 0 { // until the writer is stuck with it
		time.Sleep(time.Millisecond)
	}
	for i := range limit + more {
		log.InfoContext(t.Context(), "waiting", slog.Int("no", i))
	}
	if l.QueueSize() != limit || l.Lost() != more {
		t.Fatalf("%d lines wait and %d are lost, want %d and %d", l.QueueSize(), l.Lost(), limit, more)
	}
	to.held.Unlock()
	for l.QueueSize() > 0 {
		time.Sleep(time.Millisecond)
	}
	log.InfoContext(t.Context(), "again")
	end(t, l)
	got := to.lines()
	if diff := cmp.Diff([]string{"WARNING the log's queue was full lost=7", "INFO again"}, got[len(got)-2:]); diff != "" || len(got) != 1+limit+2 || l.Lost() != 0 {
		t.Fatalf("(-want +got):\n%s\n%q", diff, got)
	}
}

func TestLinesThatCouldNotBeWrittenAreTold(t *testing.T) {
	to := &sink{}
	l, err := Open(Options{}, to)
	if err != nil {
		t.Fatal(err)
	}
	to.held.Lock()
	log := slog.New(l.Handler())
	for range 3 {
		log.InfoContext(t.Context(), "nobody takes this")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); err == nil || !strings.Contains(err.Error(), "were not written") {
		t.Errorf("got %v", err)
	}
	log.InfoContext(t.Context(), "after the end")
	to.held.Unlock()
	<-l.written
}

func inDir(t *testing.T, o Options) (string, *Log, *slog.Logger, *sink) {
	t.Helper()
	o.Dir = t.TempDir()
	l, log, to := open(t, o)
	return o.Dir, l, log, to
}

func TestFileIsRenamedWhenItHasGrown(t *testing.T) {
	dir, l, log, _ := inDir(t, Options{Format: "%(message)s", FileSize: 20, FileNum: 2, Mode: 0o640})
	for i := range 8 {
		log.InfoContext(t.Context(), fmt.Sprintf("line %04d", i)) //nolint:sloglint // ten bytes with its end
	}
	end(t, l)
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name()] = string(text)
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	want := map[string]string{
		"patroni.log": "line 0006\nline 0007\n", "patroni.log.1": "line 0004\nline 0005\n", "patroni.log.2": "line 0002\nline 0003\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFileWithoutLimitGrows(t *testing.T) {
	dir, l, log, _ := inDir(t, Options{FileSize: 10})
	for range 5 {
		log.InfoContext(t.Context(), "a line")
	}
	end(t, l)
	text, err := os.ReadFile(filepath.Join(dir, "patroni.log"))
	if err != nil || strings.Count(string(text), "\n") != 5 {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestDirectoryThatIsNotThere(t *testing.T) {
	_, err := Open(Options{Dir: filepath.Join(t.TempDir(), "nowhere")}, &sink{})
	if err == nil || !strings.Contains(err.Error(), "the directory does not exist: create it, or change log.dir") {
		t.Errorf("got %v", err)
	}
}

// A file on a full disk: nothing is lost, and it is told once.
func TestFileThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "patroni.log")); err != nil {
		t.Fatal(err)
	}
	l, log, to := open(t, Options{Dir: dir, Format: "%(levelname)s %(message)s"})
	log.InfoContext(t.Context(), "one")
	log.InfoContext(t.Context(), "two")
	end(t, l)
	got := to.lines()
	if len(got) != 3 || !strings.HasPrefix(got[0], "ERROR the log goes to standard error: its file cannot be written err=") || got[1] != "INFO one" || got[2] != "INFO two" {
		t.Errorf("got %q", got)
	}
}

func TestReconfiguration(t *testing.T) {
	dir, l, log, to := inDir(t, Options{Format: "%(message)s"})
	log.InfoContext(t.Context(), "to the file")
	settle(t, l)
	// Somebody else renames the file, and says so.
	if err := os.Rename(filepath.Join(dir, "patroni.log"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	configure(t, l, Options{Format: "%(message)s", Dir: dir})
	log.InfoContext(t.Context(), "to the new file")
	settle(t, l)
	if err := l.Configure(Options{Format: "%(nothing)s"}); err == nil {
		t.Error("a format that cannot be was taken")
	}
	if err := l.Configure(Options{Dir: filepath.Join(dir, "nowhere")}); err == nil {
		t.Error("a directory that does not exist was taken")
	}
	log.InfoContext(t.Context(), "still to the file")
	settle(t, l)
	configure(t, l, Options{Level: slog.LevelDebug, Format: "%(levelname)s %(message)s"})
	configure(t, l, Options{Level: slog.LevelDebug, Format: "%(levelname)s: %(message)s"})
	log.DebugContext(t.Context(), "to the fallback")
	end(t, l)
	for name, want := range map[string]string{"old": "to the file\n", "patroni.log": "to the new file\nstill to the file\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if diff := cmp.Diff([]string{"DEBUG: to the fallback"}, to.lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func configure(t *testing.T, l *Log, o Options) {
	t.Helper()
	if err := l.Configure(o); err != nil {
		t.Fatal(err)
	}
}

// settle waits until all lines are written.
func settle(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if !l.queue.drained(ctx) {
		t.Fatal("lines are still waiting")
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]string{"debug": "DEBUG", "NOTSET": "DEBUG", "": "INFO", "warn": "WARNING", "ERROR": "ERROR", "FATAL": "CRITICAL", "CRITICAL": "CRITICAL"} {
		if level, err := ParseLevel(name); err != nil || levelName(level) != want {
			t.Errorf("%s: got %s, %v", name, levelName(level), err)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("a level that does not exist was taken")
	}
}

// Whatever a format, a sentence or an attribute holds, a record is one line, and nothing panics.
func FuzzLine(f *testing.F) {
	f.Add("%(asctime)s %(levelname)-8s %(message)s", "%Y", "leading", "key", "value")
	f.Add("%(message)5.3s%%", "%E%O%", "a\nb\x1b[0m", "k=\r", "\u2028\xff")
	f.Add("%(lineno)+#010x%(created)G", "%-%", "", "", "")
	f.Fuzz(func(t *testing.T, format, date, message, key, value string) {
		e := spoken()
		e.message, e.attrs = message, []slog.Attr{slog.String(key, value), slog.Any(value, errors.New(key))}
		plain, err := newLayout(Options{Format: format, DateFormat: date}, time.Time{})
		if err == nil && len(format) < 100 { // a width may be huge
			line := string(plain.line(e))
			if breaks := strings.Count(format, "\n") + strings.Count(date, "\n") + strings.Count(date, "n"); strings.Count(line, "\n") > breaks*20+1 {
				t.Fatalf("%q", line)
			}
		}
		made, err := newLayout(Options{JSON: true, Static: map[string]any{key: value}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if line := made.line(e); !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q", line)
		}
		human(e)
	})
}

func BenchmarkLine(b *testing.B) {
	l, err := newLayout(Options{}, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	e := spoken()
	for b.Loop() {
		l.line(e)
	}
}
