package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/route"
)

// Source is where the picture comes from.
type Source interface {
	// Load reads the picture. An error says that it is not known, never that it is empty.
	Load(ctx context.Context) (cluster.Cluster, error)
	// Watch delivers a value for changes after that revision which may concern leader or members; one
	// value may stand for several. The channel is closed when ctx ends or the watch breaks, which says
	// nothing about the picture: Load it again and watch from there.
	Watch(ctx context.Context, after cluster.Version) <-chan struct{}
}

// HAProxy is the HAProxy that is driven; *haproxy.Process is one.
type HAProxy interface {
	// Look reads the routing it does.
	Look(ctx context.Context) (route.Seen, error)
	// Apply carries one change out. After an error it may be done in part.
	Apply(ctx context.Context, change route.Change) error
	// Wake delivers a value when the routing may not be as it was left.
	Wake() <-chan struct{}
}

// Resolver looks host names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is what is routed.
type Config struct {
	// Services are the ports clients connect to, the same as HAProxy was configured with.
	Services []route.Service
	// Resolver looks up members that announce a host name. Nil leaves them where they are.
	Resolver Resolver
	// Progress is told, in words for a person, where a service goes whenever that changes, and of trouble
	// with it. It must not block. Nil tells nobody.
	Progress func(line string)
}

// The times of the loop.
const (
	// checkEvery is how often everything is compared although nothing was reported.
	checkEvery = 10 * time.Second
	// retryAfter is how long after a failure everything is compared again.
	retryAfter = time.Second
	// within bounds one reading of the picture, and the carrying out of one difference.
	within = 5 * time.Second
)

// Run routes until ctx ends, and returns nil then. HAProxy is left as it is.
func Run(ctx context.Context, cfg Config, source Source, haproxy HAProxy, log *slog.Logger) error {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	s := &shell{
		cfg: cfg, source: source, haproxy: haproxy, log: log, lines: map[string]string{},
		unwatch: func() {},
	}
	defer func() { s.unwatch() }() // the one there is in the end
	for {
		pause := checkEvery
		err := s.turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.report(err)
		if err != nil || s.changes == nil {
			pause = retryAfter
		}
		if !s.wait(ctx, pause) {
			return nil
		}
	}
}

// shell is the state of one Run.
type shell struct {
	cfg     Config
	source  Source
	haproxy HAProxy
	log     *slog.Logger

	// last is the routing of the last picture that could be read.
	last route.Wanted
	// told is the routing that was carried out last, to its end; see route.Diff.
	told route.Wanted
	// lines is where each service was last said to go.
	lines map[string]string
	// trouble is what was wrong in the last turn, empty when nothing was: it is logged once.
	trouble string

	// changes is the watch on the source, nil while there is none; it was begun at watched.
	changes <-chan struct{}
	watched time.Time
	unwatch context.CancelFunc
}

// turn compares once and carries the difference out.
func (s *shell) turn(ctx context.Context) error {
	picture, err := s.load(ctx)
	if err != nil {
		// What HAProxy forgot is told again; a failure to do so is not the trouble worth reporting.
		_ = s.carryOut(ctx, s.last.Unsure()) // See above.
		return fmt.Errorf("routing stays as it is: read the picture of the cluster: %w", err)
	}
	s.last = route.Want(picture, s.cfg.Services, s.lookUp(ctx, picture))
	if err := s.carryOut(ctx, s.last); err != nil {
		s.told = route.Wanted{}
		return fmt.Errorf("routing is not as it should be: %w", err)
	}
	s.told = s.last
	s.say()
	return nil
}

// load reads the picture and watches for what follows it.
func (s *shell) load(ctx context.Context) (cluster.Cluster, error) {
	limited, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("no answer within %v", within))
	defer cancel()
	picture, err := s.source.Load(limited)
	if err != nil {
		return cluster.Cluster{}, err
	}
	s.watch(ctx, picture.Revision)
	return picture, nil
}

// watch begins a watch where there is none. One that keeps breaking is begun only so often.
func (s *shell) watch(ctx context.Context, after cluster.Version) {
	if s.changes != nil || time.Since(s.watched) < retryAfter {
		return
	}
	watching, unwatch := context.WithCancel(ctx)
	s.changes, s.unwatch, s.watched = s.source.Watch(watching, after), unwatch, time.Now()
}

// lookUp finds the addresses of members that announced names. A name that is not found is left out.
func (s *shell) lookUp(ctx context.Context, picture cluster.Cluster) route.Names {
	names := route.Names{}
	if s.cfg.Resolver == nil {
		return names
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for _, host := range route.Hosts(picture) {
		addresses, err := s.cfg.Resolver.LookupNetIP(limited, "ip", host)
		if err != nil || len(addresses) == 0 {
			s.log.DebugContext(ctx, "member's host name has no address", slog.String("host", host), slog.Any("err", err))
			continue
		}
		names[host] = first(addresses)
	}
	return names
}

// first prefers IPv4 and then the least address, so that a name with several of them stays at one.
func first(addresses []netip.Addr) netip.Addr {
	best := addresses[0].Unmap()
	for _, a := range addresses[1:] {
		a = a.Unmap()
		if a.Is4() != best.Is4() && a.Is4() || a.Is4() == best.Is4() && a.Less(best) {
			best = a
		}
	}
	return best
}

// carryOut leads HAProxy to what is wanted, step by step, and stops at the first step that fails.
func (s *shell) carryOut(ctx context.Context, wanted route.Wanted) error {
	limited, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not done within %v", within))
	defer cancel()
	seen, err := s.haproxy.Look(limited)
	if err != nil {
		return err
	}
	for _, change := range route.Diff(s.told, wanted, seen) {
		if err := s.haproxy.Apply(limited, change); err != nil {
			return err
		}
		s.log.DebugContext(ctx, "routing changed", slog.String("step", change.String()))
	}
	return nil
}

// say tells where the services go that now go elsewhere.
func (s *shell) say() {
	for _, line := range s.last.Lines() {
		if s.lines[line.Service] == line.Text {
			continue
		}
		s.lines[line.Service] = line.Text
		s.log.Info("routing", slog.String("service", line.Service), slog.String("route", line.Text))
		s.cfg.Progress("routing: " + line.Text)
	}
}

// report logs trouble when it begins, changes or is over.
func (s *shell) report(err error) {
	switch {
	case err == nil && s.trouble != "":
		s.trouble = ""
		s.log.Info("routing works again")
		s.cfg.Progress("routing works again")
	case err != nil && err.Error() != s.trouble:
		s.trouble = err.Error()
		s.log.Warn("routing has trouble", slog.Any("err", err))
		s.cfg.Progress(s.trouble)
	}
}

// wait waits for something to do; false when ctx has ended.
func (s *shell) wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case _, ok := <-s.changes:
		if !ok {
			s.unwatch()
			s.changes = nil
		}
	case <-s.haproxy.Wake():
	case <-timer.C:
	}
	return ctx.Err() == nil
}
