package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockVolume takes the lock beside a data directory, or says who holds it (ErrLocked). The kernel
// releases it when the file is closed or the process ends, however it ends. Children do not inherit it:
// Go opens files close-on-exec, and a postmaster that held the lock would keep out the next agent.
func lockVolume(dir string) (*os.File, error) {
	path := dir + ".lock"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w (the user that runs the agent must be allowed to write to %s)", err, filepath.Dir(dir))
	}
	if err := lockFile(file, path); err != nil {
		file.Close() //nolint:errcheck // nothing was written
		return nil, err
	}
	return file, nil
}

func lockFile(file *os.File, path string) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock %s: %w: it has process number %s", path, ErrLocked, holder(file))
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	// Somebody may have removed the file between opening and locking; then the lock protects nothing.
	mine, err := file.Stat()
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		return fmt.Errorf("lock %s: the file was replaced meanwhile, start again", path)
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	return nil
}

// holder reads the process number its holder wrote into the lock file.
func holder(file *os.File) string {
	content := make([]byte, 20)
	n, err := file.ReadAt(content, 0)
	if text := strings.TrimSpace(string(content[:n])); text != "" {
		return text
	}
	return fmt.Sprintf("unknown (%v)", err)
}

// realPath resolves symbolic links, so that two spellings of one data directory have one lock. The last
// part need not exist yet; its parents are made.
func realPath(dir string) (string, error) {
	dir = filepath.Clean(dir)
	resolved, err := filepath.EvalSymlinks(dir)
	if err == nil {
		return resolved, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find the data directory: %w", err)
	}
	if to, err := os.Readlink(dir); err == nil {
		// The link stays when the directory it leads to is set aside.
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(dir), to)
		}
		return realPath(to)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", fmt.Errorf("make the folder for the data directory: %w", err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w", err)
	}
	return filepath.Join(parent, filepath.Base(dir)), nil
}
