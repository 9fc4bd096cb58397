package api

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"time"
)

// Of a follower.
const (
	via            = "X-Marathon-Via" // the schedulers a request came through
	leaderPatience = 2500 * time.Millisecond
	leaderLook     = 250 * time.Millisecond
	dialTimeout    = 5 * time.Second
	answerTimeout  = changeTimeout + 5*time.Second
)

// lead answers a request where this scheduler leads, and has it answered where it does not.
func (s *Server) lead(w http.ResponseWriter, r *http.Request) {
	if s.Leadership == nil || s.Leadership.Leads() || isLocal(r) {
		s.serve(w, r)
		return
	}
	leader, self := s.awaitLeader(r)
	switch {
	case self:
		s.serve(w, r)
	case leader == "":
		answer{status: http.StatusBadGateway, body: message{"Could not determine the current leader"}}.write(w, r)
	case isEvents(r):
		// A stream through two schedulers would end with either of them.
		to := url.URL{Scheme: "http", Host: leader, Path: "/v2/events", RawQuery: r.URL.RawQuery}
		answer{status: http.StatusFound, location: to.String()}.write(w, r)
	case slices.Contains(r.Header.Values(via), s.via()):
		answer{status: http.StatusBadGateway, body: message{"the request came back: the schedulers do not agree on who leads"}}.write(w, r)
	default:
		s.forward(w, r, leader)
	}
}

// isLocal reports whether any scheduler answers for itself.
func isLocal(r *http.Request) bool {
	path := segments(r.URL.Path)
	if len(path) == 0 {
		return false
	}
	switch path[0] {
	case "ping", "metrics", "logging", "config":
		return true
	}
	return is(path, "v2", "leader") && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// awaitLeader waits a moment for somebody to lead, who may be this one.
func (s *Server) awaitLeader(r *http.Request) (leader string, self bool) {
	limit := time.NewTimer(leaderPatience)
	defer limit.Stop()
	look := time.NewTicker(leaderLook) // this one leads a moment after it is seen to
	defer look.Stop()
	for {
		changed := s.Leadership.Changed()
		if s.Leadership.Leads() {
			return "", true
		}
		if leader, known := s.Leadership.Leader(); known && leader != s.config.Address {
			return leader, false
		}
		select {
		case <-changed:
		case <-look.C:
		case <-limit.C:
			return "", false
		case <-r.Context().Done():
			return "", false
		}
	}
}

func (s *Server) via() string { return "1.1 " + s.config.Address }

// newForwarder makes what passes requests on. It answers with what the leader says, headers included.
func newForwarder() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true, // what the client takes is its own business
	}
}

func (s *Server) forward(w http.ResponseWriter, r *http.Request, leader string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	proxy := httputil.ReverseProxy{
		Transport: s.transport,
		ErrorLog:  slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: leader})
			p.Out.URL.Path, p.Out.URL.RawPath = p.In.URL.Path, p.In.URL.RawPath // doubled slashes and all
			p.Out.Host = p.In.Host
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			p.Out.Header.Add(via, s.via())
		},
		ModifyResponse: func(*http.Response) error {
			clear(w.Header()) // the leader's stand for both
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			a := answer{status: http.StatusBadGateway, body: message{"the scheduler that leads, " + leader + ", does not answer: " + err.Error()}}
			if isType[*http.MaxBytesError](err) {
				a = s.failure(r, err)
			}
			a.write(w, r)
		},
	}
	proxy.ServeHTTP(w, r)
}
