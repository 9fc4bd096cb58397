package postgres

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// remindEvery is the pause between two looks at a server that stops. The first comes that long after it was asked to.
const remindEvery = 500 * time.Millisecond

// remind makes sure that a fast shutdown ends also where the postmaster was not the first to hear of it. Who ends a whole
// process tree or a whole control group (the executor of Mesos for a command, systemd by default) asks every process at the
// same moment. The postmaster then begins a smart shutdown and starts again what ended too early, such as the background
// writer; when the startup process has ended next it waits for those without a word to them (reaper in postmaster.c), and a
// request for a fast shutdown changes nothing any more. They are told here what the postmaster tells them in a fast shutdown;
// hearing it twice means nothing. The caller ends it.
func (s *Server) reminding(ctx context.Context, pm *postmaster) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { s.remind(ctx, pm) })
	return func() {
		cancel()
		work.Wait()
	}
}

func (s *Server) remind(ctx context.Context, pm *postmaster) {
	tick := time.NewTicker(remindEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pm.Gone():
			return
		case <-tick.C:
		}
		all, err := process.In(s.dir)
		if err != nil {
			s.log.WarnContext(ctx, "look at the processes of a server that stops", slog.Any("err", err))
			return
		}
		for _, p := range all {
			if p.Parent != pm.PID() || !endsFirst(p) {
				continue
			}
			if err := send(p, unix.SIGTERM, endsFirst); err != nil {
				s.log.WarnContext(ctx, "remind a process that its server stops", slog.Any("err", err))
			}
		}
	}
}

// endLater are the processes that a shutdown still needs, and the startup process, whose end a postmaster that has not begun
// takes for a crash.
var endLater = []string{"checkpointer", "archiver", "logger", "stats collector", "walsender", "io worker", "startup"}

// endsFirst recognises the processes that a fast shutdown asks to end before its checkpoint.
func endsFirst(p process.Info) bool {
	return isBackend(p) && !slices.ContainsFunc(endLater, func(word string) bool { return strings.Contains(p.Title, word) })
}
