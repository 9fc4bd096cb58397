package health

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The status codes of the answers.
const (
	ok          = 200
	badGateway  = 502
	unavailable = 503
)

// Answer is the answer to one GET. Body is empty where only the code counts.
type Answer struct {
	Code int
	Body []byte
}

// Get answers a read.
//
// Paths that have no meaning of their own are health checks by what they contain, as Patroni's are, so that
// /replica, /replica/ and /my-replica-check are the same question.
func Get(path string, query url.Values, s Snapshot, now time.Time) Answer {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "liveness":
		return Answer{Code: liveness(s, now)}
	case "readiness":
		return Answer{Code: readiness(query, s, now)}
	case "patroni":
		return Answer{Code: ok, Body: status(s, now)}
	case "cluster":
		if s.Seen.IsZero() {
			return Answer{Code: unavailable, Body: text("the DCS has not been read yet")}
		}
		return Answer{Code: ok, Body: picture(s)}
	case "config":
		return document(s.Cluster.Config.Data != nil, []byte(spaced(s.Cluster.Config.JSON())), "the DCS holds no configuration")
	case "failsafe":
		return document(s.Cluster.Failsafe != nil, render(s.Cluster.Failsafe), "the DCS holds no failsafe members")
	case "history":
		return Answer{Code: ok, Body: history(s)}
	}
	return Answer{Code: Check(path, query, s, now), Body: status(s, now)}
}

// Check is the status code of a health check.
func Check(path string, query url.Values, s Snapshot, now time.Time) int {
	if path == "" || path == "/" {
		path = "/primary"
	}
	code := checkRole(path, query, s, now)
	if code == ok && !strings.Contains(path, "leader") && !primaryPath(path) && !tagsMatch(query, s.Tags) {
		return unavailable
	}
	return code
}

func checkRole(path string, query url.Values, s Snapshot, now time.Time) int {
	switch {
	case strings.Contains(path, "standby_leader"), strings.Contains(path, "standby-leader"):
		return when(s.standbyLeader(now))
	case strings.Contains(path, "leader"):
		return when(s.leads(now))
	case primaryPath(path):
		return when(s.primary(now))
	case strings.Contains(path, "replica"):
		return when(replica(query, s))
	case strings.Contains(path, "read-only") && !strings.Contains(path, "sync") && !strings.Contains(path, "quorum"):
		return when(s.primary(now) || s.standbyLeader(now) || replica(query, s))
	case strings.Contains(path, "health"):
		return when(s.State == cluster.StateRunning)
	}
	return checkSync(path, query, s, now)
}

// checkSync answers the paths that ask whether commits wait for this member. Unlike the others they are matched as a whole.
// Who has not seen the DCS lately knows of no promise.
func checkSync(path string, query url.Values, s Snapshot, now time.Time) int {
	if !s.informed(now) {
		return unavailable
	}
	var wanted string
	switch path {
	case "/sync", "/synchronous", "/read-only-sync", "/read-only-synchronous":
		wanted = cluster.RoleSyncStandby
	case "/quorum", "/read-only-quorum":
		wanted = cluster.RoleQuorumStandby
	case "/async", "/asynchronous":
		wanted = string(cluster.RoleReplica)
	default:
		return unavailable
	}
	readOnly := strings.HasPrefix(path, "/read-only-")
	return when(readOnly && (s.primary(now) || s.standbyLeader(now)) || s.syncRole(now) == wanted && replica(query, s))
}

func primaryPath(path string) bool {
	return strings.Contains(path, "master") || strings.Contains(path, "primary") || strings.Contains(path, "read-write")
}

func when(good bool) int {
	if good {
		return ok
	}
	return unavailable
}

// replica reports whether the member may take reads.
func replica(query url.Values, s Snapshot) bool {
	if s.Role != cluster.RoleReplica || s.State != cluster.StateRunning || s.Tags.Bool("noloadbalance") {
		return false
	}
	if wanted := query.Get("replication_state"); wanted != "" && wanted != s.Server.ReplicationState {
		return false
	}
	limit, limited := lagLimit(query)
	return !limited || s.ahead() == 0 || s.Server.Replayed.Behind(s.ahead()) <= limit
}

// lagLimit reads ?lag=, in bytes or with a unit; what cannot be read sets no limit.
func lagLimit(query url.Values) (uint64, bool) {
	text := strings.TrimSpace(query.Get("lag"))
	digits := strings.TrimRight(text, "kKMGTBb")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, false
	}
	units := map[string]uint64{"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
	unit, known := units[text[len(digits):]]
	return n * unit, known
}

// tagsMatch applies ?tag_name=value: the tag must be there and have that value.
func tagsMatch(query url.Values, tags cluster.Tags) bool {
	for key, values := range query {
		name, isTag := strings.CutPrefix(key, "tag_")
		if !isTag {
			continue
		}
		if value, there := tags[name]; !there || len(values) == 0 || tagText(value) != values[0] {
			return false
		}
	}
	return true
}

func tagText(value any) string {
	if text, isText := value.(string); isText {
		return text
	}
	return strings.ToLower(strings.Trim(string(render(value)), `"`))
}

// liveness fails when the loop has not turned for longer than a ttl, or two on a replica: then something is
// stuck that only a restart of the agent frees. In pause nobody is to restart anything.
func liveness(s Snapshot, now time.Time) int {
	if s.Settings.Pause {
		return ok
	}
	patience := 2 * s.Settings.TTL
	if s.Role == cluster.RolePrimary && s.Server.Running {
		patience = s.Settings.TTL
	}
	return when(s.Next.Add(patience).After(now))
}

// readiness says whether the member does its part: it leads, or streams closely enough.
func readiness(query url.Values, s Snapshot, now time.Time) int {
	if s.leads(now) {
		return ok
	}
	if s.State != cluster.StateRunning || s.Server.ReplicationState != cluster.ReplicationStreaming {
		return unavailable
	}
	if s.Seen.IsZero() && s.Server.LatestEnd == 0 {
		return when(s.FailsafeActive)
	}
	limit, limited := lagLimit(query)
	if !limited {
		limit = s.Settings.MaximumLagOnFailover
	}
	at := s.Server.Replayed
	if query.Get("mode") == "write" {
		at = received(s.Server)
	}
	return when(at.Behind(s.ahead()) <= limit)
}

func received(s Server) wal.LSN { return max(s.Received, s.Replayed) }
