package local

import (
	"io"
	"os"
	"strings"
)

// The end of a log that goes into a status message.
const (
	tailBytes = 2048
	tailLines = 5
)

// tail is the last lines a log got after the offset, joined by " | "; empty when there are none.
func tail(path string, offset int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer closeAll(f)
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(offset, info.Size()-tailBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, from, tailBytes))
	if err != nil {
		return ""
	}
	lines := strings.FieldsFunc(strings.ToValidUTF8(string(b), "?"), func(r rune) bool { return r == '\n' || r == '\r' })
	if from > offset && len(lines) > 1 {
		lines = lines[1:] // cut in the middle
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], " | ")
}
