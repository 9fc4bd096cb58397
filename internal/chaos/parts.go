package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// part is a running process that belongs to a platform.
type part struct {
	pid      int
	exe, cwd string
	args     []string
}

func (p part) String() string { return fmt.Sprintf("%d %s", p.pid, strings.Join(p.args, " ")) }

// parts lists the processes whose program, working folder or arguments lie below the folder. Zombies have none of
// them and are not listed.
func parts(below string) ([]part, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var found []part
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := lookAt(pid); ok && p.belongs(below) {
			found = append(found, p)
		}
	}
	return found, nil
}

// lookAt reads what is known of a process; false when it is gone.
func lookAt(pid int) (part, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return part{}, false
	}
	cwd, err := os.Readlink(filepath.Join(dir, "cwd"))
	if err != nil {
		return part{}, false
	}
	line, err := os.ReadFile(filepath.Join(dir, "cmdline")) //nolint:gosec // a fixed place
	if err != nil {
		return part{}, false
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	return part{pid: pid, exe: strings.TrimSuffix(exe, " (deleted)"), cwd: strings.TrimSuffix(cwd, " (deleted)"), args: args}, true
}

func (p part) belongs(below string) bool {
	inside := func(path string) bool { return path == below || strings.HasPrefix(path, below+"/") }
	return inside(p.exe) || inside(p.cwd) || slices.ContainsFunc(p.args, inside)
}

// is reports whether the process runs the program with that first argument.
func (p part) is(program, command string) bool {
	return filepath.Base(p.exe) == program && (command == "" || len(p.args) > 1 && p.args[1] == command)
}

// after returns the argument that follows the flag.
func (p part) after(flag string) string {
	if i := slices.Index(p.args, flag); i >= 0 && i+1 < len(p.args) {
		return p.args[i+1]
	}
	return ""
}

// variable reads a variable of the environment that the process was started with.
func (p part) variable(name string) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "environ"))
	if err != nil {
		return ""
	}
	for entry := range strings.SplitSeq(string(text), "\x00") {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// kill ends processes at once with SIGKILL, in the given order.
func kill(below string, pids ...int) error { return signalBelow(below, unix.SIGKILL, pids...) }

// signalBelow sends a signal to processes, in the given order. All are taken hold of before the first gets it, and none
// that does not lie below the folder is touched.
func signalBelow(below string, s unix.Signal, pids ...int) error {
	var held []*process.Handle
	defer func() {
		for _, h := range held {
			h.Close() //nolint:errcheck // nothing was written
		}
	}()
	for _, pid := range pids {
		h, err := process.Open(pid)
		if err != nil {
			return fmt.Errorf("signal %s: %w", s, err)
		}
		held = append(held, h)
		if p, ok := lookAt(pid); !ok || !p.belongs(below) {
			return fmt.Errorf("signal %s: process %d is none of this platform", s, pid)
		}
	}
	for _, h := range held {
		if err := h.Signal(s); err != nil && !errors.Is(err, process.ErrNone) {
			return fmt.Errorf("signal %s: %w", s, err)
		}
	}
	return nil
}

// postmaster is a server's first process, as its postmaster.pid tells.
type postmaster struct {
	pid     int
	sockets string // the folder of its Unix socket
	address string
}

// postmasters finds the running servers below the folder of volumes.
func postmasters(volumes string) []postmaster {
	files, err := filepath.Glob(filepath.Join(volumes, "*", "data", "postgres", "postmaster.pid"))
	if err != nil {
		return nil
	}
	var found []postmaster
	for _, file := range files {
		if p, ok := postmasterOf(file); ok {
			found = append(found, p)
		}
	}
	return found
}

// postmasterOf finds the running server of a postmaster.pid.
func postmasterOf(file string) (postmaster, bool) {
	text, err := os.ReadFile(file) //nolint:gosec // below our own folder
	if err != nil {
		return postmaster{}, false
	}
	// The lines of the file: process, data directory, start time, port, socket folder, address (miscadmin.h).
	lines := strings.Split(string(text), "\n")
	if len(lines) < 6 {
		return postmaster{}, false
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil {
		return postmaster{}, false
	}
	p, ok := lookAt(pid)
	return postmaster{pid: pid, sockets: lines[4], address: lines[5]}, ok && p.cwd == filepath.Dir(file)
}
