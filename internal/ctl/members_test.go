package ctl

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// apis answer like the agents of a cluster and keep what they were sent.
type apis struct {
	mu    sync.Mutex
	sent  []string
	reply map[string]string // "METHOD /path" → "code text"
	c     cluster.Cluster
}

// members is the picture of a cluster whose agents answer: "code text" by member, method and path, as "node1 POST /restart",
// or by method and path alone.
func members(t *testing.T, replies map[string]string) *apis {
	t.Helper()
	a := &apis{reply: replies, c: picture("")}
	for i := range a.c.Members {
		name := strings.TrimPrefix(a.c.Members[i].Name, "patroni-")
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			what := r.Method + " " + r.URL.Path
			a.mu.Lock()
			defer a.mu.Unlock()
			a.sent = append(a.sent, strings.TrimSpace(name+" "+what+" "+string(body)))
			reply, ok := a.reply[name+" "+what]
			if !ok {
				reply = a.reply[what]
			}
			code, text := 501, ""
			if _, err := fmt.Sscanf(reply, "%d", &code); err == nil {
				_, text, _ = strings.Cut(reply, " ")
			}
			w.WriteHeader(code)
			w.Write([]byte(text))
		}))
		t.Cleanup(s.Close)
		a.c.Members[i].APIURL = s.URL + "/patroni"
	}
	return a
}

// typed runs a command and compares what was sent and what was printed after the list of members.
func (a *apis) typed(t *testing.T, input, args string, sent []string, printed string) {
	t.Helper()
	a.sent = nil
	out, err := run(t, a.c, input, strings.Fields(args)...)
	if err != nil {
		out += "Error: " + err.Error() + "\n"
	}
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, " ") {
			lines = append(lines, line)
		}
	}
	if diff := cmp.Diff(printed, strings.Join(lines, "")); diff != "" {
		t.Errorf("%s: printed %s", args, diff)
	}
	if diff := cmp.Diff(sent, a.sent); diff != "" {
		t.Errorf("%s: sent %s", args, diff)
	}
}

func TestRestart(t *testing.T) {
	a := members(t, map[string]string{
		"POST /restart": "200 restarted successfully", "node2 POST /restart": "503 restart conditions are not satisfied", "DELETE /restart": "200 gone",
	})
	const scope = "restart postgresql-cluster "
	a.typed(t, "", scope+"patroni-node1 --force", []string{"node1 POST /restart {}"}, "Success: restart on member patroni-node1\n")
	a.typed(t, "", scope+"--role replica --pg-version 15.3 --timeout 10 --force", []string{
		`node2 POST /restart {"postgres_version":"15.3","timeout":"10"}`, `node3 POST /restart {"postgres_version":"15.3","timeout":"10"}`,
	}, "Failed: restart for member patroni-node2, status code=503, (restart conditions are not satisfied)\nSuccess: restart on member patroni-node3\n")
	a.typed(t, "\ny\n\n", scope+"patroni-node3", []string{"node3 POST /restart {}"}, "When should the restart take place (e.g. 2026-01-02T04:04)  [now]: "+
		"Are you sure you want to restart members patroni-node3? [y/N]: Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: "+
		"Success: restart on member patroni-node3\n")
	a.typed(t, "\nn\n", scope+"patroni-node3", nil, "When should the restart take place (e.g. 2026-01-02T04:04)  [now]: "+
		"Are you sure you want to restart members patroni-node3? [y/N]: Error: Aborted restart\n")
	a.typed(t, "", scope+"stranger --force", nil, "Error: No 'any' among provided members\n")
	a.typed(t, "", scope+"patroni-node1 --role replica --force", nil, "Error: No 'replica' among provided members\n")
	a.typed(t, "", scope+"--role boss --force", nil,
		"Error: invalid argument \"boss\" for \"-r, --role\" flag: \"boss\" is not one of leader, primary, standby-leader, replica, standby, any\n")
	a.typed(t, "", scope+"patroni-node3 --pg-version 15 --force", nil, "Error: Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 15\n")
	a.typed(t, "", scope+"patroni-node3 --scheduled soon --force", nil,
		"Error: Unable to parse scheduled timestamp (soon). It should be in an unambiguous format (e.g. ISO 8601)\n")
	a.typed(t, "", scope+"--pending --force", nil, "No setting waits for a restart\n")
	a.c.Members[1].PendingRestart = true
	a.typed(t, "", scope+"--pending --force", []string{`node2 POST /restart {"restart_pending":true}`},
		"Failed: restart for member patroni-node2, status code=503, (restart conditions are not satisfied)\n")
}

