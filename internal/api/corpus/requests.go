package main

import "net/http"

// reads are what is asked of a member in every state.
func reads() []request {
	var all []request
	for _, path := range []string{
		"/", "/primary", "/master", "/read-write", "/leader", "/standby-leader", "/standby_leader", "/replica", "/read-only", "/health",
		"/sync", "/synchronous", "/async", "/asynchronous", "/quorum", "/read-only-sync", "/read-only-synchronous", "/read-only-quorum",
		"/patroni", "/cluster", "/history", "/config", "/failsafe", "/metrics", "/liveness", "/readiness",
		"/replica?lag=0", "/replica?lag=1MB", "/replica?lag=nonsense", "/replica?lag=-1", "/replica?tag_zone=a", "/replica?tag_zone=b",
		"/health?tag_zone=a", "/health?tag_rank=3", "/health?tag_clonefrom=true", "/health?tag_clonefrom=True", "/health?tag_zone=", "/primary?tag_zone=b",
		"/async?lag=1kB", "/my-replica-check", "/primary/further", "/nothing", "//replica", "/sync/", "/cluster/further",
	} {
		all = append(all, request{Method: http.MethodGet, Path: path})
	}
	for _, path := range []string{"/", "/primary", "/leader", "/replica", "/read-only", "/health", "/sync", "/nothing", "/patroni", "/liveness"} {
		all = append(all, request{Method: http.MethodHead, Path: path}, request{Method: http.MethodOptions, Path: path})
	}
	return all
}

// few are the reads that tell the most.
func few() []request {
	return []request{{Method: http.MethodGet, Path: "/patroni"}, {Method: http.MethodGet, Path: "/cluster"}, {Method: http.MethodGet, Path: "/metrics"}}
}

func send(method, path, body string) request {
	return request{Method: method, Path: path, Body: &body}
}

func post(path, body string) request { return send(http.MethodPost, path, body) }

// unreadable are requests that say nothing that can be acted on.
func unreadable() []request {
	var all []request
	for _, to := range []request{
		{Method: http.MethodPost, Path: "/switchover"},
		{Method: http.MethodPost, Path: "/failover"},
		{Method: http.MethodPatch, Path: "/config"},
		{Method: http.MethodPut, Path: "/config"},
		{Method: http.MethodPost, Path: "/mpp"},
		{Method: http.MethodPost, Path: "/citus"},
	} {
		all = append(all, to)
		for _, body := range []string{"", "{}", "[]", "null", "5", "{", `{"a"}`, "\xff"} {
			all = append(all, send(to.Method, to.Path, body))
		}
	}
	for _, body := range []string{"[]", "null", "{", "5"} {
		all = append(all, post("/restart", body))
	}
	return append(all,
		request{Method: http.MethodPost, Path: "/nothing"}, request{Method: http.MethodPut, Path: "/primary"}, request{Method: http.MethodDelete, Path: "/failover"},
		request{Method: http.MethodDelete, Path: "/config"}, request{Method: http.MethodPatch, Path: "/"}, request{Method: http.MethodPost, Path: "/"},
		request{Method: http.MethodPost, Path: "/failsafe"}, request{Method: http.MethodPost, Path: "/sigterm"}, request{Method: "BREW", Path: "/primary"},
		request{Method: http.MethodDelete, Path: "/restart"}, request{Method: http.MethodDelete, Path: "/switchover"}, request{Method: http.MethodPost, Path: "/reload"},
		post("/mpp", `{"type": "before_demote", "group": 1, "leader": "x", "timeout": 1, "cooldown": 1}`),
	)
}

const (
	later  = "2100-01-01T00:00:00+00:00"
	before = "2001-01-01T00:00:00+00:00"
)

// refused are requests of operators that a cluster does not grant, whatever its state.
func refused() []request {
	return []request{
		post("/switchover", `{"candidate": "n2"}`), post("/switchover", `{"leader": "n2"}`), post("/switchover", `{"leader": "n1", "candidate": "n1"}`),
		post("/switchover", `{"leader": "n1", "candidate": "n9"}`), post("/switchover", `{"leader": "n9", "candidate": "n2"}`),
		post("/switchover", `{"leader": "n1", "member": "n9"}`),
		post("/switchover", `{"leader": "n1", "scheduled_at": "`+before+`"}`), post("/switchover", `{"leader": "n1", "scheduled_at": "2100-01-01T00:00:00"}`),
		post("/switchover", `{"leader": "n1", "scheduled_at": "soon"}`), post("/switchover", `{"leader": "n1", "scheduled_at": 5}`),
		post("/switchover", `{"scheduled_at": "soon"}`), post("/switchover", `{"leader": "n1", "candidate": "n1", "scheduled_at": "soon"}`),
		post("/failover", `{"leader": "n1"}`), post("/failover", `{"candidate": "n9"}`), post("/failover", `{"candidate": "n2", "scheduled_at": "`+later+`"}`),
		post("/failover", `{"leader": "n1", "candidate": "n9"}`), post("/failover", `{"leader": "n2", "candidate": "n3"}`),
		post("/restart", `{"role": "boss"}`), post("/restart", `{"role": 5}`), post("/restart", `{"postgres_version": "15"}`),
		post("/restart", `{"postgres_version": "x.y"}`), post("/restart", `{"timeout": 0}`), post("/restart", `{"timeout": "-5"}`),
		post("/restart", `{"timeout": "x"}`), post("/restart", `{"timeout": null}`), post("/restart", `{"colour": "red"}`),
		post("/restart", `{"colour": "red", "role": "boss"}`), post("/restart", `{"role": "boss", "colour": "red"}`),
		post("/restart", `{"schedule": "`+before+`"}`), post("/restart", `{"schedule": "2100-01-01T00:00:00"}`), post("/restart", `{"schedule": "soon"}`),
		post("/restart", `{"schedule": null}`), post("/restart", `{"postgres_version": "9.6.1"}`), post("/restart", `{"restart_pending": true}`),
	}
}

