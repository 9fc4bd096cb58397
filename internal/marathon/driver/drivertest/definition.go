package drivertest

import (
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

func environment(_ *testing.T, s *session) {
	spec := s.spec("1", 1, SeesEnvironment)
	spec.Env = map[string]string{"GREETING": "good morning", "HOST": spec.Host}
	s.launch(spec)
	s.await(spec.Task, app.TaskFinished)
}

// checksBeside: the first result arrives, and so does the change.
func checksBeside(_ *testing.T, s *session) {
	if !s.platform.Checks {
		return
	}
	spec := s.spec("1", 1, Sickens)
	spec.App.HealthChecks = []app.HealthCheck{{
		Protocol: app.ProtocolCommand, Command: &app.Command{Value: IsWell}, IntervalSeconds: 1, TimeoutSeconds: 5, MaxConsecutiveFailures: 0,
	}}
	s.launch(spec)
	for _, want := range []bool{true, false} {
		s.ack(s.awaitStatus(spec.Task, func(got driver.Status) bool {
			return got.State == app.TaskRunning && got.Healthy != nil && *got.Healthy == want
		}))
	}
}

// gpus: hosts without any have nothing to show.
func gpus(t *testing.T, s *session) {
	for _, o := range s.offers() {
		if o.Free.GPUs < 1 {
			continue
		}
		spec := s.spec("1", 1, Runs)
		spec.Host, spec.Offer, spec.Resources.GPUs = o.Host, o.ID, o.Free.GPUs
		spec.App.GPUs = int(o.Free.GPUs)
		s.launch(spec)
		s.await(spec.Task, app.TaskRunning)
		for _, now := range s.offers() {
			if now.Host == o.Host && now.Free.GPUs != 0 {
				t.Errorf("%v gpus are free although a task has all", now.Free.GPUs)
			}
		}
		more := s.spec("2", 1, Runs)
		more.Host, more.Offer, more.Resources.GPUs = o.Host, o.ID, 1
		s.mustRefuse(more, "gpus")
		return
	}
}
