package api

import (
	"log/slog"
	"net/http"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/health"
)

// patchConfig merges the body into the dynamic configuration: null deletes, objects merge, everything else replaces.
func (s *Server) patchConfig(w http.ResponseWriter, r *http.Request, body document) {
	old := s.fresh(r.Context()).Cluster.Config
	if old.Data == nil {
		say(w, http.StatusServiceUnavailable, "the DCS holds no configuration to change")
		return
	}
	data := cluster.Patch(old.Data, body.values)
	if !cluster.SameConfig(old.Data, data) {
		if err := s.agent.Configure(r.Context(), data, old.Version); err != nil {
			s.configFailed(w, r, err)
			return
		}
	}
	answer(w, http.StatusOK, health.Document(data))
}

// putTries is how often a replacement is tried over what others write meanwhile.
const putTries = 3

// putConfig replaces the dynamic configuration, whatever it is.
func (s *Server) putConfig(w http.ResponseWriter, r *http.Request, body document) {
	var err error
	for range putTries {
		old := s.fresh(r.Context()).Cluster.Config
		if cluster.SameConfig(old.Data, body.values) {
			err = nil
			break
		}
		if err = s.agent.Configure(r.Context(), body.values, old.Version); !overtaken(err) {
			break
		}
	}
	if err != nil {
		s.log.WarnContext(r.Context(), "config not written", slog.Any("err", err))
		say(w, http.StatusBadGateway, "the configuration could not be written to the DCS")
		return
	}
	answer(w, http.StatusOK, health.Document(body.values))
}

func (s *Server) configFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.log.WarnContext(r.Context(), "config not written", slog.Any("err", err))
	if overtaken(err) {
		say(w, http.StatusConflict, "the configuration was changed by somebody else meanwhile: look at it and ask again")
		return
	}
	say(w, http.StatusServiceUnavailable, "the configuration could not be written to the DCS")
}
