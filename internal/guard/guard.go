package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/clock"
	"github.com/pgbaton/pgbaton/internal/process"
)

// Order says which server to stop and when.
type Order struct {
	// PID is the postmaster; zero when the server is not known yet, as before its start.
	PID int
	// Act is when to begin to stop the server, on this process's monotonic clock.
	Act time.Time
	// Deadline is when the server must be gone.
	Deadline time.Time
}

// Config says what to guard and how.
type Config struct {
	// DataDir is the data directory without symbolic links.
	DataDir string
	// Command is the program and the arguments that run Serve, before the data directory; empty is this program's own
	// command.
	Command []string
}

// Guard is the agent's side: it has a guard's process at hand at all times, makes another one when that ends, and gives it
// the orders. Its methods may be called from any goroutine.
type Guard struct {
	cfg    Config
	log    *slog.Logger
	closed chan struct{}
	watch  sync.WaitGroup

	mu    sync.Mutex // held while an order is given
	child *child     // nil while there is none
	// order is the last one that was asked for; its kind is zero before.
	order message
	seq   uint64
	// alone is true once the guards of earlier agents have been ended.
	alone bool
	// slept is how long the machine had been suspended when the last order was given.
	slept time.Duration
	// short counts processes in a row that ended soon after their start.
	short int
}

const (
	// startWithin is how long a new process may take to say that it is there.
	startWithin = 5 * time.Second
	// confirmWithin is how long one may take to confirm an order. It takes a fraction of a millisecond, so one that is
	// silent for that long is frozen or broken.
	confirmWithin = time.Second
	// endWithin is how long one may take to end after its farewell or after it was killed.
	endWithin = 3 * time.Second
	// soon and often bound how fast new ones are made when they end at once.
	soon  = time.Second
	often = 3
)

// Open starts the guard's process. A guard that an earlier agent left stays in charge until the first order.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Guard, error) {
	if len(cfg.Command) == 0 {
		cfg.Command = []string{"/proc/self/exe", "guard"}
	}
	g := &Guard{cfg: cfg, log: log, closed: make(chan struct{}), slept: clock.Suspended()}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.start(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// Arm gives the order to stop the server, in place of any earlier order. When it returns nil the guard's timer is set.
func (g *Guard) Arm(ctx context.Context, o Order) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.give(ctx, g.translate(o))
}

// Disarm takes the last order back.
func (g *Guard) Disarm(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.give(ctx, message{Kind: disarm})
}

// Note returns what a guard that stopped the server has left, once.
func (g *Guard) Note() (Note, bool) {
	n, found, err := takeNote(g.cfg.DataDir)
	if err != nil {
		g.log.Warn("the guard's note", slog.Any("err", err))
	}
	return n, found
}

// PID is the guard's process, zero while there is none.
func (g *Guard) PID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.child == nil {
		return 0
	}
	return g.child.PID()
}

// Close ends the guard's process. While it is armed it stays on guard instead, as it would if this process died.
func (g *Guard) Close() error {
	g.mu.Lock()
	close(g.closed)
	c := g.child
	g.child = nil
	var err error
	if c != nil {
		err = c.leave(g.order.Kind != arm)
	}
	g.mu.Unlock()
	g.watch.Wait()
	return err
}

// translate puts an order into the guard's terms. Instants of the monotonic clock do not count the time that the machine
// was suspended. When that happened since the last order, nobody knows whether it was before or after the instant that
// the deadline was reckoned from: it is taken off, so that the guard is early rather than late.
func (g *Guard) translate(o Order) message {
	m := message{Kind: arm, PID: int32(o.PID)} //nolint:gosec // process numbers are small
	slept := clock.Suspended()
	lost := max(slept-g.slept, 0)
	g.slept = slept
	m.Act, m.Deadline = now().add(time.Until(o.Act)-lost), now().add(time.Until(o.Deadline)-lost)
	if o.PID == 0 {
		return m
	}
	// A server that has just ended has no start any more; then the order is for whichever works there.
	if ticks, err := process.Ticks(o.PID); err == nil {
		m.Ticks = ticks
	}
	return m
}

