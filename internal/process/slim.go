package process

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Slim gives back the memory that the start of this program took: most of a large program is read and prepared once and
// never used again. Pages of the executable that are needed after all are read again, from the page cache as a rule.
func Slim() {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return // then it stays larger
	}
	defer maps.Close() //nolint:errcheck // only read
	for _, m := range clean(maps) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.length, unix.MADV_DONTNEED) // what is kept costs memory alone
	}
}

// mapping is a part of the address space.
type mapping struct{ from, length uintptr }

// clean reads /proc/PID/smaps (proc(5)) and returns the mappings that are exactly as in their file and that nobody may
// write to here. Dropping any other one would lose data.
func clean(smaps io.Reader) []mapping {
	var found []mapping
	var current mapping
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" && current.length > 0 {
				found = append(found, current)
			}
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			current = readOnly(fields)
		}
	}
	return found
}

// readOnly reads the first line of a mapping; one without a file, or that can be written to, counts as empty.
func readOnly(fields []string) mapping {
	if len(fields) < 6 || fields[1] != "r-xp" && fields[1] != "r--p" || !strings.HasPrefix(fields[5], "/") {
		return mapping{}
	}
	begin, end, _ := strings.Cut(fields[0], "-")
	first, err := strconv.ParseUint(begin, 16, 64)
	if err != nil {
		return mapping{}
	}
	last, err := strconv.ParseUint(end, 16, 64)
	if err != nil || last <= first {
		return mapping{}
	}
	return mapping{uintptr(first), uintptr(last - first)}
}
