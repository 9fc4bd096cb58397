package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config is what the server says about itself.
type Config struct {
	Address     string        // host:port that clients reach this server at
	Version     string        // of this program
	Role        string        // that the platform's apps have; empty where it has none
	FrameworkID func() string // of the scheduler, empty while it has none; may be nil
	// User and Password are the login that is asked for; without a password everybody is let in.
	User     string
	Password secret.Text
	// AllowOrigins are the origins whose pages may use the API from a browser, "*" for all.
	AllowOrigins []string
	// Concurrent is how many requests are worked on at once, event streams left out; 0: any number.
	Concurrent int
	// Transport is how the scheduler that leads is reached; nil: the ordinary way.
	Transport http.RoundTripper
	// Level is how much is logged, if that can be changed while the program runs.
	Level *slog.LevelVar
}

// Limits that keep a slow or greedy client from costing anything.
const (
	maxBody       = 1 << 20
	maxHeader     = 64 << 10
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	changeTimeout = 30 * time.Second // for one change, its store included
	drainTimeout  = 5 * time.Second  // for requests under way when the server ends
)

// Server answers the API's requests.
type Server struct {
	Backend

	config    Config
	log       *slog.Logger
	guard     http.Handler  // keeps pages of other sites out
	places    chan struct{} // nil: there is no limit
	transport http.RoundTripper
	traffic   *traffic
	streams   streams
	levels    levels
	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error)
	since     time.Time
}

// New makes a server over what it is to serve.
func New(config Config, backend Backend, log *slog.Logger) *Server {
	s := &Server{Backend: backend, config: config, log: log, traffic: newTraffic(), since: time.Now(), lookup: net.DefaultResolver.LookupNetIP}
	if config.Concurrent > 0 {
		s.places = make(chan struct{}, config.Concurrent)
	}
	if s.transport = config.Transport; s.transport == nil {
		s.transport = newForwarder()
	}
	// Pages of other sites must not steer the scheduler through the browser of somebody who can reach it. Programs send
	// none of the headers this looks at.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(s.denyCrossOrigin))
	s.guard = guard.Handler(http.HandlerFunc(s.lead))
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.headers(w.Header())
	s.traffic.count(w, r, http.HandlerFunc(s.door))
}

// Serve answers requests on l until ctx ends, then lets those under way finish for a few seconds. It closes l, and
// returns nil when it ended because of ctx.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(s.streams.close)
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { drained <- drain(ctx, server) })
	err := server.Serve(l)
	if stop() {
		return err
	}
	return <-drained
}

// drain ends a server: no new requests, a while for the old ones, then none.
func drain(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), drainTimeout, errDraining)
	defer cancel()
	if err := server.Shutdown(ctx); err == nil {
		return nil
	}
	return server.Close()
}

var errDraining = errors.New("requests were still under way when the server had to end")
