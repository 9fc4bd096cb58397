package agent_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/pgbaton/pgbaton/internal/api"
)

// post asks the host's agent through its REST API.
func (h *host) post(path, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)).WithContext(h.lab.t.Context())
	r.RemoteAddr = "127.0.0.1:40000"
	w := httptest.NewRecorder()
	api.New(h.life.agent, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}
