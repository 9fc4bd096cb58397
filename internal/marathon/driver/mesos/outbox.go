package mesos

import (
	"log/slog"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// background makes a call whose failure the next one of its kind makes up for. Such calls are made one after the other: a
// REVIVE must not overtake the SUPPRESS before it.
func (d *Driver) background(calls ...wire.Call) {
	d.outbox = append(d.outbox, calls...)
	if d.sending || len(d.outbox) == 0 || d.ctx.Err() != nil {
		return
	}
	d.sending = true
	d.work.Go(d.empty)
}

// empty makes the calls that wait.
func (d *Driver) empty() {
	for {
		d.mu.Lock()
		if len(d.outbox) == 0 || d.ctx.Err() != nil {
			d.sending = false
			d.mu.Unlock()
			return
		}
		c := d.outbox[0]
		d.outbox = d.outbox[1:]
		d.mu.Unlock()
		if err := d.call(d.ctx, c); err != nil {
			d.log.Debug("a call to Mesos came to nothing", slog.String("call", string(c.Type)), slog.Any("err", err))
		}
	}
}
