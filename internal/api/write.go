package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// route is what a request is for that changes something.
type route struct {
	// open is for everybody, failsafe for members in any case; everything else is for those who may (see Server.admits).
	open, failsafe bool
	// ready refuses before the body is looked at; nil never does.
	ready func() error
	body  want
	do    func(w http.ResponseWriter, r *http.Request, body document)
}

// want says whether a request has to have a body.
type want int

const (
	noBody want = iota
	optionalBody
	wantedBody
)

// writes are the requests that change something, by method and first segment of the path.
func (s *Server) writes() map[string]route {
	return map[string]route{
		"POST switchover":   {body: wantedBody, do: s.manual("switchover")},
		"POST failover":     {body: wantedBody, do: s.manual("failover")},
		"DELETE switchover": {do: s.forgetSwitchover},
		"POST restart":      {body: optionalBody, do: s.restart},
		"DELETE restart":    {do: s.forgetRestart},
		"POST reinitialize": {body: optionalBody, do: s.reinitialize},
		"POST reload":       {do: s.reload},
		"POST sigterm":      {do: sigterm},
		"POST failsafe":     {failsafe: true, ready: s.failsafeReady, body: wantedBody, do: s.failsafe},
		"POST citus":        {body: wantedBody, do: distributed},
		"POST mpp":          {open: true, body: wantedBody, do: distributed},
		"PATCH config":      {body: wantedBody, do: s.patchConfig},
		"PUT config":        {body: wantedBody, do: s.putConfig},
	}
}

// longestRequest is how long a request that changes something may take until it is answered.
const longestRequest = restartWait + answerTimeout

// write hands a request to what it is for.
func (s *Server) write(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(strings.TrimLeft(r.URL.EscapedPath(), "/"), "/")
	to, known := s.routes[r.Method+" "+first]
	if !known {
		done(w)
		say(w, http.StatusNotImplemented, "Unsupported request "+r.Method+" "+r.URL.Path)
		return
	}
	if !to.open && !s.admits(w, r, to.failsafe) {
		return
	}
	if to.ready != nil {
		if err := to.ready(); err != nil {
			done(w)
			refuse(w, err)
			return
		}
	}
	if to.body == noBody {
		if r.ContentLength != 0 {
			done(w)
		}
		to.do(w, r, document{})
		return
	}
	body, err := read(w, r, to.body == wantedBody)
	if err != nil {
		done(w)
		refuse(w, err)
		return
	}
	// The request has arrived as a whole. What follows may take its time.
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Now().Add(longestRequest))); err != nil {
		s.log.DebugContext(r.Context(), "no other deadline for the request", slog.Any("err", err))
	}
	to.do(w, r, body)
}

// done ends the connection with the answer, so that nothing is read any more of a body that nobody wants.
func done(w http.ResponseWriter) { w.Header().Set("Connection", "close") }

// reload has the configuration file read again.
func (s *Server) reload(w http.ResponseWriter, _ *http.Request, _ document) {
	s.agent.Reload()
	say(w, http.StatusAccepted, "reload scheduled")
}

// sigterm answers what Patroni answers, which acts on it in tests of its own on Windows only.
func sigterm(w http.ResponseWriter, _ *http.Request, _ document) {
	say(w, http.StatusAccepted, "shutdown scheduled")
}

// distributed answers a worker of a distributed database as a member does that is no coordinator of one.
func distributed(w http.ResponseWriter, _ *http.Request, _ document) { say(w, http.StatusOK, "OK") }

// unprocessableError is a request that is well formed and can never be granted.
type unprocessableError struct{ text string }

func (u *unprocessableError) Error() string { return u.text }

// refuse answers a request that cannot be granted, with the code that its reason asks for.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusPreconditionFailed
	if r, ok := errors.AsType[*ha.RefusalError](err); ok && r.Malformed {
		code = http.StatusBadRequest
	}
	if _, ok := errors.AsType[*unprocessableError](err); ok {
		code = http.StatusUnprocessableEntity
	}
	if b, ok := errors.AsType[*bodyError](err); ok {
		code = b.code
	}
	say(w, code, err.Error())
}

// overtaken reports whether a document was changed by somebody else between being read and written.
func overtaken(err error) bool { return errors.Is(err, kv.ErrConflict) || errors.Is(err, kv.ErrHeld) }
