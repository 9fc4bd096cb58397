package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/health"
)

// settleWait is how long a granted switchover waits for the new leader to take writes.
const settleWait = 5 * time.Second

// manual asks for a switchover or failover and waits for what comes of it.
func (s *Server) manual(kind string) func(w http.ResponseWriter, r *http.Request, body document) {
	return func(w http.ResponseWriter, r *http.Request, body document) {
		before := s.fresh(r.Context())
		f, err := failover(kind, body, before, time.Now())
		kind := kind
		if kind == "failover" && f.Leader != "" && f.Candidate != "" && f.ScheduledAt == "" {
			s.log.WarnContext(r.Context(), "a failover that names a leader is a switchover", slog.String("leader", f.Leader))
			kind = "switchover"
		}
		if err == nil {
			err = s.possible(r.Context(), kind, f, before)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		s.begin(w, r, kind, f, before)
	}
}

// begin writes the request into the DCS.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, kind string, f cluster.Failover, before *health.Snapshot) {
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

// failover reads the request. A schedule must be unambiguous and in the future; where there can be none in any case, that is
// for ha.CheckManual to say.
func failover(kind string, body document, now *health.Snapshot, at time.Time) (cluster.Failover, error) {
	f := cluster.Failover{Leader: body.text("leader"), Candidate: cmp.Or(body.text("candidate"), body.text("member"))}
	schedule, given := scheduleIn(body)
	if !given {
		return f, nil
	}
	f.ScheduledAt = schedule
	if kind == "failover" || f.Leader == "" || now.Settings.Pause {
		return f, nil
	}
	when, err := scheduled(kind, schedule, at)
	if err != nil {
		return f, err
	}
	f.ScheduledAt = when.Format(scheduleForm)
	return f, nil
}

// scheduleIn is when a body asks for something; false where it asks for now: with nothing, or with what means nothing.
func scheduleIn(body document) (string, bool) {
	value := body.values["scheduled_at"]
	switch value {
	case nil, false, "", 0.0:
		return "", false
	}
	return fmt.Sprint(value), true
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

// forgetSwitchover clears a scheduled switchover.
func (s *Server) forgetSwitchover(w http.ResponseWriter, r *http.Request, _ document) {
	if s.fresh(r.Context()).Cluster.Failover.ScheduledAt == "" {
		say(w, http.StatusNotFound, "no switchover is scheduled")
		return
	}
	switch err := s.agent.Manual(r.Context(), cluster.Failover{}); {
	case overtaken(err):
		say(w, http.StatusConflict, "the failover key was changed meanwhile")
	case err != nil:
		s.log.WarnContext(r.Context(), "failover key not cleared", slog.Any("err", err))
		say(w, http.StatusServiceUnavailable, "failed to write failover key into DCS")
	default:
		say(w, http.StatusOK, "scheduled switchover deleted")
	}
}
