package api

import (
	"net/http"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/client"
)

// failsafe answers a primary that lost the DCS and asks whether it may go on. Codes, texts and the header are Patroni's.
func (s *Server) failsafe(w http.ResponseWriter, r *http.Request, body map[string]any) {
	leader := textOf(body, "name")
	switch {
	case !s.agent.Snapshot().Settings.FailsafeMode:
		say(w, http.StatusBadGateway, "failsafe_mode is off")
		return
	case leader == "":
		say(w, http.StatusBadRequest, "the body names no member")
		return
	}
	at, agreed := s.agent.Agree(r.Context(), leader)
	if !agreed {
		say(w, http.StatusInternalServerError, "Running as a leader")
		return
	}
	if at != 0 {
		w.Header().Set("lsn", strconv.FormatUint(uint64(at), 10))
	}
	say(w, http.StatusOK, client.FailsafeAccepted)
}
