package api

import (
	"net/http"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// waits are the things that are wanted and not done now, each with its reason.
func (s *Server) waits(*http.Request) (answer, error) {
	return ok(map[string][]app.Wait{"waits": append([]app.Wait{}, s.Waits.Waits()...)})
}
