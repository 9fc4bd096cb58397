package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"unicode/utf8"
)

// document is the body of a request, a JSON object.
type document struct {
	// names are in the order in which they stand there, because the first that is wrong is told.
	names  []string
	values map[string]any
}

// text is a text in the body; empty when there is none.
func (d document) text(name string) string {
	value, _ := d.values[name].(string)
	return value
}

// bodyError is a body that cannot be used, with the status code that says so.
type bodyError struct {
	code int
	text string
}

func (b *bodyError) Error() string { return b.text }

// read reads the body of a request. Where it is wanted it has to be an object with something in it.
func read(w http.ResponseWriter, r *http.Request, wanted bool) (document, error) {
	if len(r.Header["Content-Length"]) == 0 && r.ContentLength == 0 {
		if wanted {
			return document{}, &bodyError{http.StatusLengthRequired, "the request has no Content-Length: send a JSON object"}
		}
		return document{}, nil
	}
	if r.ContentLength > maxBody {
		return document{}, tooLarge()
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return document{}, tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return document{}, &bodyError{http.StatusRequestTimeout, "the body did not arrive in time"}
	}
	if err != nil {
		return document{}, &bodyError{http.StatusBadRequest, "the body could not be read: " + err.Error()}
	}
	if len(text) == 0 && !wanted {
		return document{}, nil
	}
	return parse(text, wanted)
}

func tooLarge() error {
	return &bodyError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody)}
}

// parse reads a JSON object.
func parse(text []byte, wanted bool) (document, error) {
	no := &bodyError{http.StatusBadRequest, "the body is not a JSON object"}
	dec := json.NewDecoder(bytes.NewReader(text))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') || !utf8.Valid(text) {
		return document{}, no
	}
	d := document{values: map[string]any{}}
	for dec.More() {
		token, err := dec.Token()
		name, isText := token.(string)
		var value any
		if err != nil || !isText || dec.Decode(&value) != nil {
			return document{}, no
		}
		if _, again := d.values[name]; !again {
			d.names = append(d.names, name)
		}
		d.values[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return document{}, no
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return document{}, no
	}
	if wanted && len(d.names) == 0 {
		return document{}, &bodyError{http.StatusBadRequest, "the body says nothing"}
	}
	return d, nil
}
