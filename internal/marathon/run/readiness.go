package run

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// readiness is the readiness check of one running task.
type readiness struct {
	task   app.TaskID
	app    app.ID
	cancel context.CancelFunc // nil once it has passed
	result app.ReadinessResult
}

// Readiness are the results of the readiness check of an app while a deployment touches it, sorted by task.
func (s *Scheduler) Readiness(id app.ID) []app.ReadinessResult {
	return slices.Clone(s.picture.Load().readiness[id])
}

// syncReadiness asks the tasks of apps that a deployment touches whether they are ready, until they say so once.
func (l *loop) syncReadiness() {
	touched := map[app.ID]bool{}
	for _, d := range l.defs.Deployments {
		for _, id := range d.AffectedApps {
			touched[id] = len(l.defs.Apps[id].ReadinessChecks) > 0
		}
	}
	for id, r := range l.readiness {
		i, there := l.instances[id]
		if !there || !probable(i) || i.Task() != r.task || !touched[r.app] {
			if r.cancel != nil {
				r.cancel()
			}
			delete(l.readiness, id)
		}
	}
	for id, i := range l.instances {
		if !there(l.ready, id, i) {
			delete(l.ready, id)
		}
		if touched[i.App] && probable(i) && l.readiness[id] == nil {
			l.startReadiness(i, l.defs.Apps[i.App])
		}
	}
}

// there reports whether what was found about a task is about the one that runs.
func there(ready map[app.InstanceID]bool, id app.InstanceID, i deploy.Instance) bool {
	return !ready[id] || probable(i)
}

func (l *loop) startReadiness(i deploy.Instance, def app.App) {
	check := def.ReadinessChecks[0]
	r := &readiness{task: i.Task(), app: i.App, result: app.ReadinessResult{Name: check.Name, TaskID: i.Task(), Ready: l.ready[i.ID]}}
	l.readiness[i.ID] = r
	if r.result.Ready {
		return
	}
	ctx, cancel := context.WithCancel(l.ctx)
	r.cancel = cancel
	url := strings.ToLower(check.Protocol) + "://" + net.JoinHostPort(i.Address, strconv.Itoa(namedPort(def, i, check.PortName))) +
		"/" + strings.TrimPrefix(check.Path, "/")
	interval := time.Duration(max(check.IntervalSeconds, 1)) * time.Second
	l.work.Go(func() { l.repeat(ctx, interval, 0, func() { l.askReady(ctx, i, check, url) }) })
}

// namedPort is the host port of the port with that name.
func namedPort(def app.App, i deploy.Instance, name string) int {
	for n, p := range def.Ports() {
		if p.Name == name && n < len(i.Ports) {
			return i.Ports[n]
		}
	}
	return 0
}

// askReady asks a task once whether it is ready.
func (l *loop) askReady(ctx context.Context, i deploy.Instance, check app.ReadinessCheck, url string) {
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(max(check.TimeoutSeconds, 1))*time.Second, errProbeTimeout)
	defer cancel()
	answer, err := fetch(limited, l.s.cfg.Dial, check.PreserveLastResponse, url)
	if ctx.Err() != nil {
		return
	}
	l.post(func(l *loop) {
		r := l.readiness[i.ID]
		if r == nil || r.task != i.Task() || r.result.Ready {
			return
		}
		if check.PreserveLastResponse && err == nil {
			r.result.LastResponse = &answer
		}
		if err == nil && slices.Contains(check.HTTPStatusCodesForReady, answer.Status) {
			r.result.Ready, l.ready[i.ID] = true, true
			r.cancel()
			r.cancel = nil
		}
	})
}

// readinessResults are the results for the picture.
func (l *loop) readinessResults() map[app.ID][]app.ReadinessResult {
	all := map[app.ID][]app.ReadinessResult{}
	for _, id := range slices.Sorted(maps.Keys(l.readiness)) {
		r := l.readiness[id]
		all[r.app] = append(all[r.app], r.result)
	}
	return all
}
