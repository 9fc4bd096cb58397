package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Watch tells that something changed in some directories or files.
type Watch struct {
	file    *os.File
	changes chan struct{}
}

// NewWatch watches directories (for entries that come, go or are written) or single files.
func NewWatch(paths ...string) (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	const changes = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM
	for _, path := range paths {
		if _, err := unix.InotifyAddWatch(fd, path, changes); err != nil {
			unix.Close(fd) //nolint:errcheck // nothing was written
			return nil, fmt.Errorf("watch %s: %w", path, err)
		}
	}
	w := &Watch{file: os.NewFile(uintptr(fd), "inotify"), changes: make(chan struct{}, 1)}
	go w.read()
	return w, nil
}

// read only wakes; what changed is for the woken one to look at, since events may be merged or lost.
func (w *Watch) read() {
	buffer := make([]byte, 16*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for {
		if _, err := w.file.Read(buffer); err != nil {
			return
		}
		select {
		case w.changes <- struct{}{}:
		default:
		}
	}
}

// Changes has a token after one or many changes.
func (w *Watch) Changes() <-chan struct{} { return w.changes }

// Close stops watching.
func (w *Watch) Close() error { return w.file.Close() }
