package api

import (
	"encoding/json"
	"net/http"
)

// explain answers the last decision, or the last changes, in words.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	var doc any
	if r.URL.Query().Has("history") || r.URL.Path == "/debug/ha/history" {
		doc = s.agent.Changes()
	} else {
		e, ok := s.agent.Explanation()
		if !ok {
			say(w, http.StatusServiceUnavailable, "nothing was decided yet")
			return
		}
		doc = e
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		say(w, http.StatusInternalServerError, "the decision could not be written as JSON: "+err.Error())
		return
	}
	answer(w, http.StatusOK, append(text, '\n'))
}
