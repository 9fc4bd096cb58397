package deploy

import "github.com/pgbaton/pgbaton/internal/marathon/app"

// ready reports whether the readiness check of the app lets a deployment go on with this instance. It is asked of tasks
// that the deployment started; what ran before was ready then.
func (v *view) ready(i Instance) bool {
	if len(v.def.ReadinessChecks) == 0 || v.state.Ready[i.ID] {
		return true
	}
	started := i.StagedAt >= app.At(v.since) || v.restart && !i.outdated(v.def)
	return v.since.IsZero() || !started
}
