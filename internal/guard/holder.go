package guard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockPath is the file that shows who guards a data directory. It stays for ever and has no content.
func lockPath(dir string) string { return dir + ".guard" }

// hold shows that this process guards the directory: it locks the byte at the offset of its process number, until the
// file is closed or the process ends. The process must not open the file a second time, because closing that would end
// the lock (fcntl(2), "Advisory record locking").
func hold(dir string) (*os.File, error) {
	file, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("show who guards the data directory: %w", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(os.Getpid()), Len: 1}
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &lock); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return file, nil
}

// holder is the process number of a guard of the directory other than the one given; zero when there is none.
func holder(dir string, except int) (pid int, err error) {
	file, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("find out who guards the data directory: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	own := int64(except)
	for _, part := range []unix.Flock_t{{Start: 0, Len: own}, {Start: own + 1}} {
		part.Type = unix.F_WRLCK
		if part.Start == 0 && part.Len == 0 {
			continue // a length of zero would be the whole file
		}
		if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &part); err != nil {
			return 0, fmt.Errorf("find out who guards the data directory: %w", err)
		}
		if part.Type == unix.F_UNLCK {
			continue
		}
		if part.Pid <= 0 {
			return 0, fmt.Errorf("somebody out of sight, in another container or on another machine, guards %s", dir)
		}
		return int(part.Pid), nil
	}
	return 0, nil
}
