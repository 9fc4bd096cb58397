package api

import (
	"net/http"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// positionsOf are the positions of slots that a leader without the DCS tells; what is no position is left out.
func positionsOf(v any) map[string]wal.LSN {
	doc, _ := v.(map[string]any)
	positions := map[string]wal.LSN{}
	for name, at := range doc {
		if n, isNumber := at.(float64); isNumber && n > 0 && n <= exactlyAFloat {
			positions[name] = wal.LSN(n)
		}
	}
	return positions
}

// exactlyAFloat is the largest number up to which JSON's numbers are exact here; WAL positions are far below it.
const exactlyAFloat = 1 << 53

// failsafeReady refuses while nobody is to go on without the DCS.
func (s *Server) failsafeReady() error {
	if !s.agent.Snapshot().Settings.FailsafeMode {
		return &bodyError{http.StatusBadGateway, "failsafe_mode is off"}
	}
	return nil
}

// failsafe answers a primary that lost the DCS and asks whether it may go on. Codes, texts and the header are Patroni's.
func (s *Server) failsafe(w http.ResponseWriter, r *http.Request, body document) {
	leader := body.text("name")
	if leader == "" {
		say(w, http.StatusBadRequest, "the body names no member")
		return
	}
	at, agreed := s.agent.Agree(r.Context(), leader)
	if !agreed {
		say(w, http.StatusInternalServerError, "Running as a leader")
		return
	}
	s.agent.HearSlots(positionsOf(body.values["slots"]))
	if at != 0 {
		w.Header().Set("lsn", strconv.FormatUint(uint64(at), 10))
	}
	say(w, http.StatusOK, client.FailsafeAccepted)
}
