package logs

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/lmittmann/tint"
)

// handler is a Log with the attributes and the group of one logger.
type handler struct {
	log    *Log
	attrs  []slog.Attr
	prefix string
}

// Enabled implements slog.Handler. Parts of the program may have levels of their own, which only Handle can tell.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.log.form.Load().levels.minimum
}

// Handle implements slog.Handler. It never waits.
func (h handler) Handle(_ context.Context, r slog.Record) error {
	h.log.enqueue(newEntry(r, h.attrs, h.prefix))
	return nil
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		h.attrs = flatten(h.attrs, h.prefix, a)
	}
	return h
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.prefix += name + "."
	}
	return h
}

// human is a line for a person at a terminal.
func human(e entry) []byte {
	var out bytes.Buffer
	r := slog.NewRecord(e.time, e.level, oneLine(e.message), e.pc)
	r.AddAttrs(e.attrs...)
	pretty := tint.NewTextHandler(&out, &tint.Options{Level: slog.LevelDebug, TimeFormat: time.TimeOnly + ".000"})
	pretty.Handle(context.Background(), r) //nolint:errcheck // a buffer takes everything
	return out.Bytes()
}
