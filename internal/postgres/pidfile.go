package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pidFile is what a postmaster writes into postmaster.pid (PostgreSQL's miscadmin.h, "Macros for
// lock-file line numbers"). Lines come one after another while it starts.
type pidFile struct {
	// pid is negative for a server in single-user mode.
	pid     int
	started time.Time
	port    int
	// socketDir is empty when the server has no socket; listen is empty when it listens on no address.
	socketDir, listen string
	// status is "starting", "stopping", "ready" or "standby" (up, but not taking connections).
	status string
}

func readPidFile(dir string) (pidFile, error) {
	content, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	return parsePidFile(string(content))
}

// parsePidFile reads as many lines as there are; only the first is required.
func parsePidFile(content string) (pidFile, error) {
	lines := strings.Split(content, "\n")
	line := func(n int) string {
		if n > len(lines) {
			return ""
		}
		return strings.TrimSpace(lines[n-1])
	}
	pid, err := strconv.Atoi(line(1))
	if err != nil {
		return pidFile{}, fmt.Errorf("postmaster.pid begins with no process number: %q", line(1))
	}
	f := pidFile{pid: pid, socketDir: line(5), listen: line(6), status: line(8)}
	if seconds, err := strconv.ParseInt(line(3), 10, 64); err == nil {
		f.started = time.Unix(seconds, 0)
	}
	if port, err := strconv.Atoi(line(4)); err == nil {
		f.port = port
	}
	return f, nil
}

// host is where the server can be reached from here: what it really does, whatever the configuration
// says by now.
func (f pidFile) host() string {
	if f.socketDir != "" {
		return f.socketDir
	}
	switch f.listen {
	case "*", "0.0.0.0":
		return "127.0.0.1"
	case "::":
		return "::1"
	}
	return f.listen
}
