package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
)

// door is what every request passes before it is routed: whose pages may ask, who asks, and how many at once.
func (s *Server) door(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	trusted := s.trusts(origin)
	if trusted {
		s.allowOrigin(w.Header(), r, origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	if !s.knows(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Mesosphere", charset="UTF-8"`)
		answer{status: http.StatusUnauthorized, body: message{"Invalid username or password."}}.write(w, r)
		return
	}
	if !s.enter(r) {
		w.Header().Set("Retry-After", "1")
		answer{status: http.StatusServiceUnavailable, body: message{"too many requests at once; ask again in a moment"}}.write(w, r)
		return
	}
	defer s.leave(r)
	if trusted {
		s.lead(w, r)
		return
	}
	s.guard.ServeHTTP(w, r)
}

// trusts reports whether the configuration lets pages of an origin use the API.
func (s *Server) trusts(origin string) bool {
	allowed := s.config.AllowOrigins
	return origin != "" && (slices.Contains(allowed, "*") || slices.Contains(allowed, origin))
}

// allowOrigin is what a browser wants to hear before it lets a page read an answer.
func (s *Server) allowOrigin(h http.Header, r *http.Request, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Expose-Headers", "Location, Marathon-Deployment-Id, X-Marathon-Leader")
	h.Set("Access-Control-Max-Age", "86400")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	if !slices.Contains(s.config.AllowOrigins, "*") {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// knows reports whether a request comes with the login, if there is one. How long it takes says nothing about it.
func (s *Server) knows(r *http.Request) bool {
	if s.config.Password == "" {
		return true
	}
	user, password, given := r.BasicAuth()
	want := sha256.Sum256([]byte(s.config.User + ":" + s.config.Password.Reveal()))
	got := sha256.Sum256([]byte(user + ":" + password))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && given
}

// enter takes a place among the requests that are worked on, unless there is none. Event streams take none: they last.
func (s *Server) enter(r *http.Request) bool {
	if s.places == nil || isEvents(r) {
		return true
	}
	select {
	case s.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Server) leave(r *http.Request) {
	if s.places != nil && !isEvents(r) {
		<-s.places
	}
}

func isEvents(r *http.Request) bool { return is(segments(r.URL.Path), "v2", "events") }
