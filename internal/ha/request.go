package ha

// requested begins what an operator asked for.
func requested(_ *Memory, v View) (Decision, bool) {
	if len(v.Requests) == 0 {
		return Decision{}, false
	}
	r := v.Requests[0]
	switch r.Kind {
	case RequestRestart:
		return restart(v, r)
	case RequestReinitialize:
		if leader := v.Cluster.Leader.Name; leader == "" || leader == v.Self.Name {
			// The key may be an earlier life's: the newest data are here all the same.
			why := "only a replica of a cluster that has a leader can be reinitialized"
			return do(why, Refuse{Request: r.ID, Why: why}).again(), true
		}
		return job("reinitialize was requested", Job{Kind: JobReinitialize, Member: v.Cluster.Leader.Name, Request: r.ID}), true
	}
	return Decision{}, false
}

// restart only ever takes a running server, in the role it has. What becomes of one that is down is for other rules to
// decide: started as it is, a former primary would be one again (rule S4).
func restart(v View, r Request) (Decision, bool) {
	refuse := func(why string) (Decision, bool) { return do(why, Refuse{Request: r.ID, Why: why}).again(), true }
	switch {
	case v.Server.Data != DataCluster:
		return refuse("there is no server to restart")
	case v.Server.Process == Stopped:
		return refuse("the server is down: the agent starts it as soon as it may")
	case v.Server.Process != Running, v.Server.Primary() && !v.mayWrite():
		return Decision{}, false // soon: it comes up, or takes the leader key back
	}
	return job("restart was requested", Job{Kind: JobRestart, Primary: v.Server.Primary(), Request: r.ID}), true
}
