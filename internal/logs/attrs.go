package logs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// appendText appends a sentence and its attributes, as one line.
func (l *layout) appendText(buf []byte, e entry) []byte {
	buf = append(buf, oneLine(e.message)...)
	for _, a := range e.attrs {
		buf = append(buf, ' ')
		buf = append(buf, word(a.Key)...)
		buf = append(buf, '=')
		buf = append(buf, word(l.text(a.Value))...)
	}
	return buf
}

// text is a value as people read it.
func (l *layout) text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		err, isError := v.Any().(error)
		if isError && l.brief {
			first, _, _ := strings.Cut(err.Error(), "\n")
			return first
		}
		if isError {
			return err.Error()
		}
		return fmt.Sprintf("%+v", v.Any())
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindString, slog.KindUint64, slog.KindGroup, slog.KindLogValuer:
	}
	return v.String()
}

// word is a text that a reader can tell from what stands beside it: quoted where it has to be.
func word(text string) string {
	special := func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !plain(r) }
	if text == "" || !utf8.ValidString(text) || strings.ContainsFunc(text, special) {
		return strconv.Quote(text)
	}
	return text
}

// oneLine escapes what would end a line, or let a reader take a part of it for another one: names and addresses come from
// outside.
func oneLine(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if plain(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

func plain(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }

// data is a value as JSON has it.
func (l *layout) data(v slog.Value) json.RawMessage {
	var value any
	switch v.Kind() {
	case slog.KindBool, slog.KindFloat64, slog.KindInt64, slog.KindUint64:
		value = v.Any()
	case slog.KindAny:
		if _, isError := v.Any().(error); !isError {
			value = v.Any()
			break
		}
		value = l.text(v)
	case slog.KindString, slog.KindDuration, slog.KindTime, slog.KindGroup, slog.KindLogValuer:
		value = l.text(v)
	}
	return rendered(value, l.text(v))
}

// rendered is a value in JSON, or a text in place of one that JSON cannot hold.
func rendered(value any, otherwise string) json.RawMessage {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return rendered(otherwise, "")
	}
	return json.RawMessage(strings.TrimSuffix(out.String(), "\n"))
}
