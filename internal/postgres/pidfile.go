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
	file, err := parsePidFile(string(content))
	if at := file.socketDir; at != "" && at[0] != '@' && !filepath.IsAbs(at) {
		file.socketDir = filepath.Join(dir, at) // the server works in its data directory
	}
	return file, err
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

// hosts are where the server can be reached from here, the socket first: what it really does, whatever the configuration
// says by now.
func (f pidFile) hosts() []string {
	var hosts []string
	if f.socketDir != "" {
		hosts = append(hosts, f.socketDir)
	}
	switch f.listen {
	case "":
	case "*", "0.0.0.0":
		hosts = append(hosts, "127.0.0.1")
	case "::":
		hosts = append(hosts, "::1")
	default:
		hosts = append(hosts, f.listen)
	}
	if len(hosts) == 0 {
		return []string{""} // the library's own idea
	}
	return hosts
}
