package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// longestSocket is the length in bytes that the path of a Unix socket may have on Linux.
const longestSocket = 107

// fallbackSockets begins the names of folders for sockets whose data directory has too long a path.
const fallbackSockets = "/tmp/pgbaton-"

// socketDir chooses the folder of the server's socket: the configured one, else beside the data
// directory, else a folder under /tmp named after it. The latter where the path is too long for a socket,
// or has a comma, which separates hosts in every client's connection string.
func socketDir(configured, dataDir string, uid int) string {
	if configured != "" {
		return configured
	}
	beside := dataDir + ".run"
	if len(beside)+len("/.s.PGSQL.65535") <= longestSocket && !strings.Contains(beside, ",") {
		return beside
	}
	sum := sha256.Sum256([]byte(dataDir))
	return fallbackSockets + strconv.Itoa(uid) + "-" + hex.EncodeToString(sum[:8])
}

// leaveTmp removes the folder under /tmp, if there is one and no server uses it: nobody would know later what
// it was for.
func (s *Server) leaveTmp() {
	if dir := socketDir(s.cfg.SocketDir, s.dir, os.Geteuid()); strings.HasPrefix(dir, fallbackSockets) {
		os.Remove(dir) //nolint:errcheck // it is not empty while a server runs
	}
}

// makeSocketDir makes the folder, for the server's user alone. A folder of somebody else's is refused:
// its owner could put another server's socket there.
func makeSocketDir(configured, dataDir string) (string, error) {
	dir := socketDir(configured, dataDir, os.Geteuid())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder for the server's socket: %w", err)
	}
	if configured != "" {
		return dir, nil
	}
	at, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make the folder for the server's socket: %w", err)
	}
	owner, ok := at.Sys().(*syscall.Stat_t)
	if !ok || !at.IsDir() || int(owner.Uid) != os.Geteuid() || at.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("make the folder for the server's socket: %s belongs to somebody else, remove it or set unix_socket_directories", dir)
	}
	return dir, nil
}

// socketFolders are the absolute paths in a list of folders for sockets.
func socketFolders(list string) []string {
	var folders []string
	for folder := range strings.SplitSeq(list, ",") {
		if folder = strings.Trim(strings.TrimSpace(folder), `"`); filepath.IsAbs(folder) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// clearSockets removes the sockets that a server of this data directory has left behind, which runs no more. PostgreSQL does so
// itself unless some process has the number that its lock names: in a container, where numbers are small, that is likely, and
// the server would never start again. Whose a lock is stands in its second line (PostgreSQL, CreateLockFile); one of
// another data directory is left alone. It is called when no process works in the data directory.
func (s *Server) clearSockets() error {
	s.mu.Lock()
	folders := s.sockets
	s.mu.Unlock()
	for _, folder := range folders {
		locks, err := filepath.Glob(filepath.Join(escapeGlob(folder), ".s.PGSQL.*.lock"))
		if err != nil {
			return fmt.Errorf("look for sockets that were left behind: %w", err)
		}
		for _, lock := range locks {
			content, err := os.ReadFile(filepath.Clean(lock))
			if err != nil || !s.wrote(string(content)) {
				continue // somebody else's
			}
			for _, file := range []string{strings.TrimSuffix(lock, ".lock"), lock} {
				if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("remove a socket that was left behind: %w", err)
				}
			}
		}
	}
	return nil
}

// wrote reports whether the lock of a socket is that of a server on this data directory.
func (s *Server) wrote(lock string) bool {
	_, rest, _ := strings.Cut(lock, "\n")
	dir, _, _ := strings.Cut(rest, "\n")
	named, err := os.Stat(strings.TrimSpace(dir))
	if err != nil {
		return false
	}
	ours, err := os.Stat(s.dir)
	return err == nil && os.SameFile(named, ours)
}

// escapeGlob is a path in which nothing is a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// socketList renders a folder for unix_socket_directories, a list in which commas and blanks separate.
func socketList(dir string) string {
	if !strings.ContainsAny(dir, `, "`) {
		return dir
	}
	return `"` + strings.ReplaceAll(dir, `"`, `""`) + `"`
}
