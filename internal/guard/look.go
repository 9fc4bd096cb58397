package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// held is one process of a server, for good: a pidfd never comes to mean another process.
type held struct {
	pid, fd int
	// postmaster is false for the processes that a postmaster has made.
	postmaster bool
}

// take gets hold of a process that is there now.
func take(pid int) (held, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return held{}, fmt.Errorf("take hold of process %d: %w", pid, err)
	}
	return held{pid: pid, fd: fd}, nil
}

// takeNamed gets hold of the process with that number and start. The bool is false when it has ended.
func takeNamed(pid int, ticks int64) (held, bool) {
	h, err := take(pid)
	if err != nil {
		return held{}, false
	}
	// What is read while the handle is open is about its process, or the process is gone.
	if now, err := process.Ticks(pid); err != nil || now != ticks {
		h.release()
		return held{}, false
	}
	h.postmaster = true
	return h, true
}

func (h held) release() { _ = unix.Close(h.fd) } // nothing was written

func (h held) ended() bool { return len(waitFor([]held{h}, 0)) == 0 }

// signal sends a signal; a process that has ended needs none.
func (h held) signal(s unix.Signal) error {
	if err := unix.PidfdSendSignal(h.fd, s, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", h.pid, err)
	}
	return nil
}

// look finds the processes of the server on a data directory: PostgreSQL's that work in it, and those they have made,
// which may work elsewhere. It reads /proc alone and no file system that could keep it waiting. The caller releases
// them.
func look(dir string) ([]held, error) {
	pids, err := allPIDs()
	if err != nil {
		return nil, err
	}
	var found []held
	members := map[int]bool{}
	for _, pid := range pids {
		if h, ok := takeIf(pid, func(p process.Info) bool { return isServer(p) && worksIn(pid, dir) }); ok {
			members[pid] = true
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	for _, pid := range pids {
		if members[pid] {
			continue
		}
		if h, ok := takeIf(pid, func(p process.Info) bool { return isServer(p) && members[p.Parent] }); ok {
			found = append(found, h)
		}
	}
	return found, nil
}

// takeIf gets hold of a process if it is one that is looked for.
func takeIf(pid int, wanted func(process.Info) bool) (held, bool) {
	if info, err := process.Inspect(pid); err != nil || !wanted(info) {
		return held{}, false
	}
	h, err := take(pid)
	if err != nil {
		return held{}, false
	}
	// The number may have become another process's in between.
	info, err := process.Inspect(pid)
	if err != nil || !wanted(info) {
		h.release()
		return held{}, false
	}
	// What a postmaster makes gives itself a title. A process that has none yet is its postmaster's child all the same.
	h.postmaster = !strings.HasPrefix(info.Title, "postgres: ") && !isServerPID(info.Parent)
	return h, true
}

func isServerPID(pid int) bool {
	info, err := process.Inspect(pid)
	return err == nil && isServer(info)
}

func isServer(p process.Info) bool { return p.Program == "postgres" || p.Program == "postmaster" }

// worksIn compares by name. The name that the kernel gives has no symbolic links, nor has the data directory's.
func worksIn(pid int, dir string) bool {
	at, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && strings.TrimSuffix(at, " (deleted)") == dir
}

func allPIDs() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for the server: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
