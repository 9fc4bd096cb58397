package haproxy

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/pgbaton/pgbaton/internal/route"
)

// Config is what one HAProxy is run with. A change of it is a restart, see the package comment.
type Config struct {
	// Binary is the program; empty looks it up with Find.
	Binary string
	// Dir is the absolute path of a directory of our own: configuration, sockets, what HAProxy says. It
	// is created when it is absent. Whoever HAProxy runs as must be able to reach it.
	Dir string
	// Services are the ports clients connect to, at least one.
	Services []route.Service
	// Statistics is where the statistics page is served, read-only. The zero value serves none.
	Statistics netip.AddrPort
	// MaxConnections is how many connections HAProxy takes at once, over all services; zero means 4096.
	// It is lowered to what the limit of open files allows.
	MaxConnections int
	// Credential is who HAProxy runs as; nil runs it as we run.
	Credential *syscall.Credential
}

// defaultMaxConnections is far beyond what PostgreSQL servers take by default (100 each) and costs no
// memory until it is used.
const defaultMaxConnections = 4096

// statistics is the name of the frontend of the statistics page.
const statistics = "statistics"

// The files of the directory.
const (
	configFile = "haproxy.cfg"
	recordFile = "haproxy.json"
	outputFile = "haproxy.out"
	lockFile   = "lock"
	socketFile = "haproxy.sock"
	eventsFile = "events.sock"
)

// maxSocketPath is HAProxy's limit for the path of a socket: the 107 bytes of a Unix socket address less
// the ".PID.tmp" under which it is created.
const maxSocketPath = 97

// validName is what HAProxy accepts as the name of a frontend or backend.
var validName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func (c Config) path(file string) string { return filepath.Join(c.Dir, file) }

// validate says in one sentence what is wrong.
func (c Config) validate() error {
	if !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("HAProxy's directory %q is not an absolute path", c.Dir)
	}
	if n := len(c.path(socketFile)); n > maxSocketPath {
		return fmt.Errorf("the path %s is %d bytes longer than HAProxy takes for a socket; choose a shorter state directory",
			c.path(socketFile), n-maxSocketPath)
	}
	if len(c.Services) == 0 {
		return errors.New("HAProxy was given no service")
	}
	names, binds := map[string]bool{}, map[netip.AddrPort]string{}
	if c.Statistics.IsValid() {
		names[statistics], binds[c.Statistics] = true, statistics
	}
	for _, s := range c.Services {
		if err := validateService(s); err != nil {
			return err
		}
		if names[s.Name] {
			return fmt.Errorf("two services are called %q", s.Name)
		}
		if other, ok := binds[s.Bind]; ok {
			return fmt.Errorf("%s and %s cannot both listen on %s", other, s.Name, s.Bind)
		}
		names[s.Name], binds[s.Bind] = true, s.Name
	}
	return nil
}

func validateService(s route.Service) error {
	if !validName.MatchString(s.Name) {
		return fmt.Errorf("%q is not a name for a service: use letters, digits, '_', '.' and '-'", s.Name)
	}
	if !s.Bind.IsValid() || s.Bind.Port() == 0 {
		return fmt.Errorf("the service %s has no address and port to listen on", s.Name)
	}
	switch s.Kind {
	case route.Writes, route.LeaderAPI, route.Reads:
		return nil
	}
	return fmt.Errorf("the service %s is of no known kind", s.Name)
}

// maxConnections is the number of connections that fits the limit of open files: each takes two, and
// HAProxy needs some for itself (listeners, checks, threads).
func (c Config) maxConnections(openFiles uint64) (int, error) {
	const ours = 200
	want := c.MaxConnections
	if want == 0 {
		want = defaultMaxConnections
	}
	if openFiles < ours+2 {
		return 0, fmt.Errorf("the limit of %d open files is too low for HAProxy; raise it (ulimit -n) to 1024 or more", openFiles)
	}
	return int(min(uint64(want), (openFiles-ours)/2)), nil //nolint:gosec // not more than want
}

// openFiles is the limit of open files that a child can raise itself to.
func openFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return limit.Max, nil
}
