package deploy

import (
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// ProbedHere reports whether the scheduler runs the check. COMMAND and MESOS_* checks run beside the task.
func ProbedHere(h app.HealthCheck) bool {
	switch h.Protocol {
	case app.ProtocolHTTP, app.ProtocolHTTPS, app.ProtocolTCP:
		return true
	case app.ProtocolCommand, app.ProtocolMesosHTTP, app.ProtocolMesosHTTPS, app.ProtocolMesosTCP:
		return false
	}
	return false
}

// Probe is the outcome of one probe.
type Probe struct {
	OK    bool
	Skip  bool   // the answer says nothing: a 1xx status with ignoreHttp1xx
	Cause string // why it failed
	// Heard means that something took the connection, whatever came of it: the way there is open.
	Heard bool
}

// Tally is the result of a check after one more probe. A failure before the first success counts for
// nothing while the task is within its grace.
func Tally(r app.HealthResult, h app.HealthCheck, p Probe, started app.Timestamp, now time.Time) app.HealthResult {
	at := app.At(now)
	switch {
	case p.Skip:
	case p.OK:
		r.Alive, r.ConsecutiveFailures, r.LastSuccess = true, 0, at
		if r.FirstSuccess == 0 {
			r.FirstSuccess = at
		}
	case r.FirstSuccess != 0 || !inGrace(h, started, now):
		r.Alive, r.LastFailure, r.LastFailureCause = false, at, p.Cause
		r.ConsecutiveFailures++
	}
	return r
}

func inGrace(h app.HealthCheck, started app.Timestamp, now time.Time) bool {
	return now.Before(started.Time().Add(time.Duration(h.GracePeriodSeconds) * time.Second))
}

// Exhausted says why a plain task is to be killed for the result of a check, empty when it is not. Marathon compares
// before it adds the current failure, so one more than the limit is needed.
func Exhausted(r app.HealthResult, h app.HealthCheck) string {
	if h.MaxConsecutiveFailures == 0 || r.ConsecutiveFailures <= h.MaxConsecutiveFailures {
		return ""
	}
	return fmt.Sprintf("its %s health check failed %d times in a row: %s", h.Protocol, r.ConsecutiveFailures, r.LastFailureCause)
}

// Silence follows whether the agent of a PostgreSQL member answers at all, whatever it answers. A database that clones,
// recovers or waits for a leader fails its health check for good reasons and for as long as it takes; only an agent that
// says nothing any more is beyond help.
type Silence struct {
	Answered bool // at least once since the task started
	Missed   int  // questions in a row without an answer
}

// Next is the silence after one more question.
func (s Silence) Next(answered bool, h app.HealthCheck, started app.Timestamp, now time.Time) Silence {
	switch {
	case answered:
		return Silence{Answered: true}
	case s.Answered || !inGrace(h, started, now):
		s.Missed++
	}
	return s
}

// TooLong says why the task of a silent agent is to be killed, empty when it is not.
func (s Silence) TooLong(h app.HealthCheck) string {
	if h.MaxConsecutiveFailures == 0 || s.Missed < h.MaxConsecutiveFailures {
		return ""
	}
	return fmt.Sprintf("its agent left %d questions in a row unanswered", s.Missed)
}
