package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// The errors a caller may branch on.
var (
	// ErrUnavailable means that no master answered. Not definite: the call may have been carried out.
	ErrUnavailable = errors.New("no Mesos master answers")
	// ErrRejected means that the master refused the call. Definite.
	ErrRejected = errors.New("the Mesos master refused")
	// ErrFailedOver means that another scheduler subscribed with the same framework id.
	ErrFailedOver = errors.New("another scheduler subscribed as the same framework")
	// ErrRemoved means that the framework's id is of no use any more: it was torn down, or away for longer than its
	// failover timeout. Its reservations and volumes are still there.
	ErrRemoved = errors.New("Mesos has removed the framework") //nolint:staticcheck // a name
)

// Config says which masters and as whom. Masters or Find is required.
type Config struct {
	// Find is where the leading master is, as host:port. Nil: each of Masters in turn, and where they redirect to.
	Find    func(ctx context.Context) (string, error)
	Masters []string // host:port
	// Framework is who we are, with the id of an earlier subscription or none.
	Framework wire.FrameworkInfo
	// Principal and Secret log in, where the masters want it.
	Principal string
	Secret    secret.Text
	TLS       *tls.Config // nil: plain HTTP
	// Dial connects to masters; nil: as usual.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Bounds of the pause between two attempts to subscribe; 100 ms and 15 s by default.
	LeastPause, MostPause time.Duration
}

// Session is a framework's subscription, renewed as often as it takes. New makes one and Run is its life.
type Session struct {
	cfg    Config
	log    *slog.Logger
	client *http.Client

	mu         sync.Mutex
	current    *subscription // nil while there is none
	subscribed bool          // there was one
	framework  string
	suppressed []string
	leader     string // a redirect said so
	next       int    // of Masters to be tried
}

// subscription is one event stream.
type subscription struct {
	master string
	stream string // its id, on every call made for it
	end    context.CancelCauseFunc
}

// Handler is told what happens, from one goroutine.
type Handler struct {
	// Subscribed comes first on each subscription. All offers of the one before are void.
	Subscribed func(wire.Subscribed)
	// Event is everything else but heartbeats.
	Event func(wire.Event)
	// Lost says that the subscription has ended, and why.
	Lost func(err error)
}

const (
	leastPause = 100 * time.Millisecond
	mostPause  = 15 * time.Second
)

// New makes a session.
func New(cfg Config, log *slog.Logger) *Session {
	cfg.LeastPause, cfg.MostPause = cmp.Or(cfg.LeastPause, leastPause), cmp.Or(cfg.MostPause, mostPause)
	s := &Session{cfg: cfg, log: log}
	if cfg.Framework.ID != nil {
		s.framework = cfg.Framework.ID.Value
	}
	s.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: cfg.TLS, DialContext: cfg.Dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// Run subscribes again and again until ctx ends, and returns nil then. The error is ErrFailedOver, ErrRemoved, or one that
// wraps ErrRejected: who we are is not what the masters take us for, and trying again would not change it. Once a master has
// taken us, a later refusal is not the last word: its logins may be on their way.
func (s *Session) Run(ctx context.Context, h Handler) error {
	defer s.client.CloseIdleConnections()
	pause := s.cfg.LeastPause
	for ctx.Err() == nil {
		began := time.Now()
		err := s.subscribe(ctx, h)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrFailedOver) || errors.Is(err, ErrRemoved) || errors.Is(err, ErrRejected) && !s.welcome() {
			return err
		}
		if time.Since(began) > s.cfg.MostPause {
			pause = s.cfg.LeastPause // it had been well for a while
		}
		s.log.WarnContext(ctx, "not subscribed to Mesos", slog.Any("err", err), slog.Duration("pause", pause))
		rest(ctx, jitter(pause))
		pause = min(2*pause, s.cfg.MostPause)
	}
	return nil
}

// welcome reports whether this session was ever subscribed.
func (s *Session) welcome() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscribed
}

// jitter is between half of d and d, so that schedulers do not all come at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) } //nolint:gosec // not a secret

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Framework is the id the masters gave us, empty before the first subscription.
func (s *Session) Framework() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.framework
}

// Suppress remembers which roles get no offers, for the subscriptions to come: Mesos forgets them with each.
func (s *Session) Suppress(roles []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suppressed = roles
}

// Renew ends the present subscription and begins another one. Calls that are still on their way are refused then, for they
// carry the name of the old one.
func (s *Session) Renew() {
	s.mu.Lock()
	sub := s.current
	s.current = nil
	s.mu.Unlock()
	if sub != nil {
		sub.end(fmt.Errorf("%w: a call was not answered", ErrUnavailable))
	}
}

// errors of a subscription that end it, but not the session.
var (
	errSilent    = errors.New("the master has been silent for several heartbeats")
	errNotLeader = errors.New("the master does not lead")
)

// failure is what an ERROR event means.
func failure(message string) error {
	switch {
	case strings.Contains(message, "failed over"):
		return fmt.Errorf("%w: %s", ErrFailedOver, message)
	case strings.Contains(message, "removed"):
		return fmt.Errorf("%w: %s", ErrRemoved, message)
	}
	return fmt.Errorf("%w: %s", ErrRejected, message)
}
