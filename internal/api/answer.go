package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/health"
)

// written is the status document of one snapshot. Load balancers ask for it many times as often as it changes.
type written struct {
	of       *health.Snapshot
	informed bool
	body     []byte
	// kind and length are the headers that belong to it. They are shared by all answers, and nobody changes them.
	kind, length []string
}

// answerStatus answers with the status document.
func (s *Server) answerStatus(w http.ResponseWriter, code int, of *health.Snapshot, now time.Time) {
	d := s.status.Load()
	if informed := of.Informed(now); d == nil || d.of != of || d.informed != informed {
		body := health.Status(*of, now)
		d = &written{of: of, informed: informed, body: body, kind: []string{"application/json"}, length: []string{strconv.Itoa(len(body))}}
		s.status.Store(d)
	}
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = d.kind, d.length
	w.WriteHeader(code)
	w.Write(d.body)
}

// send writes an answer. What is empty is a status code alone.
func send(w http.ResponseWriter, code int, kind string, body []byte) {
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	w.Write(body)
}

// answer writes a JSON document.
func answer(w http.ResponseWriter, code int, doc []byte) { send(w, code, "application/json", doc) }

// say answers with a sentence.
func say(w http.ResponseWriter, code int, text string) { send(w, code, "text/html", []byte(text)) }
