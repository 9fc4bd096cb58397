package logs

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
)

const defaultFormat = "%(asctime)s %(levelname)s: %(message)s"

// layout makes lines.
type layout struct {
	parts      []part
	dateFormat string
	brief      bool
	began      time.Time // of this program
	fields     []Field
	static     []staticField
	taken      map[string]bool
}

// part is a piece of a format: a text, or a place with its verb for package fmt.
type part struct {
	text string
	name string
	verb string
}

// staticField is a field that is the same in all lines, rendered.
type staticField struct {
	name  string
	value []byte
}

func newLayout(o Options, began time.Time) (*layout, error) {
	l := &layout{dateFormat: o.DateFormat, brief: o.Brief && o.Level > slog.LevelDebug, began: began, taken: map[string]bool{}}
	if o.JSON {
		return l, l.setFields(o)
	}
	format := o.Format
	if format == "" {
		format = defaultFormat
	}
	parts, err := parseFormat(format)
	l.parts = parts
	return l, err
}

// placePattern is a place in Python's notation, or an escaped per cent sign.
var placePattern = regexp.MustCompile(`%(?:%|\((\w+)\)([-+ #0]*\d*(?:\.\d+)?)([diouxXeEfFgGsra]))`)

func parseFormat(format string) ([]part, error) {
	var parts []part
	for rest := format; ; {
		at := placePattern.FindStringSubmatchIndex(rest)
		if at == nil {
			if strings.Contains(rest, "%") {
				return nil, fmt.Errorf("log.format %q has a %% that begins no place such as %%(message)s: write %%%% for the sign itself", format)
			}
			return append(parts, part{text: rest}), nil
		}
		if before := rest[:at[0]]; strings.Contains(before, "%") {
			return nil, fmt.Errorf("log.format %q has a %% that begins no place such as %%(message)s: write %%%% for the sign itself", format)
		}
		parts = append(parts, part{text: rest[:at[0]]})
		if at[2] < 0 {
			parts = append(parts, part{text: "%"})
		} else {
			p, err := place(rest[at[2]:at[3]], rest[at[4]:at[5]], rest[at[6]])
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
		}
		rest = rest[at[1]:]
	}
}

// kinds are the places of a format and what they show: s a text, d a whole number, f one with a fraction.
func kinds() map[string]byte {
	return map[string]byte{
		"asctime": 's', "created": 'f', "filename": 's', "funcName": 's', "levelname": 's', "levelno": 'd', "lineno": 'd', "message": 's', "module": 's',
		"msecs": 'f', "name": 's', "pathname": 's', "process": 'd', "processName": 's', "relativeCreated": 'f', "taskName": 's', "thread": 'd', "threadName": 's',
	}
}

// place checks that a place exists and can be shown as it is wanted.
func place(name, flags string, verb byte) (part, error) {
	kind, known := kinds()[name]
	if !known {
		return part{}, fmt.Errorf("log.format has no place %%(%s)s: there are %s", name, strings.Join(slices.Sorted(maps.Keys(kinds())), ", "))
	}
	p := part{name: name}
	switch {
	case verb == 's' || verb == 'r' || verb == 'a':
		p.verb = "%" + flags + "s"
	case kind == 's':
		return part{}, fmt.Errorf("log.format shows %s as a number: write %%(%s)s", name, name)
	case strings.IndexByte("diu", verb) >= 0:
		p.verb = "%" + flags + "d"
	default:
		p.verb = "%" + flags + string(verb)
	}
	return p, nil
}

// line is the line of a record, with its end.
func (l *layout) line(e entry) []byte {
	if l.fields != nil {
		return l.document(e)
	}
	var buf []byte
	for _, p := range l.parts {
		switch p.name {
		case "":
			buf = append(buf, p.text...)
		case "message":
			if p.verb == "%s" {
				buf = l.appendText(buf, e)
				continue
			}
			buf = fmt.Appendf(buf, p.verb, l.appendText(nil, e))
		default:
			buf = fmt.Appendf(buf, p.verb, shown(l.value(p.name, e), p.verb))
		}
	}
	return append(buf, '\n')
}

// shown is a value in the type that its verb wants.
func shown(value any, verb string) any {
	switch letter := verb[len(verb)-1]; v := value.(type) {
	case int64:
		switch letter {
		case 's':
			return strconv.FormatInt(v, 10)
		case 'e', 'E', 'f', 'F', 'g', 'G':
			return float64(v)
		}
	case float64:
		switch letter {
		case 's':
			return strconv.FormatFloat(v, 'f', -1, 64)
		case 'd', 'o', 'x', 'X':
			return int64(v)
		}
	}
	return value
}

// value is what a place shows.
func (l *layout) value(name string, e entry) any {
	switch name {
	case "asctime":
		return l.date(e.time)
	case "created":
		return float64(e.time.UnixMicro()) / 1e6
	case "filename":
		return e.file()
	case "funcName":
		return e.function()
	case "levelname":
		return levelName(e.level)
	case "levelno":
		return int64(levelNumber(e.level))
	case "lineno":
		return int64(e.at.Line)
	case "message":
		return oneLine(e.message)
	case "module":
		return e.module()
	case "msecs":
		return float64(e.time.Nanosecond()/1e3) / 1e3
	case "name":
		return e.name()
	case "pathname":
		return e.at.File
	case "process":
		return int64(os.Getpid())
	case "processName":
		return "MainProcess"
	case "threadName":
		return "MainThread"
	case "relativeCreated":
		return e.time.Sub(l.began).Seconds() * 1e3
	case "thread":
		return int64(0)
	}
	return "None"
}

// date is the time of a record, in local time.
func (l *layout) date(t time.Time) string {
	if l.dateFormat == "" {
		return t.Format("2006-01-02 15:04:05,000")
	}
	return strftime.Format(l.dateFormat, t)
}
