package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Agent is what the API needs of the agent.
type Agent interface {
	Observer
	Requests
	Explainer
}

// Observer is what is known.
type Observer interface {
	// Snapshot is the last one; never nil.
	Snapshot() *health.Snapshot
	// Fresh returns a snapshot that began after the call, or the last one when the context ends first.
	Fresh(ctx context.Context) *health.Snapshot
	// Observed is the last snapshot with the server observed anew. It does not wait for the loop, which may
	// itself be waiting for the answer of whoever asks.
	Observed(ctx context.Context) *health.Snapshot
	// After waits for a snapshot newer than the given one.
	After(ctx context.Context, s *health.Snapshot) (*health.Snapshot, error)
	// Ask asks the named members for their status.
	Ask(ctx context.Context, names []string) map[string]ha.Peer
}

// Requests is what can be asked of the agent.
type Requests interface {
	// Manual writes the failover key over the version last seen.
	Manual(ctx context.Context, f cluster.Failover) error
	// Configure writes the dynamic configuration over an old version.
	Configure(ctx context.Context, data map[string]any, old cluster.Version) error
	// Request hands a request to the loop and waits until it is granted or refused.
	Request(ctx context.Context, r ha.Request) error
	// Queue hands a request to the loop and does not wait.
	Queue(r ha.Request)
	// Schedule keeps a restart until it is due; false when another one is kept already.
	Schedule(r ha.Request) bool
	// Unschedule drops the restart that is kept; false when there is none.
	Unschedule() bool
	// Reload has the configuration file read again, soon.
	Reload()
	// Agree promises not to lead while the named member does without the DCS, and says how far the own WAL reaches, zero
	// when that is unknown. False when this member leads, or may at any moment.
	Agree(ctx context.Context, leader string) (wal.LSN, bool)
	// HearSlots takes note of the positions of slots that a leader without the DCS tells together with its question.
	HearSlots(positions map[string]wal.LSN)
}

// Explainer says why the agent does what it does.
type Explainer interface {
	// Explanation is the last decision in words; false before the first one.
	Explanation() (ha.Explanation, bool)
	// Changes are the last decisions that differed from the one before them, oldest first.
	Changes() []ha.Change
}

// The bounds on what a client may cost. Those of connections are in door.go.
const (
	// headerTimeout bounds the TLS handshake, too.
	headerTimeout = 5 * time.Second
	// requestTimeout bounds the header and the body together, answerTimeout what follows the header: it is longer, so that
	// whoever was too slow is told.
	requestTimeout = 10 * time.Second
	answerTimeout  = 15 * time.Second
	idleTimeout    = time.Minute
	maxHeader      = 16 << 10
	maxBody        = 64 << 10
	// freshWait bounds how long a read waits for a new observation.
	freshWait = time.Second
)

// Server is the REST API.
type Server struct {
	agent   Agent
	log     *slog.Logger
	http    *http.Server
	options atomic.Pointer[inForce]
	names   names
	// status is the status document as it was written last.
	status atomic.Pointer[written]
	routes map[string]route
	// pictures and servers are looked at for requests.
	pictures, servers looks
}

// New makes the API of an agent. Without Configure it is open to nobody but this host and hosts of members.
func New(agent Agent, log *slog.Logger) *Server {
	s := &Server{agent: agent, log: log}
	s.pictures, s.servers = looks{every: pictureEvery, look: agent.Fresh}, looks{every: serverEvery, look: agent.Observed}
	s.Configure(Options{})
	s.routes = s.writes()
	s.http = &http.Server{
		Handler: s,
		// OPTIONS * is a health check, too.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 answerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers on the listener until the context ends, then lets requests in progress finish briefly.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err := s.http.Shutdown(grace)
		if err != nil {
			err = s.http.Close()
		}
		stopped <- err
	}()
	d := &door{Listener: l, config: func() *tls.Config { return s.options.Load().TLS }}
	if err := s.http.Serve(d); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// ServeHTTP routes a request. Paths with a meaning of their own are matched by their first segment; everything
// else that reads is a health check.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.broken(r)
	o := s.options.Load()
	maps.Copy(w.Header(), o.header)
	if o.TLS != nil && r.TLS == nil {
		w.Header().Set("Connection", "close") // it began before TLS was turned on
	}
	if s.log.Enabled(r.Context(), slog.LevelDebug) {
		defer s.note(r, time.Now())
	}
	switch r.Method {
	case http.MethodGet:
		s.read(w, r)
	case http.MethodHead, http.MethodOptions:
		w.WriteHeader(health.Code(r.URL.EscapedPath(), query(r), *s.agent.Snapshot(), time.Now()))
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		s.write(w, r)
	default:
		say(w, http.StatusNotImplemented, "Unsupported method "+r.Method)
	}
}

// broken ends a request that nobody thought of, without an answer. Whoever looks after the agent has to know of it.
func (s *Server) broken(r *http.Request) {
	why := recover()
	if why == nil {
		return
	}
	if why != http.ErrAbortHandler { //nolint:errorlint // it is a value of recover
		s.log.ErrorContext(r.Context(), "a request could not be answered", slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Any("err", why), slog.String("stack", string(debug.Stack())))
	}
	panic(http.ErrAbortHandler)
}

// note writes a request into the log.
func (s *Server) note(r *http.Request, began time.Time) {
	s.log.DebugContext(r.Context(), "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("from", r.RemoteAddr), slog.Duration("duration", time.Since(began)))
}

// query are the parameters of a request; nil where it has none, as most checks.
func query(r *http.Request) url.Values {
	if r.URL.RawQuery == "" {
		return nil
	}
	return r.URL.Query()
}

// read answers from the last snapshot: no lock, no DCS, no SQL. Only whoever asks for positions of this very
// moment (?fresh, as agents do before they decide), or for a document of the DCS, waits for an observation.
func (s *Server) read(w http.ResponseWriter, r *http.Request) {
	path, query := r.URL.EscapedPath(), query(r)
	if strings.HasPrefix(path, "/debug/ha") {
		s.explain(w, r)
		return
	}
	page := health.PageOf(path)
	snapshot := s.agent.Snapshot()
	switch {
	case query.Has("fresh"):
		snapshot = s.newest(r.Context(), &s.servers)
	case documents(page):
		snapshot = s.fresh(r.Context())
	}
	now := time.Now()
	if page == health.PageCheck || page == health.PagePatroni {
		s.answerStatus(w, health.Code(path, query, *snapshot, now), snapshot, now)
		return
	}
	a := health.Get(path, query, *snapshot, now)
	send(w, a.Code, a.Type, a.Body)
}

// documents reports whether a page shows what the DCS holds, which whoever has just changed it wants to see.
func documents(page health.Page) bool {
	switch page {
	case health.PageCluster, health.PageConfig, health.PageHistory, health.PageFailsafe:
		return true
	case health.PageCheck, health.PageLiveness, health.PageReadiness, health.PagePatroni, health.PageMetrics:
	}
	return false
}

// fresh is a snapshot of what is known now, as long as the loop turns in time.
func (s *Server) fresh(ctx context.Context) *health.Snapshot { return s.newest(ctx, &s.pictures) }

// newest is what a look shows, or the last snapshot for whoever does not wait for it.
func (s *Server) newest(ctx context.Context, l *looks) *health.Snapshot {
	found, err := l.get(ctx)
	if err != nil {
		return s.agent.Snapshot()
	}
	return found
}