// give hands an order over. A process that does not confirm it is ended, for it could act on an older one, and another
// one gets the order. g.mu is held.
func (g *Guard) give(ctx context.Context, m message) error {
	g.order = m
	var errs []error
	for range 2 {
		if g.child == nil {
			if err := g.start(ctx); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		err := g.tell(ctx, g.child)
		if err == nil {
			g.succeed(ctx)
			return nil
		}
		errs = append(errs, err)
		g.drop(ctx, err)
	}
	return fmt.Errorf("give the guard its order: %w", errors.Join(errs...))
}

// tell gives the order in force to a process and waits for the confirmation. g.mu is held.
func (g *Guard) tell(ctx context.Context, c *child) error {
	g.seq++
	g.order.Seq = g.seq
	ctx, cancel := context.WithTimeoutCause(ctx, confirmWithin, errSilent)
	defer cancel()
	return c.tell(ctx, g.order)
}

var errSilent = errors.New("the guard does not answer")

// start makes a process and gives it the order in force. g.mu is held.
func (g *Guard) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, errSilent)
	defer cancel()
	c, err := spawn(ctx, g.cfg)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	g.child = c
	g.log.InfoContext(ctx, "the guard is there", slog.Int("pid", c.PID()))
	g.watch.Go(func() { g.follow(context.WithoutCancel(ctx), c) })
	return nil
}

// drop ends a process for good. g.mu is held.
func (g *Guard) drop(ctx context.Context, why error) {
	c := g.child
	g.child = nil
	g.log.WarnContext(ctx, "replacing the guard", slog.Int("pid", c.PID()), slog.Any("err", why))
	if err := c.kill(); err != nil {
		g.log.ErrorContext(ctx, "the old guard does not end", slog.Any("err", err))
	}
}

// succeed ends the guards of earlier agents, now that this one has an order. g.mu is held.
func (g *Guard) succeed(ctx context.Context) {
	for !g.alone {
		pid, err := holder(g.cfg.DataDir, g.child.PID())
		if err == nil && pid != 0 {
			err = g.endHolder(pid)
		}
		switch {
		case err != nil:
			g.log.WarnContext(ctx, "the guard of an earlier agent goes on and may stop the server", slog.Any("err", err))
			return
		case pid == 0:
			g.alone = true
		default:
			g.log.InfoContext(ctx, "took over from the guard of an earlier agent", slog.Int("pid", pid))
		}
	}
}

// endHolder ends the guard with that process number. Whatever it is doing may be left half-done; see the package comment.
func (g *Guard) endHolder(pid int) error {
	h, err := process.Open(pid)
	if errors.Is(err, process.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // nothing can be lost
	// It is the holder for sure when it still is one now that its handle is open.
	if again, err := holder(g.cfg.DataDir, g.child.PID()); err != nil || again != pid {
		return err
	}
	return end(h)
}

// end kills a process and waits until it is gone.
func end(h *process.Handle) error {
	if err := h.Signal(unix.SIGKILL); err != nil && !errors.Is(err, process.ErrNone) {
		return err
	}
	return gone(h)
}

func gone(h *process.Handle) error {
	timer := time.NewTimer(endWithin)
	defer timer.Stop()
	select {
	case <-h.Gone():
		return nil
	case <-timer.C:
		return fmt.Errorf("process %d: %w", h.PID(), os.ErrDeadlineExceeded)
	}
}

// follow waits for the end of a process and makes another one.
func (g *Guard) follow(ctx context.Context, c *child) {
	began := time.Now()
	select {
	case <-c.Gone():
	case <-g.closed:
		return
	}
	pause := time.Duration(0)
	for g.replace(ctx, c, time.Since(began), &pause) {
		select {
		case <-time.After(pause):
		case <-g.closed:
			return
		}
	}
}

// replace makes a process in place of one that ended, and asks to be called again after a pause when it could not.
func (g *Guard) replace(ctx context.Context, c *child, lived time.Duration, pause *time.Duration) (again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case isClosed(g.closed), *pause == 0 && g.child != c, *pause > 0 && g.child != nil:
		return false // nobody is wanted, or somebody else was quicker
	case *pause == 0:
		g.child = nil
		c.close()
		g.log.WarnContext(ctx, "the guard ended", slog.Int("pid", c.PID()), slog.String("outcome", c.Outcome().Text))
		if g.short++; lived > soon {
			g.short = 0
		}
	}
	if g.short >= often {
		g.log.ErrorContext(ctx, "the guard ends again and again: until one stays, nothing stops the server if this agent does not run")
		g.short, *pause = 0, soon
		return true
	}
	if err := g.resume(ctx); err != nil {
		g.log.ErrorContext(ctx, "there is no guard: nothing stops the server if this agent does not run", slog.Any("err", err))
		*pause = soon
		return true
	}
	return false
}

// resume makes a process with the order in force. g.mu is held.
func (g *Guard) resume(ctx context.Context) error {
	if g.order.Kind == 0 {
		return g.start(ctx)
	}
	return g.give(ctx, g.order)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
