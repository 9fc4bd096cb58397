package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
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

// The bounds on what a client may cost.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	maxBody       = 64 << 10
	// freshWait bounds how long a read waits for a new observation.
	freshWait = time.Second
)

// Server is the REST API.
type Server struct {
	agent Agent
	log   *slog.Logger
	http  *http.Server
}

// New makes the API of an agent.
func New(agent Agent, log *slog.Logger) *Server {
	s := &Server{agent: agent, log: log}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
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
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// ServeHTTP routes a request. Paths with a meaning of their own are matched by their first segment; everything
// else that reads is a health check.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		s.read(w, r)
	case http.MethodHead, http.MethodOptions:
		w.WriteHeader(health.Get(r.URL.Path, r.URL.Query(), *s.agent.Snapshot(), time.Now()).Code)
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		s.write(w, r)
	default:
		say(w, http.StatusNotImplemented, "Unsupported method "+r.Method)
	}
}

// read answers from the last snapshot: no lock, no DCS, no SQL. Only whoever asks for positions of this very
// moment (?fresh, as agents do before they decide), or for a document of the DCS, waits for an observation.
func (s *Server) read(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/debug/ha") {
		s.explain(w, r)
		return
	}
	query := r.URL.Query()
	snapshot := s.agent.Snapshot()
	switch {
	case query.Has("fresh"):
		ctx, cancel := context.WithTimeout(r.Context(), freshWait)
		defer cancel()
		snapshot = s.agent.Observed(ctx)
	case documents(r.URL.Path):
		snapshot = s.fresh(r.Context())
	}
	a := health.Get(r.URL.Path, query, *snapshot, time.Now())
	if len(a.Body) > 0 {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.Code)
	if _, err := w.Write(a.Body); err != nil {
		s.log.DebugContext(r.Context(), "answer not delivered", slog.Any("err", err))
	}
}

// documents reports whether a path shows what the DCS holds, which whoever has just changed it wants to see.
func documents(path string) bool {
	switch path {
	case "/cluster", "/config", "/history", "/failsafe":
		return true
	}
	return false
}

// fresh is a snapshot of what is known now, as long as the loop turns in time.
func (s *Server) fresh(ctx context.Context) *health.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	return s.agent.Fresh(ctx)
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(code)
	w.Write([]byte(text))
}
