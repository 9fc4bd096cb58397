package run

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// firstProbe bounds how long after its start a task is probed for the first time.
const firstProbe = 5 * time.Second

// probes are the health checks of one running task.
type probes struct {
	task    app.TaskID
	checks  []app.HealthCheck
	cancel  context.CancelFunc
	tallies []app.HealthResult // one for each check; meaningful where probed is true
	probed  []bool
	silence deploy.Silence // of the agent of a PostgreSQL member

	contact   deploy.Contact
	quiet     []time.Time // for each check, since when its questions reach nobody; zero when they do
	agentGone time.Time   // the same for the questions to the agent
}

// syncProbes starts the checks of tasks that run, and ends those of tasks that do not or whose checks have changed.
func (l *loop) syncProbes() {
	for id, p := range l.probes {
		i, there := l.instances[id]
		if !there || !probable(i) || i.Task() != p.task || !reflect.DeepEqual(p.checks, l.defs.Apps[i.App].HealthChecks) {
			p.cancel()
			delete(l.probes, id)
		}
	}
	for id, i := range l.instances {
		if def := l.defs.Apps[i.App]; l.probes[id] == nil && probable(i) && len(def.HealthChecks) > 0 {
			l.probes[id] = l.startProbes(i, def)
		}
	}
}

// probable reports whether it makes sense to ask a task how it is.
func probable(i deploy.Instance) bool { return i.State == app.TaskRunning && i.Stopping == nil }

func (l *loop) startProbes(i deploy.Instance, def app.App) *probes {
	ctx, cancel := context.WithCancel(l.ctx)
	p := &probes{
		task: i.Task(), checks: def.HealthChecks, cancel: cancel,
		tallies: make([]app.HealthResult, len(def.HealthChecks)), probed: make([]bool, len(def.HealthChecks)),
		quiet: make([]time.Time, len(def.HealthChecks)),
	}
	asked := false
	for n, check := range def.HealthChecks {
		if !deploy.ProbedHere(check) {
			continue
		}
		p.contact.Early = time.Since(i.StartedAt.Time()) > firstProbe
		t := target{check: check}
		t.address, t.port = reachedAt(def, i, check)
		l.work.Go(func() {
			l.repeat(ctx, check.Interval(), min(check.Interval(), firstProbe), func() { l.probe(ctx, i, n, t) })
		})
		if i.AgentPort != 0 && !asked {
			asked = true // the first check sets the pace
			l.work.Go(func() {
				l.repeat(ctx, check.Interval(), min(check.Interval(), firstProbe), func() { l.listen(ctx, i, check) })
			})
		}
	}
	return p
}

// reachedAt is where a check goes to: to a port of the host, or to one of the container that no port of the host leads to.
func reachedAt(def app.App, i deploy.Instance, check app.HealthCheck) (address string, port int) {
	if check.Port != nil {
		return i.Address, *check.Port
	}
	if check.PortIndex == nil || *check.PortIndex >= len(i.Ports) {
		return i.Address, 0
	}
	if port := i.Ports[*check.PortIndex]; port != 0 {
		return i.Address, port
	}
	if len(i.Addresses) > 0 {
		address = i.Addresses[0].IPAddress
	}
	return cmp.Or(address, i.Address), def.Ports()[*check.PortIndex].ContainerPort
}

// repeat runs a probe after a first pause and then at its interval until ctx ends.
func (l *loop) repeat(ctx context.Context, interval, first time.Duration, probe func()) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(interval)
		probe()
	}
}

// probe runs one check once and hands the result to the loop.
func (l *loop) probe(ctx context.Context, i deploy.Instance, n int, t target) {
	result := l.s.probe(ctx, t)
	if ctx.Err() != nil {
		return
	}
	l.post(func(l *loop) {
		p := l.probes[i.ID]
		if p == nil || p.task != i.Task() || n >= len(p.tallies) {
			return
		}
		p.quiet[n] = p.note(p.quiet[n], result.Heard)
		before := p.tallies[n]
		after := deploy.Tally(before, t.check, result, l.instances[i.ID].StartedAt, time.Now())
		if after == before {
			return
		}
		after.InstanceID = i.ID
		l.noteHealth(i, p, n, after)
		if before.Alive && !after.Alive {
			l.tell(Event{Kind: EventUnhealthy, App: i.App, Instance: i.ID, Task: i.Task(), Host: i.Host, Text: result.Cause})
		}
	})
}

// note takes over whether a question reached anybody. since is when questions of this kind began not to, and so is the
// answer.
func (p *probes) note(since time.Time, heard bool) time.Time {
	now := time.Now()
	p.contact = p.contact.Next(heard, now)
	switch {
	case heard:
		return time.Time{}
	case since.IsZero():
		return now
	}
	return since
}

