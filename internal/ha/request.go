package ha

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// requested begins what an operator asked for.
func requested(mem *Memory, v View) (Decision, bool) {
	r, ok := due(v)
	if !ok {
		return Decision{}, false
	}
	switch r.Kind {
	case RequestRestart:
		return restart(mem, v, r)
	case RequestReinitialize:
		if leader := v.Cluster.Leader.Name; leader == "" || leader == v.Self.Name {
			// The key may be an earlier life's: the newest data are here all the same.
			return refuse(r, "only a replica of a cluster that has a leader can be reinitialized")
		}
		return job("reinitialize was requested", Job{Kind: JobReinitialize, Member: v.Cluster.Leader.Name, Request: r.ID}), true
	}
	return Decision{}, false
}

// due is the first request whose time has come. In pause what was scheduled waits.
func due(v View) (Request, bool) {
	for _, r := range v.Requests {
		if r.At.IsZero() || !r.At.After(v.Now) && !v.Settings.Pause {
			return r, true
		}
	}
	return Request{}, false
}

// scheduledIn is the time until the next scheduled request; zero when there is none.
func scheduledIn(v View) time.Duration {
	var next time.Duration
	for _, r := range v.Requests {
		if r.At.After(v.Now) && !v.Settings.Pause {
			next = shorter(next, r.At.Sub(v.Now))
		}
	}
	return next
}

// refuse answers a request that is not granted.
func refuse(r Request, why string) (Decision, bool) {
	return do(why, Refuse{Request: r.ID, Why: why}).again(), true
}

// restart only ever takes a running server, in the role it has. What becomes of one that is down is for other rules to
// decide: started as it is, a former primary would be one again (rule S4).
func restart(mem *Memory, v View, r Request) (Decision, bool) {
	if why := outdated(v, r); why != "" {
		return refuse(r, why)
	}
	switch {
	case foreign(v) && !v.Settings.Pause:
		return Decision{}, false // what becomes of another cluster's data is for the identity rule to say
	case v.Server.Data != DataCluster:
		return refuse(r, "there is no server to restart")
	case v.Server.Process == Stopped:
		return refuse(r, "the server is down: the agent starts it as soon as it may")
	case v.Server.Process != Running, v.Server.Primary() && !v.mayWrite():
		return Decision{}, false // soon: it comes up, or takes the leader key back
	}
	if why := unmet(v, r); why != "" {
		return refuse(r, why)
	}
	why := "restart was requested"
	if !r.At.IsZero() {
		why = "the scheduled restart is due"
	}
	if d, wait := release(mem, v, why); wait {
		return d, true
	}
	return job(why, Job{Kind: JobRestart, Primary: v.Server.Primary(), Hold: v.Server.Primary() && strict(v), Request: r.ID, Timeout: r.Timeout}), true
}

// outdated says why a scheduled restart is not meant any more; empty when it is.
func outdated(v View, r Request) string {
	switch {
	case r.At.IsZero():
		return ""
	case !r.StartedAt.IsZero() && !v.Server.Started.IsZero() && !r.StartedAt.Equal(v.Server.Started):
		return "the server was restarted since the restart was scheduled"
	case v.Now.Sub(r.At) > v.Settings.LoopWait+v.Settings.LoopWait/2:
		return "the scheduled restart is long past"
	}
	return ""
}

// unmet says which condition of a restart the server does not meet; empty when it meets all.
func unmet(v View, r Request) string {
	switch {
	case r.Role != "" && r.Role != roleNow(v):
		return "the server is no " + string(r.Role)
	case r.Below != 0 && v.Server.Version >= r.Below:
		return "the server has that version, or a later one, already"
	case r.Pending && !v.Server.PendingRestart:
		return "no setting waits for a restart"
	}
	return ""
}

// roleNow is the role of the running server as a restart names it.
func roleNow(v View) cluster.Role {
	switch {
	case v.Server.Primary():
		return cluster.RolePrimary
	case v.leading() && v.Settings.Standby.Active():
		return cluster.RoleStandbyLeader
	}
	return cluster.RoleReplica
}
