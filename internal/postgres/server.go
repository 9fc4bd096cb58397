package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/process"
)

// Server is one PostgreSQL server and its data directory. One job at a time changes it; Status may be
// called meanwhile, from any goroutine.
type Server struct {
	cfg  Config
	dir  string // the data directory without symbolic links
	log  *slog.Logger
	lock *os.File

	job    chan struct{} // holds a token while a job is under way
	exited chan struct{}
	closed chan struct{}
	watch  sync.WaitGroup // one goroutine per postmaster seen

	control  controlCache
	query    querier
	slots    slotSession
	activity activity
	// way is which of the server's addresses let the superuser in; see connectTo.
	way atomic.Int32

	mu       sync.Mutex // guards what follows; held for moments only
	bin      Binaries
	settings Settings
	plan     guc.Plan
	// warned is what was last said of the settings.
	warned []string
	// upstream is whom a standby was last told to follow; zero until this agent has told it.
	upstream Upstream
	// known are the parameters that the programs list; nil until they were asked.
	known map[string]bool
	// refused are parameters that PostgreSQL of this version would not start with.
	refused guc.Settings
	pm      *postmaster
	// sockets are the folders that the server was last told to make its socket in.
	sockets []string
	// spreadTo are the names of standbys that every process was last known to go by.
	spreadTo spreadNames
}

// Open takes the volume lock, finds the programs for the data directory and adopts a postmaster that
// runs on it. The data directory need not exist. ctx bounds opening only.
//
// Errors: ErrRoot, ErrLocked (which names the holder), ErrVersion; each tells the next step.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Server, error) {
	if os.Geteuid() == 0 {
		return nil, ErrRoot
	}
	cfg.Logins = cfg.complete()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configure PostgreSQL: %w", err)
	}
	dir, err := realPath(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if cfg.PgPassFile == "" {
		cfg.PgPassFile = dir + ".pgpass"
	}
	if at, err := os.Stat(cfg.PgPassFile); err == nil && at.IsDir() {
		return nil, fmt.Errorf("configure PostgreSQL: pgpass %s is a folder; name a file, which may not exist yet", cfg.PgPassFile)
	}
	lock, err := lockVolume(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, dir: dir, log: log, lock: lock, settings: cfg.Settings,
		job: make(chan struct{}, 1), exited: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) begin(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := process.Supported(); err != nil {
		return err
	}
	if err := s.chooseBinaries(ctx, inspect(s.dir).major); err != nil {
		return err
	}
	if err := s.prepare(ctx, s.settings); err != nil {
		return err
	}
	pm := s.postmaster()
	if pm == nil {
		s.clearUp()
		return nil
	}
	s.log.InfoContext(ctx, "adopted the running server", slog.Int("pid", pm.PID()), slog.Time("started", pm.started))
	return nil
}

// chooseBinaries finds the programs for a major version, zero for any.
func (s *Server) chooseBinaries(ctx context.Context, major int) error {
	in := search{folders: installed(Binaries{Names: s.cfg.Programs}.name("postgres")), names: s.cfg.Programs}
	b, warning, err := in.find(ctx, s.cfg.BinDir, major)
	if err != nil {
		return err
	}
	if warning != "" {
		s.log.WarnContext(ctx, "another PostgreSQL than the configured one is used", slog.String("why", warning))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bin.Dir != b.Dir || s.bin.Version != b.Version {
		s.bin, s.refused, s.known = b, nil, nil
	}
	return nil
}

func (s *Server) binaries() Binaries {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bin
}

// logins are those in force.
func (s *Server) logins() Logins {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings.Logins
}

// Close releases the volume lock and stops watching. It never stops PostgreSQL: the next Open adopts it.
func (s *Server) Close() error {
	close(s.closed)
	s.watch.Wait()
	s.query.close()
	s.slots.close()
	s.leaveTmp()
	return s.lock.Close()
}

// Exited has a token after the postmaster ended, as asked or by itself, whoever started it, and after
// what it left behind was killed. It only wakes; Status says what is true.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// DataDir is the data directory without symbolic links.
func (s *Server) DataDir() string { return s.dir }

// enter begins a job; the returned function ends it.
func (s *Server) enter() (leave func(), err error) {
	select {
	case s.job <- struct{}{}:
		return func() { <-s.job }, nil
	default:
		return nil, ErrBusy
	}
}