func TestRestartOfOneOfThem(t *testing.T) {
	a := members(t, map[string]string{"POST /restart": "200 restarted successfully"})
	if _, err := run(t, a.c, "", "restart", "postgresql-cluster", "--any", "--force"); err != nil || len(a.sent) != 1 {
		t.Errorf("%v, sent %q", err, a.sent)
	}
}

func TestScheduledRestart(t *testing.T) {
	a := members(t, map[string]string{
		"POST /restart": "202 Restart scheduled", "node3 POST /restart": "409 Another restart is already scheduled", "DELETE /restart": "200 scheduled restart deleted",
	})
	const when, at = "--scheduled 2030-01-01T03:00+01:00", `{"schedule":"2030-01-01T03:00:00+01:00"}`
	a.typed(t, "", "restart postgresql-cluster -r replica --force "+when, []string{"node2 POST /restart " + at, "node3 POST /restart " + at},
		"Success: restart scheduled on member patroni-node2\nFailed: another restart is already scheduled on member patroni-node3\n")
	a.typed(t, "y\n\n", "restart postgresql-cluster patroni-node2 "+when, []string{"node2 POST /restart " + at},
		"Are you sure you want to schedule restart of members patroni-node2 at 2030-01-01T03:00:00+01:00? [y/N]: "+
			"Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: Success: restart scheduled on member patroni-node2\n")
	a.typed(t, "n\n", "restart postgresql-cluster patroni-node2 --pending "+when, nil,
		"The nodes needing a restart will be identified at the scheduled time, and might be different from the ones showing pending restart right now. "+
			"Is this fine? [y/N]: Error: Aborted scheduled restart\n")
	a.c.Members[1].Restart = &cluster.ScheduledRestart{Schedule: "2029-01-01T00:00:00Z", Version: "15.3"}
	a.typed(t, "", "restart postgresql-cluster patroni-node2 --force "+when, []string{"node2 DELETE /restart", "node2 POST /restart " + at},
		"Success: restart scheduled on member patroni-node2\n")
	out, err := run(t, a.c, "", "list", "-f", "tsv")
	if err != nil || !strings.Contains(out, "\t2029-01-01T00:00:00Z if version < 15.3\t") {
		t.Errorf("%v\n%s", err, out)
	}
	a.typed(t, "", "flush postgresql-cluster restart --force -r replica", []string{"node2 DELETE /restart"},
		"Success: flush scheduled restart for member patroni-node2\nNo scheduled restart for member patroni-node3\n")
	a.c.Config.Data = map[string]any{"pause": true}
	a.typed(t, "", "restart postgresql-cluster patroni-node2 --force "+when, nil, "Error: Can't schedule restart in the paused state\n")
	a.typed(t, "", "switchover --force "+when, nil, "Current cluster topology\nError: Can't schedule switchover in the paused state\n")
}

func TestFlushSwitchover(t *testing.T) {
	a := members(t, map[string]string{"node1 DELETE /switchover": "200 scheduled switchover deleted"})
	a.typed(t, "", "flush postgresql-cluster switchover", nil, "No pending scheduled switchover\n")
	a.c.Failover = cluster.Failover{Leader: "patroni-node1", ScheduledAt: "2030-01-01T00:00:00Z"}
	a.typed(t, "", "flush postgresql-cluster switchover", []string{"node1 DELETE /switchover"}, "Success: scheduled switchover deleted\n")
	a.reply = map[string]string{"DELETE /switchover": "404 no switchover is scheduled"}
	a.typed(t, "", "flush postgresql-cluster switchover", []string{"node1 DELETE /switchover"}, "Failed: no switchover is scheduled\n")
	a.typed(t, "", "flush postgresql-cluster dinner", nil, "Error: nothing named \"dinner\" is ever scheduled: choose restart or switchover\n")
}

