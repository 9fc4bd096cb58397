package api

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// gzipFrom is the size of a body from which compressing it pays.
const gzipFrom = 1400

// answer is a response before it is written.
type answer struct {
	status     int
	body       any    // as JSON; nil: no body
	text       string // as plain text, where body is nil
	kind       string // Content-Type of text, if it is not plain
	deployment string // the deployment that was started
	location   string
	allow      []string
	stream     func(http.ResponseWriter, *http.Request) // writes all of it by itself
}

func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

// started is Marathon's answer to a change: the deployment it led to.
func started(status int, d app.Deployment) answer {
	body := struct {
		Version      app.Timestamp `json:"version"`
		DeploymentID string        `json:"deploymentId"`
	}{d.Version, d.ID}
	return answer{status: status, body: body, deployment: d.ID}
}

// message is the body of answers that only say something.
type message struct {
	Message string `json:"message"`
}

// headers are on every answer.
func (s *Server) headers(h http.Header) {
	if leader, known := s.leads(); known {
		h.Set("X-Marathon-Leader", "http://"+leader)
	}
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-XSS-Protection", "1; mode=block")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if a.deployment != "" {
		h.Set("Marathon-Deployment-Id", a.deployment)
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if len(a.allow) > 0 {
		h.Set("Allow", strings.Join(a.allow, ", "))
	}
	if a.stream != nil && r.Method != http.MethodHead {
		a.stream(w, r)
		return
	}
	body := []byte(a.text)
	switch {
	case a.body != nil:
		h.Set("Content-Type", "application/json")
		body = encode(a.body)
	case a.text != "":
		h.Set("Content-Type", cmp.Or(a.kind, "text/plain; charset=utf-8"))
	}
	h.Add("Vary", "Accept-Encoding")
	if len(body) >= gzipFrom && takesGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		body = compress(body)
	}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // a client that has gone away is nobody's error
}

// encode is JSON with <, > and & as they are. The values it is given always encode.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("api: an answer that is no JSON: " + err.Error())
	}
	return b.Bytes()
}

func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.TrimSpace(name) == "gzip" {
			return strings.ReplaceAll(q, " ", "") != "q=0"
		}
	}
	return false
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed) // a big fleet is asked for by many, often
	if err != nil {
		panic("api: a level gzip does not have: " + err.Error())
	}
	_, _ = z.Write(b) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

// failure is the answer to an error.
func (s *Server) failure(r *http.Request, err error) answer {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		s.log.ErrorContext(r.Context(), "a request failed", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("err", err))
		return answer{status: status, body: message{"internal error; the scheduler's log says more"}}
	}
	a := answer{status: status, body: message{err.Error()}}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		a.body = message{"the body is larger than " + strconv.Itoa(maxBody) + " bytes"}
	}
	if m, ok := errors.AsType[*methodError](err); ok {
		a.allow = m.allowed
	}
	if b, ok := errors.AsType[bodyError](err); ok {
		a.body = b
	}
	return a
}

// bodyError is an error that knows the whole body Marathon answers with.
type bodyError interface {
	error
	json.Marshaler
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*httpError](err); ok {
		return e.status
	}
	switch {
	case isType[*app.SyntaxError](err), isType[*app.TypeError](err):
		return http.StatusBadRequest
	case isType[*app.InvalidError](err):
		return http.StatusUnprocessableEntity
	case isType[*app.UnknownAppError](err), errors.Is(err, app.ErrUnknownHost), errors.Is(err, app.ErrNoVolume):
		return http.StatusNotFound
	case isType[*methodError](err):
		return http.StatusMethodNotAllowed
	case isType[*app.ExistsError](err), isType[*app.LockedError](err), errors.Is(err, app.ErrNotStray):
		return http.StatusConflict
	case isType[*http.MaxBytesError](err):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, app.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func (s *Server) denyCrossOrigin(w http.ResponseWriter, r *http.Request) {
	text := "refused: a page of another site asked a browser to do this"
	answer{status: http.StatusForbidden, body: message{text}}.write(w, r)
}