// changes are changes of the dynamic configuration that leave it as it was in the end.
func changes() []request {
	return []request{
		send(http.MethodPatch, "/config", `{"maximum_lag_on_failover": 2097152}`), send(http.MethodPatch, "/config", `{"maximum_lag_on_failover": 2097152}`),
		send(http.MethodPatch, "/config", `{"maximum_lag_on_failover": null}`), send(http.MethodPatch, "/config", `{"nothing": null}`),
		send(http.MethodPatch, "/config", `{"postgresql": {"parameters": {"work_mem": "5MB"}}}`), send(http.MethodPatch, "/config", `{"slots": {"é": null, "<&>": {}}}`),
		send(http.MethodPatch, "/config", `{"postgresql": {"parameters": null}, "slots": null}`),
		send(http.MethodPut, "/config", `{"ttl": 20, "loop_wait": 1, "retry_timeout": 3}`),
	}
}

// schedules schedule what is deleted again.
func schedules() []request {
	return []request{
		post("/switchover", `{"leader": "n1", "candidate": "n2", "scheduled_at": "`+later+`"}`),
		post("/restart", `{"schedule": "`+later+`", "role": "primary"}`), post("/restart", `{"schedule": "`+later+`"}`),
	}
}

// times are schedules in all the forms in which people write a time.
func times() []request {
	var all []request
	for _, at := range []string{
		"2100-01-01T10:00:00+00:00", "2100-01-01T10:00:00Z", "2100-01-01T10:00Z", "2100-01-01 10:00+02", "2100-01-01 10:00 +0200", "2100-01-01T10:00:00.5Z",
		"2100-01-01T10:00:00.123456789Z", "2100-01-01 10:00 UTC", "2100-01-01 10:00:00 GMT", "2100-01-01T10:00:00z", "21000101T100000Z", "2100-01-01Z",
		"2100-01-01", "10:00Z", "Fri, 01 Jan 2100 10:00:00 GMT", "Fri, 01 Jan 2100 10:00:00 +0000", "1 Jan 2100 10:00 UTC", "January 1, 2100 10:00 +01:00",
		"2100-13-01T10:00:00Z", "2100-02-30T10:00:00Z", "2100-01-01T25:00:00Z", " 2100-01-01T10:00:00Z ", "now", "2100", "4102480800",
	} {
		all = append(all, post("/restart", `{"schedule": "`+at+`"}`), request{Method: http.MethodDelete, Path: "/restart"})
	}
	return all
}

func deletions() []request {
	return []request{
		{Method: http.MethodDelete, Path: "/switchover"},
		{Method: http.MethodDelete, Path: "/switchover"},
		{Method: http.MethodDelete, Path: "/restart"},
		{Method: http.MethodDelete, Path: "/restart"},
	}
}

// failsafe are the questions of a primary without the DCS.
func failsafe() []request {
	return []request{
		{Method: http.MethodGet, Path: "/failsafe"},
		{Method: http.MethodPost, Path: "/failsafe"},
		post("/failsafe", "{}"), post("/failsafe", "x"),
		post("/failsafe", `{"name": "n1", "conn_url": "postgres://127.0.0.1:5432/postgres", "api_url": "http://127.0.0.1:8008/patroni"}`),
	}
}

// access are requests with and without a login.
func access() []request {
	const right, wrong = "Basic bWU6c2VjcmV0", "Basic bWU6c2VjcmV1"
	var all []request
	for _, login := range []string{"", right, wrong, "Basic ", "Bearer x", "basic bWU6c2VjcmV0"} {
		all = append(all,
			request{Method: http.MethodPost, Path: "/reload", Login: login}, request{Method: http.MethodDelete, Path: "/restart", Login: login},
			request{Method: http.MethodPatch, Path: "/config", Login: login}, request{Method: http.MethodGet, Path: "/config", Login: login},
			request{Method: http.MethodPost, Path: "/mpp", Login: login}, request{Method: http.MethodPost, Path: "/failsafe", Login: login},
			request{Method: http.MethodPost, Path: "/nothing", Login: login},
		)
	}
	return all
}
