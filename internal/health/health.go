package health

import (
	"cmp"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// The status codes of the answers.
const (
	ok          = 200
	badGateway  = 502
	unavailable = 503
)

// The types of the bodies.
const (
	typeJSON = "application/json"
	typeText = "text/plain"
	typeHTML = "text/html" // what Patroni calls its sentences
)

// Answer is the answer to one GET. Body and Type are empty where only the code counts.
type Answer struct {
	Code int
	Body []byte
	Type string
}

// Page is what a path shows.
type Page int

// The pages. Every path that has no meaning of its own is a health check, which shows the status document.
const (
	PageCheck Page = iota
	PageLiveness
	PageReadiness
	PagePatroni
	PageCluster
	PageConfig
	PageFailsafe
	PageHistory
	PageMetrics
)

// PageOf is the page of a path: its first segment decides.
func PageOf(path string) Page {
	first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	switch first {
	case "liveness":
		return PageLiveness
	case "readiness":
		return PageReadiness
	case "patroni":
		return PagePatroni
	case "cluster":
		return PageCluster
	case "config":
		return PageConfig
	case "failsafe":
		return PageFailsafe
	case "history":
		return PageHistory
	case "metrics":
		return PageMetrics
	}
	return PageCheck
}

// Get answers a read.
//
// Paths that have no meaning of their own are health checks by what they contain, as Patroni's are, so that
// /replica, /replica/ and /my-replica-check are the same question.
func Get(path string, query url.Values, s Snapshot, now time.Time) Answer {
	switch PageOf(path) {
	case PageLiveness, PageReadiness:
		return Answer{Code: Code(path, query, s, now)}
	case PageCluster:
		if s.Seen.IsZero() {
			return Answer{unavailable, text("the DCS has not been read yet"), typeHTML}
		}
		return Answer{ok, picture(s), typeJSON}
	case PageConfig:
		return document(s.Cluster.Config.Data != nil, spaced([]byte(s.Cluster.Config.JSON())), "the DCS holds no configuration")
	case PageFailsafe:
		return document(s.Cluster.Failsafe != nil, render(s.Cluster.Failsafe), "the DCS holds no failsafe members")
	case PageHistory:
		return Answer{ok, history(s), typeJSON}
	case PageMetrics:
		return Answer{ok, metrics(s, now), typeText}
	case PageCheck, PagePatroni:
	}
	return Answer{Code(path, query, s, now), Status(s, now), typeJSON}
}

// Code is the status code of a read.
func Code(path string, query url.Values, s Snapshot, now time.Time) int {
	switch PageOf(path) {
	case PageLiveness:
		return liveness(s, now)
	case PageReadiness:
		return readiness(query, s, now)
	case PageCheck:
		return check(path, query, s, now)
	case PageCluster, PageConfig, PageFailsafe:
		return Get(path, query, s, now).Code
	case PagePatroni, PageHistory, PageMetrics:
	}
	return ok
}

// check is the status code of a health check.
func check(path string, query url.Values, s Snapshot, now time.Time) int {
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
		return when(s.state() == cluster.StateRunning)
	}
	return checkSync(path, query, s, now)
}

// checkSync answers the paths that ask whether commits wait for this member. Unlike the others they are matched as a whole.
// Who has not seen the DCS lately knows of no promise.
func checkSync(path string, query url.Values, s Snapshot, now time.Time) int {
	if !s.Informed(now) {
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
	if s.Role != cluster.RoleReplica || s.state() != cluster.StateRunning || s.Tags.Bool("noloadbalance") {
		return false
	}
	if wanted := first(query, "replication_state"); wanted != "" && wanted != s.Server.ReplicationState {
		return false
	}
	limit, limited := lagLimit(query)
	return !limited || s.ahead() == 0 || !behind(s.Server.Replayed, s.ahead(), limit)
}

// first is the value of a parameter that counts: the first one that is not empty.
func first(query url.Values, name string) string {
	for _, value := range query[name] {
		if value != "" {
			return value
		}
	}
	return ""
}

// behind reports whether a position lacks more than so many bytes; less than none asks for one that is so far ahead.
func behind(at, other wal.LSN, limit int64) bool {
	if limit < 0 {
		return other.Behind(at) < uint64(-limit)
	}
	return at.Behind(other) > uint64(limit)
}

// lagLimit reads ?lag=, in bytes or with a unit as PostgreSQL's settings have it; what cannot be read sets no limit.
func lagLimit(query url.Values) (int64, bool) {
	text := first(query, "lag")
	if text == "" {
		return 0, false
	}
	n, known := guc.ParseReal(text, "B")
	if !known || math.Abs(n) >= math.MaxInt64 {
		return 0, false
	}
	return int64(math.RoundToEven(n)), true
}

// tagsMatch applies ?tag_name=value: the tag must be there and have that value.
func tagsMatch(query url.Values, tags cluster.Tags) bool {
	for key := range query {
		name, isTag := strings.CutPrefix(key, "tag_")
		wanted := first(query, key)
		if !isTag || wanted == "" {
			continue
		}
		if value := tags[name]; value == nil || tagText(value) != wanted {
			return false
		}
	}
	return true
}

func tagText(value any) string {
	if text, isText := value.(string); isText {
		return text
	}
	return strings.ToLower(string(render(value)))
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
	if s.state() != cluster.StateRunning || s.Server.ReplicationState != cluster.ReplicationStreaming {
		return unavailable
	}
	if s.Seen.IsZero() && s.Server.LatestEnd == 0 {
		return when(s.FailsafeActive)
	}
	limit, limited := lagLimit(query)
	if !limited {
		limit = int64(min(s.Settings.MaximumLagOnFailover, math.MaxInt64))
	}
	at := s.Server.Replayed
	if first(query, "mode") == "write" {
		at = received(s.Server)
	}
	return when(!behind(at, s.ahead(), limit))
}

// received is the position up to which a standby has received WAL. One that restores from an archive alone receives nothing.
func received(s Server) wal.LSN { return cmp.Or(s.Received, s.Replayed) }
