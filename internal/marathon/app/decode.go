package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// faults collects everything that is wrong with a document, so that one answer names every mistake.
type faults struct {
	types  []Detail // a value has the wrong JSON type: 400
	values []Detail // the type is right, the value impossible: 422
	given  int      // how many known members were there
}

func (f *faults) wrongType(path, text string)  { f.types = note(f.types, path, text) }
func (f *faults) wrongValue(path, text string) { f.values = note(f.values, path, text) }

// err is nil, or the error to answer with: types first, because values behind a wrong type were never looked at.
func (f *faults) err() error {
	if len(f.types) > 0 {
		return &TypeError{Details: f.types}
	}
	if len(f.values) > 0 {
		return &InvalidError{Details: f.values}
	}
	return nil
}

// parseTree reads one JSON document as maps, lists, strings, bools and json.Numbers.
func parseTree(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, syntaxError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &SyntaxError{Text: "unexpected text after the end of the JSON document"}
	}
	return tree, nil
}

func syntaxError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &SyntaxError{Text: "unexpected end of JSON input"}
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &SyntaxError{Text: fmt.Sprintf("%s (at byte %d)", s.Error(), s.Offset)}
	}
	return &SyntaxError{Text: err.Error()}
}

// object is a JSON object at a path. Members that are null count as absent.
type object struct {
	*faults
	path   string
	fields map[string]any
}

func (f *faults) object(path string, v any) (object, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		f.wrongType(rootPath(path), msgWantObject)
	}
	return object{faults: f, path: path, fields: m}, ok
}

// rootPath is the path of the whole document for the empty path.
func rootPath(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

func (o object) has(name string) bool { return o.fields[name] != nil }

// at is the path of a member.
func (o object) at(name string) string { return o.path + "/" + name }

// reader turns the JSON value at a path into a T and notes what is wrong with it.
type reader[T any] func(f *faults, path string, v any) T

// read stores the member name in to, if it is there.
func read[T any](o object, name string, as reader[T], to *T) {
	if o.has(name) {
		o.given++
		*to = as(o.faults, o.at(name), o.fields[name])
	}
}

// need is read for a member that must be there, unless o is none at all, which has been noted already.
func need[T any](o object, name string, as reader[T], to *T) {
	if o.fields == nil {
		return
	}
	if !o.has(name) {
		o.wrongType(o.at(name), msgMissing)
		return
	}
	read(o, name, as, to)
}

// listOf reads a list of what as reads; an empty list is not nil.
func listOf[T any](as reader[T]) reader[[]T] {
	return func(f *faults, path string, v any) []T {
		items, ok := v.([]any)
		if !ok {
			f.wrongType(path, msgWantList)
			return nil
		}
		out := make([]T, 0, len(items))
		for i, item := range items {
			out = append(out, as(f, fmt.Sprintf("%s(%d)", path, i), item))
		}
		return out
	}
}

// mapOf reads an object whose members all are what as reads; an empty one is not nil. Members that are null are left
// out.
func mapOf[T any](as reader[T]) reader[map[string]T] {
	return func(f *faults, path string, v any) map[string]T {
		o, ok := f.object(path, v)
		if !ok {
			return nil
		}
		out := make(map[string]T, len(o.fields))
		for name := range o.fields {
			if o.has(name) {
				out[name] = as(f, path+"/"+name, o.fields[name])
			}
		}
		return out
	}
}

// pointerTo reads what as reads, behind a pointer.
func pointerTo[T any](as reader[T]) reader[*T] {
	return func(f *faults, path string, v any) *T {
		value := as(f, path, v)
		return &value
	}
}

// oneOf reads a string that is one of the words, in any case, and gives it the case of the word.
func oneOf[T ~string](words ...T) reader[T] {
	return func(f *faults, path string, v any) T {
		s, ok := v.(string)
		if !ok {
			f.wrongType(path, msgWantString)
			return ""
		}
		i := slices.IndexFunc(words, func(w T) bool { return strings.EqualFold(string(w), s) })
		if i < 0 {
			f.wrongValue(path, notOneOf(words...))
			return ""
		}
		return words[i]
	}
}

func joinWords[T ~string](words []T) string {
	parts := make([]string, 0, len(words))
	for _, w := range words {
		parts = append(parts, string(w))
	}
	return strings.Join(parts, ",")
}

func asString(f *faults, path string, v any) string {
	s, ok := v.(string)
	if !ok {
		f.wrongType(path, msgWantString)
	}
	return s
}

func asBool(f *faults, path string, v any) bool {
	b, ok := v.(bool)
	if !ok {
		f.wrongType(path, msgWantBool)
	}
	return b
}

func asFloat(f *faults, path string, v any) float64 {
	n, ok := v.(json.Number)
	if !ok {
		f.wrongType(path, msgWantNumber)
		return 0
	}
	x, err := n.Float64()
	if err != nil {
		f.wrongValue(path, "is out of range")
		return 0
	}
	return x
}

// asInt reads a 32-bit integer, which may be written 3.0 or 3e0. Other numbers are impossible values, not wrong types.
func asInt(f *faults, path string, v any) int {
	n, ok := v.(json.Number)
	if !ok {
		f.wrongType(path, msgWantNumber)
		return 0
	}
	x, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || x != math.Trunc(x) || x < math.MinInt32 || x > math.MaxInt32 {
		f.wrongValue(path, msgWantInt)
		return 0
	}
	return int(x)
}

func asTimestamp(f *faults, path string, v any) Timestamp {
	s, ok := v.(string)
	if !ok {
		f.wrongType(path, msgWantString)
		return 0
	}
	t, err := ParseTimestamp(s)
	if err != nil {
		f.wrongType(path, msgWantDate)
	}
	return t
}

// asID reads the id of an app.
func asID(f *faults, path string, v any) ID {
	s, ok := v.(string)
	if !ok {
		f.wrongType(path, msgWantString)
		return ""
	}
	id, fault := checkID(s)
	if fault != "" {
		f.wrongValue(path, fault)
	}
	return id
}
