package logs

import (
	"log/slog"
	"path"
	"runtime"
	"strings"
	"time"
)

// entry is one record, with everything that a layout can show of it.
type entry struct {
	time    time.Time
	level   slog.Level
	message string
	attrs   []slog.Attr
	pc      uintptr
	at      runtime.Frame
}

// newEntry puts the attributes of a logger before those of its record.
func newEntry(r slog.Record, given []slog.Attr, prefix string) entry {
	e := entry{time: r.Time, level: r.Level, message: r.Message, pc: r.PC}
	e.attrs = append(make([]slog.Attr, 0, len(given)+r.NumAttrs()), given...)
	r.Attrs(func(a slog.Attr) bool {
		e.attrs = flatten(e.attrs, prefix, a)
		return true
	})
	if r.PC != 0 {
		e.at, _ = runtime.CallersFrames([]uintptr{r.PC}).Next()
	}
	return e
}

// flatten appends an attribute; those of a group have its name before theirs: group.key.
func flatten(to []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return to
	case a.Value.Kind() == slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range a.Value.Group() {
			to = flatten(to, prefix, inner)
		}
		return to
	}
	a.Key = prefix + a.Key
	return append(to, a)
}

// name is the part of the program that made the record: pgbaton.agent.
func (e entry) name() string {
	pkg := e.at.Function
	slash := strings.LastIndexByte(pkg, '/') + 1
	if dot := strings.IndexByte(pkg[slash:], '.'); dot >= 0 {
		pkg = pkg[:slash+dot]
	}
	_, inside, ours := strings.Cut(pkg, "/internal/")
	if !ours {
		return "pgbaton"
	}
	return "pgbaton." + strings.ReplaceAll(inside, "/", ".")
}

func (e entry) file() string { return path.Base(e.at.File) }

func (e entry) module() string { return strings.TrimSuffix(e.file(), ".go") }

// function is the name of the function, without its package.
func (e entry) function() string {
	_, name, _ := strings.Cut(path.Base(e.at.Function), ".")
	return name
}
