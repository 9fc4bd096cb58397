package local

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/process"
)

// identity names a process for ever: a pid alone is reused, a pid with its start time is not, until the next boot.
type identity struct {
	PID   int    `json:"pid"`
	Start int64  `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// identify reads the identity of a running process.
func identify(pid int, boot string) (identity, error) {
	start, err := process.Ticks(pid)
	if err != nil {
		return identity{}, err
	}
	return identity{PID: pid, Start: start, Boot: boot}, nil
}

// pids lists the processes of the machine but this one.
func pids() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var list []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			list = append(list, pid)
		}
	}
	return list, nil
}

// worksIn reports whether the process belongs to the task that owns one of the folders: its working folder lies inside
// and it has no terminal.
func worksIn(pid int, dirs []string) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false // ended, or of another user
	}
	inside := false
	for _, dir := range dirs {
		inside = inside || cwd == dir || strings.HasPrefix(cwd, dir+string(filepath.Separator))
	}
	if !inside {
		return false
	}
	info, err := process.Inspect(pid)
	return err == nil && !info.Terminal
}

// carriesMark reports whether the process was started with the variable (NAME=value) in its environment.
func carriesMark(pid int, mark string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if string(variable) == mark {
			return true
		}
	}
	return false
}

// findMarked is the oldest process that carries the mark. The children of a task carry it too, and are younger.
func findMarked(mark, boot string) (identity, bool, error) {
	list, err := pids()
	if err != nil {
		return identity{}, false, err
	}
	var oldest identity
	for _, pid := range list {
		if !carriesMark(pid, mark) {
			continue
		}
		id, err := identify(pid, boot)
		if err == nil && (oldest.PID == 0 || id.Start < oldest.Start) {
			oldest = id
		}
	}
	return oldest, oldest.PID != 0, nil
}
