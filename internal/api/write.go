package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// write hands a request to what it is for: the first segment of the path and the method decide.
func (s *Server) write(w http.ResponseWriter, r *http.Request) {
	// A slow body may cost this long and no longer; what follows may take its time.
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		s.log.DebugContext(r.Context(), "no deadline for the body", slog.Any("err", err))
	}
	body, err := object(r)
	if err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := deadline.SetReadDeadline(time.Time{}); err != nil {
		s.log.DebugContext(r.Context(), "no end of the deadline for the body", slog.Any("err", err))
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch r.Method + " " + first {
	case "POST switchover", "POST failover":
		s.manual(w, r, first, body)
	case "DELETE switchover":
		s.forgetSwitchover(w, r)
	case "POST restart":
		s.restart(w, r, body)
	case "DELETE restart":
		s.forgetRestart(w)
	case "POST reinitialize":
		s.reinitialize(w, r, body)
	case "POST reload":
		s.agent.Reload()
		say(w, http.StatusAccepted, "reload scheduled")
	case "POST failsafe":
		s.failsafe(w, r, body)
	case "PATCH config":
		s.patchConfig(w, r, body)
	case "PUT config":
		s.putConfig(w, r, body)
	default:
		say(w, http.StatusNotImplemented, "Unsupported request "+r.Method+" "+r.URL.Path)
	}
}

// object reads a JSON object; no body is an empty one.
func object(r *http.Request) (map[string]any, error) {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("the body could not be read: %w", err)
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return map[string]any{}, nil
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, errors.New("the body is not a JSON object")
	}
	return doc, nil
}

// textOf is a text in a body; empty when there is none.
func textOf(body map[string]any, name string) string {
	value, _ := body[name].(string)
	return value
}

// unprocessableError is a request that is well formed and can never be granted.
type unprocessableError struct{ text string }

func (u *unprocessableError) Error() string { return u.text }

// refuse answers a request that cannot be granted, with the code that its reason asks for.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusPreconditionFailed
	if r, ok := errors.AsType[*ha.RefusalError](err); ok && r.Malformed {
		code = http.StatusBadRequest
	}
	if _, ok := errors.AsType[*unprocessableError](err); ok {
		code = http.StatusUnprocessableEntity
	}
	say(w, code, err.Error())
}

// overtaken reports whether a document was changed by somebody else between being read and written.
func overtaken(err error) bool { return errors.Is(err, kv.ErrConflict) || errors.Is(err, kv.ErrHeld) }
