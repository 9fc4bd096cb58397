package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
)

// The longest time a request waits for its result. It goes on in the loop after that.
const (
	restartWait = 10 * time.Minute
	// settleWait is how long a granted switchover waits for the new leader to take writes.
	settleWait = 5 * time.Second
)

func (s *Server) write(w http.ResponseWriter, r *http.Request) {
	// A slow body may cost this long and no longer; what follows may take its time.
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		s.log.DebugContext(r.Context(), "no deadline for the body", slog.Any("err", err))
	}
	body, err := object(r)
	if err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := deadline.SetReadDeadline(time.Time{}); err != nil {
		s.log.DebugContext(r.Context(), "no end of the deadline for the body", slog.Any("err", err))
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "switchover", "failover":
		s.manual(w, r, first, body)
	case "restart":
		s.restart(w, r, body)
	case "reinitialize":
		s.reinitialize(w, r, body)
	default:
		say(w, http.StatusNotImplemented, "Unsupported request "+r.URL.Path)
	}
}

// object reads a JSON object; no body is an empty one.
func object(r *http.Request) (map[string]any, error) {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("the body could not be read: %w", err)
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return map[string]any{}, nil
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, errors.New("the body is not a JSON object")
	}
	return doc, nil
}

// manual asks for a switchover or failover and waits for what comes of it.
func (s *Server) manual(w http.ResponseWriter, r *http.Request, kind string, body map[string]any) {
	f, err := failover(kind, body, time.Now())
	if err != nil {
		refuse(w, err)
		return
	}
	fresh, cancel := context.WithTimeout(r.Context(), freshWait)
	defer cancel()
	before := s.agent.Fresh(fresh)
	if err := s.possible(r.Context(), kind, f, before); err != nil {
		refuse(w, err)
		return
	}
	if err := s.agent.Manual(r.Context(), f); err != nil {
		s.log.WarnContext(r.Context(), "failover key not written", slog.Any("err", err))
		say(w, http.StatusServiceUnavailable, "failed to write failover key into DCS")
		return
	}
	if f.ScheduledAt != "" {
		say(w, http.StatusAccepted, "Switchover scheduled")
		return
	}
	limit := 2 * max(10*time.Second, before.Settings.LoopWait)
	ctx, stop := context.WithTimeout(r.Context(), limit)
	defer stop()
	code, text := s.follow(ctx, kind, f, before, limit)
	say(w, code, text)
}

func (s *Server) possible(ctx context.Context, kind string, f cluster.Failover, now *health.Snapshot) error {
	if err := ha.CheckManual(kind, f, now.Cluster); err != nil || f.ScheduledAt != "" {
		return err
	}
	names := ha.Candidates(f, now.Cluster)
	return ha.CheckCandidates(kind, names, s.agent.Ask(ctx, names), now.Settings, now.Cluster)
}

// failover reads the request. A schedule must be unambiguous and in the future.
func failover(kind string, body map[string]any, now time.Time) (cluster.Failover, error) {
	text := func(name string) string {
		value, _ := body[name].(string)
		return value
	}
	f := cluster.Failover{Leader: text("leader"), Candidate: text("candidate"), ScheduledAt: text("scheduled_at")}
	if f.Candidate == "" {
		f.Candidate = text("member")
	}
	if f.ScheduledAt == "" {
		return f, nil
	}
	at, err := time.Parse(time.RFC3339Nano, strings.Replace(f.ScheduledAt, " ", "T", 1))
	if err != nil {
		if _, naive := time.Parse("2006-01-02T15:04:05", strings.Replace(f.ScheduledAt, " ", "T", 1)); naive == nil {
			return f, &ha.RefusalError{Malformed: true, Text: "Timezone information is mandatory for the scheduled " + kind}
		}
		return f, &unprocessableError{"Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"}
	}
	if at.Before(now) {
		return f, &unprocessableError{"Cannot schedule " + kind + " in the past"}
	}
	f.ScheduledAt = at.Format(time.RFC3339Nano)
	return f, nil
}

// unprocessableError is a request that is well formed and can never be granted.
type unprocessableError struct{ text string }

func (u *unprocessableError) Error() string { return u.text }

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusPreconditionFailed
	if r, ok := errors.AsType[*ha.RefusalError](err); ok && r.Malformed {
		code = http.StatusBadRequest
	}
	if _, ok := errors.AsType[*unprocessableError](err); ok {
		code = http.StatusUnprocessableEntity
	}
	say(w, code, err.Error())
}

// follow watches the snapshots until another member leads, the request was dropped, or time is up.
func (s *Server) follow(ctx context.Context, kind string, f cluster.Failover, before *health.Snapshot, limit time.Duration) (int, string) {
	word := strings.ToUpper(kind[:1]) + kind[1:]
	asked := false
	for now, err := before, error(nil); ; now, err = s.agent.After(ctx, now) {
		if err != nil {
			return http.StatusServiceUnavailable, fmt.Sprintf("%s status unknown after %d seconds; operation may still be in progress", word, int(limit.Seconds()))
		}
		leader := now.Cluster.Leader.Name
		if leader != "" && leader != before.Cluster.Leader.Name {
			s.settle(ctx, now)
			return http.StatusOK, moved(kind, f.Candidate, leader)
		}
		asked = asked || now.Cluster.Failover.Requested()
		if asked && !now.Cluster.Failover.Requested() && leader != "" {
			return http.StatusServiceUnavailable, word + " failed"
		}
	}
}

// settle waits until the new leader takes writes, so that whoever asked finds it so.
func (s *Server) settle(ctx context.Context, now *health.Snapshot) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	for err := error(nil); err == nil; now, err = s.agent.After(ctx, now) {
		if m, ok := now.Cluster.LeaderMember(); ok && m.Role == cluster.RolePrimary && m.Running() {
			return
		}
	}
}

func moved(kind, wanted, leader string) string {
	done := map[string]string{"switchover": "switched", "failover": "failed"}[kind]
	if wanted == "" || wanted == leader {
		return fmt.Sprintf("Successfully %s over to %q", done, leader)
	}
	return fmt.Sprintf("%s over to %q instead of %q", strings.ToUpper(done[:1])+done[1:], leader, wanted)
}

func (s *Server) restart(w http.ResponseWriter, r *http.Request, body map[string]any) {
	for name := range body {
		say(w, http.StatusBadRequest, "Unknown filter for the scheduled restart: "+name)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), restartWait)
	defer cancel()
	if err := s.agent.Request(ctx, ha.Request{Kind: ha.RequestRestart}); err != nil {
		s.log.WarnContext(r.Context(), "restart not done", slog.Any("err", err))
		say(w, http.StatusServiceUnavailable, "restart failed")
		return
	}
	say(w, http.StatusOK, "restarted successfully")
}

func (s *Server) reinitialize(w http.ResponseWriter, r *http.Request, body map[string]any) {
	ctx, cancel := context.WithTimeout(r.Context(), freshWait)
	defer cancel()
	now := s.agent.Fresh(ctx)
	if err := ha.CheckReinitialize(now.Name, now.Cluster); err != nil {
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if now.Progress != "" && body["force"] != true {
		say(w, http.StatusServiceUnavailable, now.Progress+" already in progress")
		return
	}
	// The clone goes on long after the answer; its progress shows in GET /patroni.
	s.agent.Queue(ha.Request{Kind: ha.RequestReinitialize, FromLeader: body["from_leader"] == true})
	say(w, http.StatusOK, "reinitialize started")
}
