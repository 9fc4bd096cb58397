package api

import (
	"context"
	"net/http"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func (s *Server) listHosts(*http.Request) (answer, error) {
	return ok(map[string][]app.HostStatus{"hosts": append([]app.HostStatus{}, s.Hosts.Hosts()...)})
}

// steerHost does something to one host and answers with what became of it.
func (s *Server) steerHost(name string, do func(ctx context.Context, name string) error) handler {
	return func(r *http.Request) (answer, error) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), changeTimeout, errTooSlow)
		defer cancel()
		if err := do(ctx, name); err != nil {
			return answer{}, err
		}
		for _, h := range s.Hosts.Hosts() {
			if h.Name == name {
				return ok(h)
			}
		}
		return answer{}, app.ErrUnknownHost
	}
}
