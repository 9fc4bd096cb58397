package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrNone says that there is no such process, or that it has ended and only waits to be reaped.
var ErrNone = errors.New("no such process")

// Info is what the kernel tells of one process. A process may end while it is looked at: then fields are
// empty, never those of another process.
type Info struct {
	PID    int
	Parent int
	// Program is the base name of the executable; empty when the process belongs to another user.
	Program string
	// Title is the first word of the command line. A program may rewrite it to say what it does.
	Title string
	// Terminal is true when the process belongs to a session with a terminal: somebody sits at it.
	Terminal bool
}

// Inspect looks at one process.
func Inspect(pid int) (Info, error) {
	s, err := readStat(pid)
	if err != nil {
		return Info{}, err
	}
	info := Info{PID: pid, Parent: s.parent, Program: program(pid), Terminal: s.tty != 0}
	if line, err := os.ReadFile(entry(pid, "cmdline")); err == nil {
		info.Title, _, _ = strings.Cut(string(line), "\x00")
	}
	return info, nil
}

// Started is when a process began, exact to a hundredth of a second as long as nobody sets the clock. Unlike
// Inspect it may be asked about processes of other users, and takes longer.
func Started(pid int) (time.Time, error) {
	ticks, err := Ticks(pid)
	if err != nil {
		return time.Time{}, err
	}
	boot, err := bootTime()
	if err != nil {
		return time.Time{}, err
	}
	return boot.Add(time.Duration(ticks) * time.Second / ticksPerSecond), nil
}

func entry(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// program survives an upgrade of the executable's package, after which the kernel adds a remark.
func program(pid int) string {
	path, err := os.Readlink(entry(pid, "exe"))
	if err != nil {
		return ""
	}
	return filepath.Base(strings.TrimSuffix(path, " (deleted)"))
}

// ticksPerSecond is the unit of times in /proc/PID/stat, fixed for user space on Linux.
const ticksPerSecond = 100

// Ticks is when a process began, in hundredths of a second since the machine started: with the number it names
// one process for good, until the machine starts again. ErrNone says that there is no such process, or that
// it only waits to be reaped.
func Ticks(pid int) (int64, error) {
	s, err := readStat(pid)
	return s.ticks, err
}

// stat is the part of /proc/PID/stat that is needed here.
type stat struct {
	parent, tty int
	ticks       int64 // when it began, since the machine started
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(entry(pid, "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, ErrNone)
	}
	s, err := parseStat(string(text))
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return s, nil
}

// parseStat reads /proc/PID/stat (proc(5)), whose second field is the program's name in parentheses and may
// hold any character, parentheses and blanks included.
func parseStat(text string) (stat, error) {
	_, rest, ok := cutLast(text, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc has an unexpected form: %q", text)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return stat{}, ErrNone
	}
	parent, errParent := strconv.Atoi(fields[1])
	tty, errTTY := strconv.Atoi(fields[4])
	ticks, errTicks := strconv.ParseInt(fields[19], 10, 64)
	if errors.Join(errParent, errTTY, errTicks) != nil {
		return stat{}, fmt.Errorf("/proc has an unexpected form: %q", text)
	}
	return stat{parent, tty, ticks}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// bootTime is when the machine started.
func bootTime() (time.Time, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, fmt.Errorf("find out when the machine started: %w", err)
	}
	for line := range strings.Lines(string(stat)) {
		seconds, ok := strings.CutPrefix(line, "btime ")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
		if err != nil {
			break
		}
		return time.Unix(n, 0), nil
	}
	return time.Time{}, errors.New("find out when the machine started: /proc/stat does not say")
}

// WorksIn reports whether the working directory of a process is dir, however either is spelled, and
// also after dir was renamed. It is false for processes of other users, which may not be looked at.
func WorksIn(pid int, dir fs.FileInfo) bool {
	cwd, err := os.Stat(entry(pid, "cwd"))
	return err == nil && os.SameFile(cwd, dir)
}

// In lists the processes whose working directory is dir. A directory that does not exist has none.
func In(dir string) ([]Info, error) {
	at, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	var found []Info
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !WorksIn(pid, at) {
			continue
		}
		if info, err := Inspect(pid); err == nil {
			found = append(found, info)
		}
	}
	return found, nil
}
