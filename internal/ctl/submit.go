package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// answerTimeout is longer than the time a leader takes to say how a switchover went.
const answerTimeout = 90 * time.Second

// submit sends the request to the leader, or to the candidate when nobody leads, and prints the answer.
func (t *tool) submit(ctx context.Context, s *session, kind string, c cluster.Cluster, f cluster.Failover) error {
	target, ok := c.LeaderMember()
	if !ok {
		target, ok = c.Member(f.Candidate)
	}
	if !ok || target.APIURL == "" {
		return t.submitToDCS(ctx, s, kind, c, f)
	}
	body := map[string]string{"candidate": f.Candidate}
	if f.Leader != "" {
		body["leader"] = f.Leader
	}
	if f.ScheduledAt != "" {
		body["scheduled_at"] = f.ScheduledAt
	}
	a, err := s.send(ctx, answerTimeout, target, http.MethodPost, "/"+kind, body)
	if err == nil && a.Code == http.StatusNotImplemented && kind == "switchover" && strings.Contains(a.Text, "Server does not support this operation") {
		a, err = s.send(ctx, answerTimeout, target, http.MethodPost, "/failover", body) // an agent that knows no other word for it
	}
	switch {
	case err == nil:
		return t.report(ctx, s, kind, a)
	case client.NotSent(err):
		t.warn(err.Error())
		return t.submitToDCS(ctx, s, kind, c, f)
	}
	return fmt.Errorf("the %s was sent to %s but its answer did not come (%w): look with %s list whether it happened before asking again",
		kind, target.Name, err, t.env.Program)
}

// submitToDCS leaves the request where the leader looks for it, as long as nobody else left one. That is done only when it
// is sure that no member has it already.
func (t *tool) submitToDCS(ctx context.Context, s *session, kind string, c cluster.Cluster, f cluster.Failover) error {
	t.warn("Failing over to DCS")
	t.printf("%s Could not %s using Patroni api, falling back to DCS\n", t.moment(), kind)
	if err := changed(s.WriteFailover(ctx, f, c.Failover.Version), "the request for a switchover or failover"); err != nil {
		return err
	}
	return t.show(ctx, s)
}

// changed says what to do when somebody else was faster.
func changed(err error, what string) error {
	if errors.Is(err, kv.ErrConflict) || errors.Is(err, kv.ErrHeld) {
		return fmt.Errorf("somebody else changed %s meanwhile: look at the cluster, and ask again if it is still wanted", what)
	}
	return err
}

// moment is a point in time as patronictl writes it before what it tells.
func (t *tool) moment() string { return t.env.Now().Format("2006-01-02 15:04:05.00000") }

func (t *tool) report(ctx context.Context, s *session, kind string, a client.Answer) error {
	word := strings.ToUpper(kind[:1]) + kind[1:]
	switch {
	case a.OK():
		t.printf("%s %s\n", t.moment(), a.Text)
		return t.show(ctx, s)
	case strings.Contains(a.Text, "status unknown"):
		t.printf("%s result unknown, details: %d, %s\n", word, a.Code, a.Text)
	default:
		t.printf("%s failed, details: %d, %s\n", word, a.Code, a.Text)
	}
	return nil
}