// noteHealth takes over the result of a check and tells what changed with it.
func (l *loop) noteHealth(i deploy.Instance, p *probes, n int, after app.HealthResult) {
	before, known, healthy := p.tallies[n], p.probed[n], p.healthy()
	p.tallies[n], p.probed[n] = after, true
	if !after.Alive && after.ConsecutiveFailures > before.ConsecutiveFailures {
		l.emit(app.FailedHealthCheckEvent{AppID: i.App, TaskID: i.Task(), HealthCheck: p.checks[n]})
	}
	if !known || before.Alive != after.Alive {
		l.emit(app.HealthStatusChangedEvent{AppID: i.App, InstanceID: i.ID, TaskID: i.Task(), Version: i.Version, Alive: after.Alive})
	}
	if now := p.healthy(); healthy == nil || *healthy != *now {
		l.emit(app.InstanceHealthChangedEvent{InstanceID: i.ID, RunSpecID: i.App, Healthy: now, Version: i.Version})
	}
}

// healthy is whether all checks that have a result say alive; nil before the first result.
func (p *probes) healthy() *bool {
	results := p.results()
	if len(results) == 0 {
		return nil
	}
	all := !slices.ContainsFunc(results, func(r app.HealthResult) bool { return !r.Alive })
	return &all
}

// listen asks an agent whether it is there at all.
func (l *loop) listen(ctx context.Context, i deploy.Instance, check app.HealthCheck) {
	answered, heard := l.s.alive(ctx, i, check)
	if ctx.Err() != nil {
		return
	}
	l.post(func(l *loop) {
		if p := l.probes[i.ID]; p != nil && p.task == i.Task() {
			p.agentGone = p.note(p.agentGone, heard)
			p.silence = p.silence.Next(answered, check, l.instances[i.ID].StartedAt, time.Now())
		}
	})
}

// results are the results so far, none before the first probe has ended.
func (p *probes) results() []app.HealthResult {
	if p == nil {
		return nil
	}
	var results []app.HealthResult
	for n, r := range p.tallies {
		if p.probed[n] {
			results = append(results, r)
		}
	}
	return results
}

// health is what the checks say about every instance that is probed.
func (l *loop) health() map[app.InstanceID]deploy.Health {
	all := map[app.InstanceID]deploy.Health{}
	for id, p := range l.probes {
		all[id] = p.health(l.instances[id])
	}
	return all
}

// health is what the checks say. What one beside the task says counts before what the scheduler finds itself.
func (p *probes) health(i deploy.Instance) deploy.Health {
	h := deploy.Health{Healthy: true}
	if p == nil {
		return h
	}
	h.Contact = p.contact
	for n, check := range p.checks {
		h.Healthy = h.Healthy && p.probed[n] && p.tallies[n].Alive
		if p.probed[n] && !p.tallies[n].Alive && p.tallies[n].LastFailure != 0 {
			h.Failing = h.Failing || p.quiet[n].IsZero()
			h.Mute = later(h.Mute, p.quiet[n])
		}
		if h.Kill != "" && !h.Own {
			continue
		}
		if !deploy.ProbedHere(check) {
			if why := failedBeside(p.tallies[n], check); why != "" {
				h.Kill, h.Own, h.Sick, h.Quiet = why, false, time.Time{}, time.Time{}
			}
			continue
		}
		why, quiet := deploy.Exhausted(p.tallies[n], check), p.quiet[n]
		if i.Postgres {
			why, quiet = p.silence.TooLong(check), p.agentGone
		}
		if why == "" || h.Kill != "" && (h.Quiet.IsZero() || !quiet.IsZero()) {
			continue // an answer that is bad says more than none
		}
		h.Kill, h.Own, h.Quiet = why, true, quiet
		h.Sick = cmp.Or(p.tallies[n].LastSuccess, i.StartedAt).Time()
	}
	return h
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// failedBeside says why a task is to be killed for a check that runs beside it: the driver has counted its failures.
func failedBeside(r app.HealthResult, check app.HealthCheck) string {
	if check.MaxConsecutiveFailures == 0 || r.LastFailure == 0 || r.Alive {
		return ""
	}
	return "its " + string(check.Protocol) + " health check failed: " + r.LastFailureCause
}

// feel takes what the driver says of the checks that run beside a task. They count as one: the driver does not say which.
func (l *loop) feel(i deploy.Instance, s driver.Status) {
	if s.Healthy == nil || i.Task() != s.Task || !probable(i) {
		return
	}
	l.syncProbes()
	p := l.probes[i.ID]
	if p == nil {
		return
	}
	for n, check := range p.checks {
		if deploy.ProbedHere(check) || p.probed[n] && p.tallies[n].Alive == *s.Healthy {
			continue
		}
		after := p.tallies[n]
		after.InstanceID, after.Alive = i.ID, *s.Healthy
		if after.Alive {
			after.LastSuccess, after.ConsecutiveFailures = app.At(time.Now()), 0
			after.FirstSuccess = cmp.Or(after.FirstSuccess, after.LastSuccess)
		} else {
			after.LastFailure, after.LastFailureCause = app.At(time.Now()), s.Message
			after.ConsecutiveFailures = max(1, check.MaxConsecutiveFailures)
		}
		l.noteHealth(i, p, n, after)
	}
}
