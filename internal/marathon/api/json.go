package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// jsonError is Marathon's answer to a body that cannot be read: a sentence where it is no JSON, the place where a value has
// another type than it should.
func jsonError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		path := "/" + strings.ReplaceAll(e.Field, ".", "/")
		return &app.TypeError{Details: []app.Detail{{Path: path, Errors: []string{wanted(e.Type.Kind().String())}}}}
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &app.SyntaxError{Text: fmt.Sprintf("%s (at byte %d)", e.Error(), e.Offset)}
	}
	return &app.SyntaxError{Text: err.Error()}
}

// wanted is what Marathon's JSON reader calls a kind of value.
func wanted(kind string) string {
	switch kind {
	case "string":
		return "error.expected.jsstring"
	case "slice":
		return "error.expected.jsarray"
	case "bool":
		return "error.expected.jsboolean"
	case "struct", "map":
		return "error.expected.jsobject"
	}
	return "error.expected.jsnumber"
}
