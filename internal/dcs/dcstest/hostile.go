package dcstest

import "strings"

// Hostile are values that anybody who may write to the DCS can put into any of its keys, each of which breaks a parser
// that trusts it. They are short, for fuzzing; see Deep.
func Hostile() []string {
	return []string{
		"", " ", "null", "true", "0", "-1", "1e400", "NaN", "Infinity", "18446744073709551616", `"`, `""`, "[]", "{}", "[[]]", "[[1]]", "{", "\x00", "\xff\xfe", "a:b", "::",
		// The dynamic configuration.
		`{"ttl":1e400}`, `{"ttl":-5,"loop_wait":"x","retry_timeout":[],"maximum_lag_on_failover":1e308}`, `{"ttl":9223372036854775807,"loop_wait":9223372036854775807}`,
		`{"ttl":2147483647,"retry_timeout":1000000000,"failsafe_mode":"on"}`, `{"ttl":0,"loop_wait":0,"retry_timeout":0,"maximum_lag_on_failover":-1}`,
		`{"postgresql":[],"slots":7,"ignore_slots":{"a":1},"standby_cluster":"x","pause":{},"synchronous_mode":[1]}`,
		`{"postgresql":{"parameters":[],"use_slots":{},"pg_hba":{}},"synchronous_mode":"quorum","synchronous_mode_strict":1,"synchronous_node_count":1e300}`,
		`{"slots":{"":{},"A-B":{"type":"logical"},"x":null,"y":[],"z":{"type":1,"database":[],"plugin":-1}},"ignore_slots":[1,{},{"name":5}]}`,
		`{"member_slots_ttl":"9e99d","primary_start_timeout":-1e300,"synchronous_node_count":-1,"primary_race_backoff":"1e3","master_start_timeout":{}}`,
		// Status and the promise of synchronous mode.
		`{"optime":-1,"slots":{"a":-5,"b":1.5,"c":"x","d":18446744073709551615},"retain_slots":[1,null,"x"]}`, `{"optime":1e400,"slots":"{","retain_slots":"[]"}`,
		`{"optime":18446744073709551615}`, `{"leader":"a","quorum":-1,"sync_standby":",,,b, b,*"}`, `{"leader":{},"quorum":1e400,"sync_standby":["b"]}`,
		`{"leader":"\ud800","sync_standby":"\u0000"}`, `{"leader":"n1","quorum":9223372036854775807,"sync_standby":"n1,n1,N2"}`,
		// The history of timelines.
		`[[1,2,"x","y","z",5]]`, `[[-1,-2],[0,0],[4294967296,1],[1e400,1],[1,"0/1"],null,{},[[],[]]]`, `[[4294967295,1,"","","n2"]]`, `[[9,18446744073709551615,"x","y","n2"],[1,1]]`,
		// Members.
		`{"conn_url":"postgres://[::","api_url":"http://%zz","state":7,"role":{},"tags":[],"timeline":-1,"xlog_location":1e400}`,
		`{"conn_url":"postgres://h:99999/x","tags":{"failover_priority":1e300,"nofailover":"x","replicatefrom":[]},"xlog_location":-5,"scheduled_restart":"x"}`,
		`{"conn_url":"postgres://n2:5432/postgres","api_url":"http://n2:8008/patroni","role":"primary","state":"running","timeline":4294967295,"xlog_location":9223372036854775807,"tags":{"replicatefrom":"n2"}}`,
		`{"scheduled_restart":{"schedule":5,"postgres_version":[]},"pending_restart_reason":{"a":1},"checkpoint_after_promote":"no"}`,
		`{"scheduled_restart":{"schedule":"0000-00-00T00:00:00Z","role":"primary","timeout":"-1e9"}}`, "postgres://u:p@h/db?application_name=http://x", "postgres://%zz",
		// What operators ask, and failsafe_mode.
		`{"leader":"n1","member":"n2","scheduled_at":"9999999-99-99"}`, `{"leader":"n1","member":"n1"}`, `{"member":"\u0000"}`, `{"leader":"n1"}`, "n1:n2", `{"leader":[],"member":{},"scheduled_at":1e400}`,
		`{"n1":"http://x","b":1,"c":null}`, `{"n2":"file:///etc/passwd","n1":"\u0000"}`,
	}
}

// Deep are values that are hostile by their size.
func Deep() []string {
	r := strings.Repeat
	return []string{
		r("[", 12000), r(`{"a":`, 12000), r(`{"a":`, 9000) + "1" + r("}", 9000), r("[", 9000) + r("]", 9000), r("9", 1<<16), `{"ttl":` + r("9", 1<<16) + "}",
		`{"leader":"` + r("n", 1<<20) + `"}`, `{"slots":{` + r(`"x":{},`, 1<<16) + `"y":{}}}`, "[" + r("[1,1],", 1<<16) + "[1,1]]",
	}
}
