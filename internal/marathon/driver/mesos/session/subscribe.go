package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	path         = "/api/v1/scheduler"
	mediaType    = "application/json"
	streamHeader = "Mesos-Stream-Id"
	// answerTimeout bounds the time until a master begins to answer.
	answerTimeout = 10 * time.Second
	// defaultHeartbeat is Mesos' interval, for masters that say none.
	defaultHeartbeat = 15 * time.Second
	// missedHeartbeats is how many may be missing before a stream counts as dead.
	missedHeartbeats = 5
	// longestError is how much of the text of an error is read.
	longestError = 4 << 10
)

// subscribe opens one subscription and follows it to its end. The error says why it ended.
func (s *Session) subscribe(ctx context.Context, h Handler) error {
	master, err := s.find(ctx)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	// Until the first event the master has the time of an answer, from then on that of its heartbeats.
	watchdog := time.AfterFunc(answerTimeout, func() { end(errSilent) })
	defer watchdog.Stop()
	resp, err := s.post(ctx, master, "", s.introduction())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, because(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }() // what is left of the body does not matter
	if resp.StatusCode != http.StatusOK {
		return s.refused(resp)
	}
	sub := &subscription{master: master, stream: resp.Header.Get(streamHeader), end: end}
	defer s.lose(sub)
	err = s.follow(sub, wire.NewRecords(resp.Body), watchdog, h)
	s.lose(sub)
	err = because(ctx, err)
	h.Lost(err)
	return err
}

// because is the reason for which ctx was ended, where that is what the error comes from.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// introduction is the SUBSCRIBE of this session.
func (s *Session) introduction() wire.Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := s.cfg.Framework
	call := wire.Call{Type: wire.CallSubscribe, Subscribe: &wire.Subscribe{FrameworkInfo: info, SuppressedRoles: s.suppressed}}
	if s.framework != "" {
		call.FrameworkID = &wire.ID{Value: s.framework}
		call.Subscribe.FrameworkInfo.ID = call.FrameworkID
	}
	return call
}

// follow hands out events until the stream ends.
func (s *Session) follow(sub *subscription, records *wire.Records, watchdog *time.Timer, h Handler) error {
	limit := missedHeartbeats * defaultHeartbeat
	for {
		record, err := records.Next()
		if err != nil {
			return fmt.Errorf("%w: the event stream of %s ended: %w", ErrUnavailable, sub.master, err)
		}
		var e wire.Event
		if err := json.Unmarshal(record, &e); err != nil {
			return fmt.Errorf("%w: %s sent an event that cannot be read: %w", ErrUnavailable, sub.master, err)
		}
		switch {
		case e.Type == wire.EventError && e.Error != nil:
			return failure(e.Error.Message)
		case e.Type == wire.EventSubscribed && e.Subscribed != nil:
			if interval := e.Subscribed.HeartbeatIntervalSeconds; interval > 0 {
				limit = time.Duration(missedHeartbeats * interval * float64(time.Second))
			}
			s.begin(sub, e.Subscribed.FrameworkID.Value)
			h.Subscribed(*e.Subscribed)
		case e.Type != wire.EventHeartbeat:
			h.Event(e)
		}
		watchdog.Reset(limit)
	}
}

// begin makes the subscription the one that calls are made on.
func (s *Session) begin(sub *subscription, framework string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.framework, s.subscribed = sub, framework, true
	s.log.Info("subscribed to Mesos", slog.String("master", sub.master), slog.String("framework", framework))
}

func (s *Session) lose(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == sub {
		s.current = nil
	}
}

// refused is what an answer other than 200 to a SUBSCRIBE means for the session.
func (s *Session) refused(resp *http.Response) error {
	text := errorText(resp.Body)
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect:
		return s.redirected(resp)
	case http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable: // it is starting, or has too much to do
		return fmt.Errorf("%w: %s: %s", ErrUnavailable, resp.Status, text)
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: it does not take the principal and its secret", ErrRejected)
	}
	return fmt.Errorf("%w: %s: %s", ErrRejected, resp.Status, text)
}

// redirected takes the leader's address from an answer of a master that does not lead. It has no scheme, and may name a
// leader that is dead until its session in ZooKeeper ends.
func (s *Session) redirected(resp *http.Response) error {
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || location.Host == "" {
		return fmt.Errorf("%w: %w and names no leader", ErrUnavailable, errNotLeader)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = location.Host
	return fmt.Errorf("%w: %w, %s does", ErrUnavailable, errNotLeader, location.Host)
}

// find is the master to try now: the one a redirect named, once, else the one that leads or the next of the list.
func (s *Session) find(ctx context.Context) (string, error) {
	s.mu.Lock()
	leader := s.leader
	s.leader = ""
	s.mu.Unlock()
	if leader != "" {
		return leader, nil
	}
	if s.cfg.Find != nil {
		ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errSilent)
		defer cancel()
		master, err := s.cfg.Find(ctx)
		if err != nil {
			return "", fmt.Errorf("%w: look for the leading master: %w", ErrUnavailable, err)
		}
		return master, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	master := s.cfg.Masters[s.next%len(s.cfg.Masters)]
	s.next++
	return master, nil
}

func (s *Session) post(ctx context.Context, master, stream string, call wire.Call) (*http.Response, error) {
	body, err := json.Marshal(call)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", call.Type, err)
	}
	scheme := "http"
	if s.cfg.TLS != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+master+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // never sent a second time by itself (rule S8)
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType)
	if stream != "" {
		req.Header.Set(streamHeader, stream)
	}
	if s.cfg.Principal != "" {
		req.SetBasicAuth(s.cfg.Principal, s.cfg.Secret.Reveal())
	}
	return s.client.Do(req)
}

// Call makes a call on the present subscription. Errors: ErrRejected, ErrUnavailable.
func (s *Session) Call(ctx context.Context, call wire.Call) error {
	s.mu.Lock()
	sub := s.current
	call.FrameworkID = &wire.ID{Value: s.framework}
	s.mu.Unlock()
	if sub == nil {
		return fmt.Errorf("%s: %w: not subscribed", call.Type, ErrUnavailable)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errSilent)
	defer cancel()
	resp, err := s.post(ctx, sub.master, sub.stream, call)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", call.Type, ErrUnavailable, because(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }() // what is left of the body does not matter
	if resp.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	return fmt.Errorf("%s: %w", call.Type, s.answered(sub, resp))
}

// answered is what an answer other than success to a call means. Where the master does not know the subscription any more
// it is ended, for its stream may never say so.
func (s *Session) answered(sub *subscription, resp *http.Response) error {
	text := errorText(resp.Body)
	void := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTemporaryRedirect ||
		resp.StatusCode == http.StatusBadRequest && (strings.Contains(text, "stream ID") || strings.Contains(text, "Framework cannot be found"))
	switch {
	case void:
		sub.end(fmt.Errorf("%w: the subscription is void: %s", ErrUnavailable, text))
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s: %s", ErrRejected, resp.Status, text)
	}
	return fmt.Errorf("%w: %s: %s", ErrUnavailable, resp.Status, text)
}

func errorText(body io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(body, longestError))
	if err != nil && !errors.Is(err, io.EOF) && len(text) == 0 {
		return "no text"
	}
	return strings.TrimSpace(string(text))
}
