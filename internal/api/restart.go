package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// restartWait is the longest time a restart is waited for. It goes on in the loop after that.
const restartWait = 10 * time.Minute

// restart has the server restarted, now or later, if it meets the conditions then.
func (s *Server) restart(w http.ResponseWriter, r *http.Request, body document) {
	_, later := body.values["schedule"]
	now := s.fresh(r.Context())
	if later && now.Settings.Pause {
		say(w, http.StatusInternalServerError, "Can't schedule restart in the paused state")
		return
	}
	q, err := restartRequest(body, time.Now())
	switch {
	case err != nil:
		refuse(w, err)
	case later && s.agent.Schedule(q):
		say(w, http.StatusAccepted, "Restart scheduled")
	case later:
		say(w, http.StatusConflict, "Another restart is already scheduled")
	case now.State == cluster.StateStarting:
		say(w, http.StatusServiceUnavailable, "postgres is still starting")
	case now.Progress != "":
		say(w, http.StatusServiceUnavailable, now.Progress+" already in progress")
	default:
		s.restartNow(w, r, q)
	}
}

func (s *Server) restartNow(w http.ResponseWriter, r *http.Request, q ha.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), restartWait)
	defer cancel()
	err := s.agent.Request(ctx, q)
	if err == nil {
		say(w, http.StatusOK, "restarted successfully")
		return
	}
	s.log.WarnContext(r.Context(), "restart not done", slog.Any("err", err))
	if _, refused := errors.AsType[*ha.RefusalError](err); refused {
		say(w, http.StatusServiceUnavailable, "restart conditions are not satisfied")
		return
	}
	say(w, http.StatusServiceUnavailable, "restart failed")
}

// restartRequest reads what is asked for. The texts of the errors are part of the REST API.
func restartRequest(body document, now time.Time) (ha.Request, error) {
	q := ha.Request{Kind: ha.RequestRestart}
	readers := map[string]func(value any) error{
		"schedule": func(value any) (err error) {
			text, _ := value.(string)
			q.At, err = scheduled("restart", text, now)
			return err
		},
		"role":             func(value any) error { return readRole(&q, value) },
		"postgres_version": func(value any) error { return readVersion(&q, value) },
		"timeout":          func(value any) error { return readTimeout(&q, value) },
		"restart_pending":  func(any) error { q.Pending = true; return nil },
	}
	for _, name := range body.names {
		read, known := readers[name]
		if !known {
			return q, malformed("Unknown filter for the scheduled restart: " + name)
		}
		if err := read(body.values[name]); err != nil {
			return q, err
		}
	}
	return q, nil
}

func malformed(text string) error { return &ha.RefusalError{Malformed: true, Text: text} }

func readRole(q *ha.Request, value any) error {
	text, _ := value.(string)
	q.Role = cluster.Role(text)
	switch q.Role {
	case cluster.RolePrimary, cluster.RoleStandbyLeader, cluster.RoleReplica:
		return nil
	case cluster.RoleDemoted, cluster.RoleUninitialized, cluster.RolePromoted:
	}
	return malformed("PostgreSQL role should be either primary, standby_leader, or replica")
}

func readVersion(q *ha.Request, value any) (err error) {
	text, _ := value.(string)
	if q.Below, err = cluster.ParseServerVersion(text); err != nil {
		return malformed(err.Error())
	}
	return nil
}

// readTimeout reads seconds, or a number with a unit as PostgreSQL's settings have them.
func readTimeout(q *ha.Request, value any) error {
	text, isText := value.(string)
	if number, isNumber := value.(float64); isNumber {
		text, isText = strconv.FormatFloat(number, 'f', -1, 64), true
	}
	n, ok := guc.ParseInteger(text, "s")
	if !isText || !ok || n <= 0 {
		return malformed("Timeout should be a positive number of seconds")
	}
	q.Timeout = time.Duration(n) * time.Second
	return nil
}

// forgetRestart drops the scheduled restart.
func (s *Server) forgetRestart(w http.ResponseWriter, _ *http.Request, _ document) {
	if !s.agent.Unschedule() {
		say(w, http.StatusNotFound, "no restarts are scheduled")
		return
	}
	say(w, http.StatusOK, "scheduled restart deleted")
}

// reinitialize has the data of a replica replaced by a new copy.
func (s *Server) reinitialize(w http.ResponseWriter, r *http.Request, body document) {
	now := s.fresh(r.Context())
	if err := ha.CheckReinitialize(now.Name, now.Cluster); err != nil {
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if now.Progress != "" && !truth(body.values["force"]) {
		say(w, http.StatusServiceUnavailable, now.Progress+" already in progress")
		return
	}
	// The clone goes on long after the answer; its progress shows in GET /patroni.
	s.agent.Queue(ha.Request{Kind: ha.RequestReinitialize, FromLeader: truth(body.values["from_leader"])})
	say(w, http.StatusOK, "reinitialize started")
}

// truth reads a yes in any of the spellings that clients send.
func truth(value any) bool {
	text, err := json.Marshal(value)
	if err != nil {
		return false
	}
	if word, isText := value.(string); isText {
		return cluster.IsTrue(word)
	}
	return cluster.IsTrue(string(text))
}
