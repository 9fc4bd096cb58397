package run

import (
	"maps"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// shunFor is how long a host is avoided where a task of the app has failed.
const shunFor = 10 * time.Minute

// shunned are the hosts that the tasks of apps had better not go to, with the time of the last failure there. A host that starts
// nothing, for its disk is full or its container daemon broken, is the emptiest of all, and would be preferred for ever. It is
// kept in memory only: a scheduler that does not know it finds out.
type shunned map[app.ID]map[string]app.Timestamp

// fail notes that a task of the app has failed on a host, or that no volume could be made there.
func (s shunned) fail(id app.ID, host string, at app.Timestamp) {
	if host == "" {
		return
	}
	for other, hosts := range s { // what is over, of apps that may be no more
		if maps.DeleteFunc(hosts, func(_ string, then app.Timestamp) bool { return over(then, at.Time()) }); len(hosts) == 0 {
			delete(s, other)
		}
	}
	if s[id] == nil {
		s[id] = map[string]app.Timestamp{}
	}
	s[id][host] = at
}

// note notes a failure, if there is one. Who ran for long has not failed for its host.
func (s shunned) note(old, now deploy.Instance) {
	if now.Failures > old.Failures && now.FailedSoon() {
		s.fail(now.App, now.Host, now.EndedAt)
	}
}

// hosts are those that an app avoids now. A new configuration avoids none.
func (s shunned) hosts(def app.App, now time.Time) map[string]bool {
	var list map[string]bool
	for host, at := range s[def.ID] {
		if at < def.VersionInfo.LastConfigChangeAt || over(at, now) {
			continue
		}
		if list == nil {
			list = map[string]bool{}
		}
		list[host] = true
	}
	return list
}

func over(failure app.Timestamp, now time.Time) bool { return now.Sub(failure.Time()) > shunFor }
