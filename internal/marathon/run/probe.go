package run

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// target is where one check goes.
type target struct {
	check   app.HealthCheck
	address string
	port    int
}

func (t target) hostPort() string { return net.JoinHostPort(t.address, strconv.Itoa(t.port)) }

var errProbeTimeout = errors.New("no answer in time")

// probe runs one check once: 200 to 399 is healthy, redirects are not followed, certificates not verified.
func (s *Scheduler) probe(ctx context.Context, t target) deploy.Probe {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(t.check.TimeoutSeconds)*time.Second, errProbeTimeout)
	defer cancel()
	if t.check.Protocol == app.ProtocolTCP {
		conn, err := s.cfg.Dial(ctx, "tcp", t.hostPort())
		if err != nil {
			return deploy.Probe{Cause: cause(ctx, err)}
		}
		return deploy.Probe{OK: conn.Close() == nil, Heard: true}
	}
	answer, heard, err := s.ask(ctx, strings.ToLower(string(t.check.Protocol))+"://"+t.hostPort()+"/"+strings.TrimPrefix(t.check.Path, "/"))
	code := answer.Status
	switch {
	case err != nil:
		return deploy.Probe{Cause: cause(ctx, err), Heard: heard}
	case code < 200 && t.check.IgnoreHTTP1xx:
		return deploy.Probe{Skip: true, Heard: true}
	case code >= 200 && code < 400:
		return deploy.Probe{OK: true, Heard: true}
	}
	return deploy.Probe{Cause: fmt.Sprintf("HTTP status %d", code), Heard: true}
}

// alive reports whether an agent says anything at all, and whether anybody is heard where it should be.
func (s *Scheduler) alive(ctx context.Context, i deploy.Instance, check app.HealthCheck) (answered, heard bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(check.TimeoutSeconds)*time.Second, errProbeTimeout)
	defer cancel()
	_, heard, err := s.ask(ctx, agentURL(i)+"/liveness")
	return err == nil, heard
}

// ask fetches the status of an answer. Heard means that the connection was taken, whatever came over it.
func (s *Scheduler) ask(ctx context.Context, url string) (answer app.ReadinessResponse, heard bool, err error) {
	var taken atomic.Bool // the transport dials beside who asked, and may go on after the answer
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.cfg.Dial(ctx, network, address)
		if err == nil {
			taken.Store(true)
		}
		return conn, err
	}
	answer, err = fetch(ctx, dial, false, url)
	return answer, taken.Load(), err
}

// errInformational ends a request at an informational answer, which net/http would pass over.
var errInformational = errors.New("informational answer")

// maxBody bounds what is kept of the body of an answer.
const maxBody = 64 << 10

// dialer opens connections.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// fetch asks on a connection of its own: a probe that finds an old one broken would say nothing about the task.
// The body is read only where it is wanted: it may have no end.
func fetch(ctx context.Context, dial dialer, wantBody bool, url string) (app.ReadinessResponse, error) {
	informational := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			informational = code
			return errInformational
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return app.ReadinessResponse{}, err
	}
	transport := &http.Transport{
		DialContext:       dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as in Marathon: the question is whether it serves
	}
	resp, err := transport.RoundTrip(req)
	if errors.Is(err, errInformational) {
		return app.ReadinessResponse{Status: informational}, nil
	}
	if err != nil {
		return app.ReadinessResponse{}, err
	}
	answer := app.ReadinessResponse{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}
	if wantBody {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // a body cut short is no reason to doubt the status
		answer.Body = string(body)
	}
	return answer, resp.Body.Close()
}

// cause is why a probe failed, in a word or two.
func cause(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	return err.Error()
}
