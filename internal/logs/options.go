package logs

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Options say what is written, how, and where to. The zero value writes everything from INFO on, in the default layout, to
// the fallback.
type Options struct {
	// Human writes for a person at a terminal instead of a layout.
	Human bool
	// JSON writes one document a line, with Fields and Static; else Format makes the line.
	JSON bool
	// Level is the least level that is written. Loggers are levels of single parts, by the name that %(name)s shows, with
	// everything below: pgbaton.kv includes pgbaton.kv.etcd3.
	Level   slog.Level
	Loggers map[string]slog.Level
	// Brief leaves of an error that has several lines only the first, unless Level is DEBUG.
	Brief bool
	// Format has places such as %(asctime)s; empty: the default.
	Format string
	// Fields are those of a JSON line, in their order; none: asctime, levelname and message. Static are the same in each
	// line, and come last.
	Fields []Field
	Static map[string]any
	// DateFormat is strftime's; empty: YYYY-MM-DD HH:MM:SS,mmm. Times are local.
	DateFormat string
	// Queue is how many lines may wait to be written; zero: 1000.
	Queue int
	// Dir holds the file, patroni.log; empty: the fallback is written to. A file that would grow beyond FileSize bytes is
	// renamed to patroni.log.1, that one to patroni.log.2, and so on up to FileNum; with either at zero it grows for ever.
	// Mode zero leaves the permissions to the umask.
	Dir      string
	Mode     os.FileMode
	FileSize int64
	FileNum  int
	// Deduplicate leaves out what a part of the program said last already, below WARNING.
	Deduplicate bool
}

// Field is a field of a JSON line: what it shows, by the name of its place in a format, and how it is called there.
type Field struct{ Name, As string }

const defaultQueue = 1000

// LevelCritical is above ERROR: CRITICAL.
const LevelCritical = slog.LevelError + 4

// ParseLevel reads the name of a level, in Python's words and their older forms.
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToUpper(name) {
	case "DEBUG", "NOTSET":
		return slog.LevelDebug, nil
	case "", "INFO":
		return slog.LevelInfo, nil
	case "WARN", "WARNING":
		return slog.LevelWarn, nil
	case "ERROR":
		return slog.LevelError, nil
	case "CRITICAL", "FATAL":
		return LevelCritical, nil
	}
	return 0, fmt.Errorf("log level %q is none of DEBUG, INFO, WARNING, ERROR and CRITICAL", name)
}

// levelName and levelNumber are Python's for a level.
func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO"
	case l < slog.LevelError:
		return "WARNING"
	case l < LevelCritical:
		return "ERROR"
	}
	return "CRITICAL"
}

func levelNumber(l slog.Level) int {
	return map[string]int{"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}[levelName(l)]
}

// levels decides which records are written.
type levels struct {
	root    slog.Level
	parts   map[string]slog.Level
	minimum slog.Level
}

func newLevels(o Options) levels {
	l := levels{root: o.Level, parts: map[string]slog.Level{}, minimum: o.Level}
	for name, level := range o.Loggers {
		l.parts[ownName(name)] = level
		l.minimum = min(l.minimum, level)
	}
	return l
}

// of is the level of a part of the program: that of the longest name which it is, or lies below.
func (l levels) of(name string) slog.Level {
	if len(l.parts) == 0 {
		return l.root
	}
	for {
		if level, given := l.parts[name]; given {
			return level
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return l.root
		}
		name = name[:dot]
	}
}

// ownName is the part of this program that does what a part of Patroni does; other names stay as they are.
func ownName(name string) string {
	rest, isPatroni := strings.CutPrefix(name, "patroni")
	switch {
	case !isPatroni || rest != "" && rest[0] != '.':
		return name
	case rest == ".ha" || rest == ".__main__":
		return "pgbaton.agent"
	case rest == ".postgresql" || strings.HasPrefix(rest, ".postgresql."):
		return "pgbaton.postgres"
	case strings.HasPrefix(rest, ".dcs."):
		return "pgbaton.dcs"
	}
	return "pgbaton" + rest
}
