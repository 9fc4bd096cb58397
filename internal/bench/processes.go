package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// running is a process of a member.
type running struct {
	pid     int
	program string
	args    []string
}

// server reports whether it is one of PostgreSQL's.
func (r running) server() bool { return r.program == "postgres" }

// below lists the processes whose working folder or arguments lie below the folder.
func below(folder string) ([]running, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var found []running
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if r, ok := inside(pid, folder); ok {
			found = append(found, r)
		}
	}
	return found, nil
}

// inside looks at one process; false when it lies elsewhere or is gone.
func inside(pid int, folder string) (running, bool) {
	entry := filepath.Join("/proc", strconv.Itoa(pid))
	cwd, err := os.Readlink(filepath.Join(entry, "cwd"))
	if err != nil {
		return running{}, false
	}
	program, err := os.Readlink(filepath.Join(entry, "exe"))
	if err != nil {
		return running{}, false
	}
	line, err := os.ReadFile(filepath.Join(entry, "cmdline")) //nolint:gosec // a fixed place
	if err != nil {
		return running{}, false
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	within := func(path string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }
	return running{pid, filepath.Base(program), args}, within(cwd) || slices.ContainsFunc(args, within)
}

// cut ends all processes of a member as a power cut does: none learns of the end of another. What a dying server still
// had started is ended as well.
func cut(folder string) error {
	for {
		all, err := below(folder)
		if err != nil || len(all) == 0 {
			return err
		}
		if err := killAll(folder, all); err != nil {
			return err
		}
	}
}

// hold is a process that is held by its pidfd, so that its number cannot become somebody else's.
type hold struct{ pid, fd int }

// killAll takes hold of all before the first is killed, and waits for the end of each. One that is gone by then, or whose
// number had become somebody else's, is left alone.
func killAll(folder string, all []running) error {
	var held []hold
	defer func() {
		for _, h := range held {
			unix.Close(h.fd) //nolint:errcheck // nothing was written
		}
	}()
	for _, r := range all {
		fd, err := unix.PidfdOpen(r.pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return fmt.Errorf("take hold of process %d: %w", r.pid, err)
		}
		held = append(held, hold{r.pid, fd})
	}
	held = slices.DeleteFunc(held, func(h hold) bool {
		_, ours := inside(h.pid, folder)
		if !ours {
			unix.Close(h.fd) //nolint:errcheck // nothing was written
		}
		return !ours
	})
	for _, h := range held {
		if err := unix.PidfdSendSignal(h.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", h.pid, err)
		}
	}
	for _, h := range held {
		if err := h.gone(); err != nil {
			return err
		}
	}
	return nil
}

// killedWithin bounds the end of a process that was killed.
const killedWithin = 10 * time.Second

// gone waits for the end of the process.
func (h hold) gone() error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}, int(killedWithin.Milliseconds())) //nolint:gosec // descriptors are small
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for the end of process %d: %w", h.pid, err)
		}
		if n == 0 {
			return fmt.Errorf("process %d was killed and is still there after %s", h.pid, killedWithin)
		}
		return nil
	}
}

// cpuTime is how long a process with all its threads has been on a processor.
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: the clock of a process is ~pid << 3 | 2 (clock_getcpuclockid(3))
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &at); err != nil { //nolint:gosec // process numbers have 22 bits
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return time.Duration(at.Nano()), nil
}

// resident is the resident memory of a process in bytes.
func resident(pid int) (int, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read the memory of process %d: it has none", pid)
}
