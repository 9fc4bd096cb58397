package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Log writes lines from a queue, in a goroutine of its own. It is safe for concurrent use.
type Log struct {
	fallback io.Writer
	began    time.Time
	queue    *queue
	form     atomic.Pointer[form]
	// wanted is where the next line goes, until the writer has taken it over.
	wanted  atomic.Pointer[target]
	written chan struct{}

	// file, nil for the fallback, is the writer's alone. failing is true while it cannot be written and the fallback takes
	// its lines.
	file    *file
	failing bool

	mu   sync.Mutex
	said map[string]string // last, by the part of the program
}

// target is where lines go: a file, or the fallback.
type target struct{ file *file }

func (t *target) close() {
	if t != nil && t.file != nil {
		t.file.close()
	}
}

// form is what decides over lines and makes them; it is replaced as a whole.
type form struct {
	levels levels
	line   func(entry) []byte
	// once leaves repeated lines out.
	once bool
}

// Open begins to write. The fallback is written to where no directory is given, and while its file cannot be. Close ends
// it.
func Open(o Options, fallback io.Writer) (*Log, error) {
	l := &Log{fallback: fallback, began: time.Now(), queue: newQueue(defaultQueue), written: make(chan struct{}), said: map[string]string{}}
	if err := l.Configure(o); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// Configure replaces the options. Lines that wait are written where the new ones say. Where they cannot be used, the
// error says why, and the old ones stay in force. A file is opened anew in any case: it may have been renamed from outside.
func (l *Log) Configure(o Options) error {
	next, err := newForm(o, l.began)
	if err != nil {
		return err
	}
	to := &target{}
	if o.Dir != "" {
		if to.file, err = openFile(o); err != nil {
			return err
		}
	}
	limit := o.Queue
	if limit <= 0 {
		limit = defaultQueue
	}
	l.queue.resize(limit)
	l.form.Store(next)
	// The writer may be stuck with a line: whoever configures does not wait for it.
	l.wanted.Swap(to).close()
	return nil
}

func newForm(o Options, began time.Time) (*form, error) {
	f := &form{levels: newLevels(o), once: o.Deduplicate}
	if o.Human {
		f.line = human
		return f, nil
	}
	made, err := newLayout(o, began)
	if err != nil {
		return nil, err
	}
	f.line = made.line
	return f, nil
}

// Handler is the beginning of a logger that writes here.
func (l *Log) Handler() slog.Handler { return handler{log: l} }

// QueueSize is how many lines wait to be written.
func (l *Log) QueueSize() int {
	waiting, _ := l.queue.state()
	return waiting
}

// Lost is how many lines did not fit into the queue since the log last said so.
func (l *Log) Lost() int {
	_, lost := l.queue.state()
	return lost
}

// Close takes no more lines, and writes those that wait until ctx ends. The error says how many are lost.
func (l *Log) Close(ctx context.Context) error {
	l.queue.close()
	if !l.queue.drained(ctx) {
		waiting, lost := l.queue.state()
		return fmt.Errorf("%d lines of the log were not written: where they go to does not take them", waiting+lost)
	}
	<-l.written
	return nil
}

// write is the goroutine that writes. It ends when the queue is closed and empty.
func (l *Log) write() {
	defer close(l.written)
	for {
		line, ok := l.queue.take()
		l.turn()
		if !ok {
			(&target{l.file}).close()
			return
		}
		l.put(line)
	}
}

// turn goes over to what Configure wants.
func (l *Log) turn() {
	if to := l.wanted.Swap(nil); to != nil {
		(&target{l.file}).close()
		l.file, l.failing = to.file, false
	}
}

// put writes a line to the file, or to the fallback where there is none or it cannot be written. Only the first failure in a
// row is told.
func (l *Log) put(line []byte) {
	if l.file != nil {
		before := l.failing
		_, err := l.file.Write(line)
		if l.failing = err != nil; !l.failing {
			return
		}
		if !before {
			told := l.made(slog.LevelError, "the log goes to standard error: its file cannot be written", slog.Any("err", err))
			l.fallback.Write(told) //nolint:errcheck // there is nobody to tell
		}
	}
	l.fallback.Write(line) //nolint:errcheck // there is nobody to tell
}

// made is a line of the log's own.
func (l *Log) made(level slog.Level, message string, attrs ...slog.Attr) []byte {
	return l.form.Load().line(entry{time: time.Now(), level: level, message: message, attrs: attrs})
}

// enqueue takes a record in.
func (l *Log) enqueue(e entry) {
	f := l.form.Load()
	name := e.name()
	if e.level < f.levels.of(name) || f.once && e.level < slog.LevelWarn && l.repeats(name, e) {
		return
	}
	l.queue.put(f.line(e), func(lost int) []byte {
		return l.made(slog.LevelWarn, "the log's queue was full", slog.Int("lost", lost))
	})
}

// repeats reports whether a part of the program says what it said last.
func (l *Log) repeats(name string, e entry) bool {
	plain := layout{}
	text := levelName(e.level) + string(plain.appendText(nil, e))
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.said[name] == text
	l.said[name] = text
	return again
}