func TestPauseAndResume(t *testing.T) {
	a := members(t, map[string]string{"PATCH /config": "200 {}"})
	a.typed(t, "", "pause", []string{`node1 PATCH /config {"pause":true}`}, "Success: cluster management is paused\n")
	a.typed(t, "", "resume", nil, "Error: Cluster is not paused\n")
	a.c.Config.Data = map[string]any{"pause": true, "loop_wait": 1}
	for i := range a.c.Members {
		a.c.Members[i].Pause = true
	}
	a.typed(t, "", "pause", nil, "Error: Cluster is already paused\n")
	a.typed(t, "", "resume", []string{`node1 PATCH /config {"pause":null}`}, "Success: cluster management is resumed\n")
	if out, err := run(t, a.c, "", "list"); err != nil || !strings.HasSuffix(out, "+\n Maintenance mode: on\n") {
		t.Errorf("%v\n%s", err, out)
	}
	a.reply = map[string]string{"PATCH /config": "409 changed meanwhile"}
	a.typed(t, "", "resume", []string{`node1 PATCH /config {"pause":null}`}, "Failed: resume cluster management status code=409, (changed meanwhile)\n")
	// The leader does not answer: another member can do it as well.
	a.reply = map[string]string{"PATCH /config": "200 {}"}
	a.c.Members[0].APIURL = "http://127.0.0.1:1/patroni"
	a.typed(t, "", "resume", []string{`node2 PATCH /config {"pause":null}`}, "Success: cluster management is resumed\n")
	for i := range a.c.Members {
		a.c.Members[i].APIURL = ""
	}
	a.typed(t, "", "resume", nil, "Error: Can not find accessible cluster member\n")
}

// The members know already, or never will.
func TestPauseWaitsForTheMembers(t *testing.T) {
	a := members(t, map[string]string{"PATCH /config": "200 {}"})
	a.c.Config.Data = map[string]any{"loop_wait": 1}
	for i := range a.c.Members {
		a.c.Members[i].Pause = true
	}
	a.typed(t, "", "pause --wait", []string{`node1 PATCH /config {"pause":true}`},
		"'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n")
	// One that says something else meanwhile is told of, one that says nothing any more is not.
	a.c.Members[2].Pause = false
	a.typed(t, "", "pause --wait", []string{`node1 PATCH /config {"pause":true}`},
		"'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n")
	before := a.c
	before.Members = slices.Clone(before.Members)
	before.Members[2].Version = 7
	if _, alive := unaware(before, a.c, true); !slices.Equal(alive, []string{"patroni-node3"}) {
		t.Errorf("alive and unaware: %v", alive)
	}
}

func TestReload(t *testing.T) {
	a := members(t, map[string]string{
		"POST /reload": "202 reload scheduled", "node2 POST /reload": "200 nothing", "node3 POST /reload": "403 Access is denied",
	})
	a.typed(t, "", "reload postgresql-cluster --force", []string{"node1 POST /reload", "node2 POST /reload", "node3 POST /reload"},
		"Reload request received for member patroni-node1 and will be processed within 10 seconds\nNo changes to apply on member patroni-node2\n"+
			"Failed: reload for member patroni-node3, status code=403, (Access is denied)\n")
	a.typed(t, "n\n", "reload postgresql-cluster -r replica", nil,
		"Are you sure you want to reload members patroni-node2, patroni-node3? [y/N]: Error: Aborted reload\n")
}

