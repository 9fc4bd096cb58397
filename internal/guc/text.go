package guc

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Text renders a value as it stands in YAML or JSON the way PostgreSQL reads it. The bool is false for
// values that are no setting: null, lists, mappings.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "on", true
		}
		return "off", true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// Settings are settings by name, with their values as text.
type Settings map[string]string

// nameForm is what PostgreSQL takes as the name of a setting in a file; a dot separates the extension a
// setting belongs to.
var nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)

// ValidName reports whether PostgreSQL accepts the text as the name of a setting. Anything else in a
// configuration file would be a syntax error, or another line.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// Render writes the settings as lines of a configuration file, sorted by name.
func (s Settings) Render() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		b.WriteString(name + " = " + Quote(s[name]) + "\n")
	}
	return b.String()
}

// Quote renders a value for a configuration file, in quotes, on one line.
func Quote(value string) string { return "'" + quoting.Replace(value) + "'" }

// quoting escapes what ends a quoted value early. PostgreSQL's files have no raw line breaks in values.
var quoting = strings.NewReplacer(`'`, `''`, `\`, `\\`, "\n", `\n`, "\r", `\r`)

// Unquote reads a value as Quote writes it. The bool is false when the text is not such a value.
func Unquote(text string) (string, bool) {
	inner, ok := strings.CutPrefix(text, "'")
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "'")
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c != '\'' && c != '\\' {
			b.WriteByte(c)
			continue
		}
		i++
		if i == len(inner) {
			return "", false
		}
		b.WriteByte(escaped(c, inner[i]))
	}
	return b.String(), true
}

func escaped(mark, c byte) byte {
	switch {
	case mark == '\\' && c == 'n':
		return '\n'
	case mark == '\\' && c == 'r':
		return '\r'
	}
	return c
}