func TestReinit(t *testing.T) {
	a := members(t, map[string]string{
		"POST /reinitialize": "200 reinitialize started", "node2 POST /reinitialize": "503 clone from n1 already in progress",
		"GET /patroni": `200 {"state":"running"}`,
	})
	const plain, forced = `{"force":false,"from_leader":false}`, `{"force":true,"from_leader":false}`
	a.typed(t, "patroni-node3\ny\n", "reinit postgresql-cluster", []string{"node3 POST /reinitialize " + plain},
		"Which member do you want to reinitialize [patroni-node2, patroni-node3]? []: "+
			"Are you sure you want to reinitialize members patroni-node3? [y/N]: Success: reinitialize for member patroni-node3\n")
	a.typed(t, strings.Repeat("y\n", 2), "reinit postgresql-cluster patroni-node2", []string{"node2 POST /reinitialize " + plain, "node2 POST /reinitialize " + forced},
		"Are you sure you want to reinitialize members patroni-node2? [y/N]: "+
			"Failed: reinitialize for member patroni-node2, status code=503, (clone from n1 already in progress)\n"+
			"Do you want to cancel it and reinitialize anyway? [y/N]: "+
			"Failed: reinitialize for member patroni-node2, status code=503, (clone from n1 already in progress)\n")
	a.typed(t, "", "reinit postgresql-cluster patroni-node3 --force --from-leader --wait", []string{
		`node3 POST /reinitialize {"force":true,"from_leader":true}`, "node3 GET /patroni",
	}, "Success: reinitialize for member patroni-node3\nWaiting for reinitialize to complete on: patroni-node3\nReinitialize is completed on: patroni-node3\n")
	a.typed(t, "", "reinit postgresql-cluster patroni-node1 --force", nil, "Error: No replica among provided members\n")
	a.typed(t, "", "reinit postgresql-cluster --force", nil, "Error: no member was named to reinitialize: name the replicas, or leave --force out to be asked\n")
	a.typed(t, "patroni-node1\n", "reinit postgresql-cluster", nil,
		"Which member do you want to reinitialize [patroni-node2, patroni-node3]? []: Error: patroni-node1 is not a member of cluster\n")
}

func TestHistory(t *testing.T) {
	c := picture("")
	c.History = cluster.History{Present: true, Lines: []cluster.HistoryLine{
		{Switch: wal.Switch{Timeline: 1, End: 84170424, Reason: "no recovery target specified"}, At: "2026-11-22T17:29:07.834429+00:00", Leader: "patroni-node1"},
		{Switch: wal.Switch{Timeline: 2, End: 89740208, Reason: "no recovery target specified"}},
	}}
	want := map[string]string{
		"pretty": `+----+----------+------------------------------+----------------------------------+---------------+
| TL |      LSN | Reason                       | Timestamp                        | New Leader    |
+----+----------+------------------------------+----------------------------------+---------------+
|  1 | 84170424 | no recovery target specified | 2026-11-22T17:29:07.834429+00:00 | patroni-node1 |
|  2 | 89740208 | no recovery target specified |                                  |               |
+----+----------+------------------------------+----------------------------------+---------------+
`,
		"tsv": "TL\tLSN\tReason\tTimestamp\tNew Leader\n1\t84170424\tno recovery target specified\t2026-11-22T17:29:07.834429+00:00\tpatroni-node1\n" +
			"2\t89740208\tno recovery target specified\t\t\n",
		"json": `[{"TL": 1, "LSN": 84170424, "Reason": "no recovery target specified", "Timestamp": "2026-11-22T17:29:07.834429+00:00", "New Leader": "patroni-node1"}, ` +
			`{"TL": 2, "LSN": 89740208, "Reason": "no recovery target specified", "Timestamp": "", "New Leader": ""}]` + "\n",
	}
	for format, text := range want {
		out, err := run(t, c, "", "history", "-f", format)
		if diff := cmp.Diff(text, out); err != nil || diff != "" {
			t.Errorf("%s: %v %s", format, err, diff)
		}
	}
	if out, err := run(t, c, "", "history", "-f", "yaml"); err != nil || !strings.HasPrefix(out, "- LSN: 84170424\n  New Leader: patroni-node1\n") {
		t.Errorf("yaml: %v\n%s", err, out)
	}
	if _, err := run(t, c, "", "history", "-f", "xml"); err == nil {
		t.Error("an unknown format was accepted")
	}
}

// Where certificates are the trouble, it is said what to do.
func TestCertificatesThatAreNotAccepted(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	c := picture(s.URL)
	var out bytes.Buffer
	env := testEnv(io.Discard, fixed{c: c}, "")
	env.Err = &out
	if err := runIn(t, env, "pause"); err == nil || !strings.Contains(out.String(), "Member patroni-node1 is not accessible: give cacert, certfile and keyfile in the section ctl") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
