package ctl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/dcs"
)

// fixed is a DCS that always shows the same picture, and keeps what is written.
type fixed struct {
	c cluster.Cluster
	// wrote are the writes, one a line; refuse is the answer to them.
	wrote  *[]string
	refuse error
}

func (f fixed) Load(context.Context) (cluster.Cluster, error) { return f.c, nil }
func (fixed) Close() error                                    { return nil }

func (f fixed) write(text string) error {
	if f.wrote != nil && f.refuse == nil {
		*f.wrote = append(*f.wrote, text)
	}
	return f.refuse
}

// WriteConfig implements DCS.
func (f fixed) WriteConfig(_ context.Context, data map[string]any, old cluster.Version) error {
	return f.write(fmt.Sprintf("config %s over %d", cluster.Config{Data: data}.JSON(), old))
}

// WriteFailover implements DCS.
func (f fixed) WriteFailover(_ context.Context, request cluster.Failover, old cluster.Version) error {
	return f.write(fmt.Sprintf("failover %s over %d", request.JSON(), old))
}

// Remove implements DCS.
func (f fixed) Remove(context.Context) error { return f.write("remove") }

// Watch implements DCS: nothing ever changes.
func (fixed) Watch(ctx context.Context, _ cluster.Version) <-chan dcs.Change {
	changes := make(chan dcs.Change)
	context.AfterFunc(ctx, func() { close(changes) })
	return changes
}

func picture(api string) cluster.Cluster {
	return cluster.Cluster{
		Initialize: cluster.Initialize{Present: true, SystemID: "7000000000000000001"},
		Leader:     cluster.Leader{Name: "patroni-node1"},
		Status:     cluster.Status{Optime: 0x5000000},
		Members: []cluster.Member{
			{Name: "patroni-node1", ConnURL: "postgres://127.0.0.11:5432/postgres", APIURL: api + "/patroni", State: cluster.StateRunning, Role: cluster.RolePrimary, Timeline: 1},
			{
				Name: "patroni-node2", ConnURL: "postgres://127.0.0.12:5432/postgres", APIURL: api + "/patroni", State: cluster.StateRunning, Role: cluster.RoleReplica,
				ReplicationState: "streaming", Timeline: 1, Received: 0x5000000, Replayed: 0x3000060, Location: 0x5000000,
			},
			{Name: "patroni-node3", ConnURL: "postgres://127.0.0.13:5432/postgres", State: cluster.StateCreatingReplica, Role: cluster.RoleUninitialized, Tags: cluster.Tags{"nofailover": true}},
		},
	}
}

// run runs one command as typed and returns what it printed.
func run(t *testing.T, c cluster.Cluster, input string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := runIn(t, testEnv(&out, fixed{c: c}, input), args...)
	return out.String(), err
}

// testEnv is where commands are tested.
func testEnv(out io.Writer, store DCS, input string) Env {
	return Env{
		Program: "pgbaton", Version: "4.1.0", In: strings.NewReader(input), Out: out, Err: io.Discard,
		Vars: map[string]string{"PATRONI_SCOPE": "postgresql-cluster", "PATRONI_ETCD_HOSTS": "127.0.0.21:2379"},
		Open: func(context.Context, config.Client) (DCS, error) { return store, nil },
		Now:  func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC) },
		Poll: time.Millisecond,
	}
}

func runIn(t *testing.T, env Env, args ...string) error {
	t.Helper()
	root := newTestRoot(env)
	root.SetArgs(args)
	return root.ExecuteContext(t.Context())
}

func newTestRoot(env Env) *cobra.Command {
	root := &cobra.Command{Use: "pgbaton", SilenceErrors: true, SilenceUsage: true}
	Install(root, env)
	Schedule(root, env, "")
	return root
}

const listed = `+ Cluster: postgresql-cluster (7000000000000000001) ------+----+-------------+-----+------------+-----+------------------+
| Member        | Host       | Role    | State            | TL | Receive LSN | Lag | Replay LSN | Lag | Tags             |
+---------------+------------+---------+------------------+----+-------------+-----+------------+-----+------------------+
| patroni-node1 | 127.0.0.11 | Leader  | running          |  1 |             |     |            |     |                  |
| patroni-node2 | 127.0.0.12 | Replica | streaming        |  1 |   0/5000000 |   0 |  0/3000060 |  32 |                  |
| patroni-node3 | 127.0.0.13 | Replica | creating replica |    |     unknown |     |    unknown |     | nofailover: true |
+---------------+------------+---------+------------------+----+-------------+-----+------------+-----+------------------+
`

func TestListAsPeopleKnowIt(t *testing.T) {
	out, err := run(t, picture(""), "", "list")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listed, out); diff != "" {
		t.Error(diff)
	}
}

func TestListForPrograms(t *testing.T) {
	cases := map[string]string{
		"json": `[{"Cluster": "postgresql-cluster", "Member": "patroni-node1", "Host": "127.0.0.11", "Role": "Leader", "State": "running", "TL": 1}, `,
		"tsv":  "Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\tTags\n",
		"yaml": "- Cluster: postgresql-cluster\n",
	}
	for format, want := range cases {
		out, err := run(t, picture(""), "", "list", "-f", format)
		if err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: %v\n%s", format, err, out)
		}
	}
	if _, err := run(t, picture(""), "", "list", "-f", "xml"); err == nil {
		t.Error("an unknown format was accepted")
	}
}

func TestHostsShowPortsWhereTheyMatter(t *testing.T) {
	c := picture("")
	c.Members[1].ConnURL = "postgres://127.0.0.12:31000/postgres"
	out, err := run(t, c, "", "list", "-f", "tsv")
	if err != nil || !strings.Contains(out, "\t127.0.0.11:5432\t") || !strings.Contains(out, "\t127.0.0.12:31000\t") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestScheduledSwitchoverIsShown(t *testing.T) {
	c := picture("")
	c.Failover = cluster.Failover{Leader: "patroni-node1", Candidate: "patroni-node2", ScheduledAt: "2030-01-01T00:00:00Z"}
	out, err := run(t, c, "", "list")
	want := " Switchover scheduled at: 2030-01-01T00:00:00+00:00\n                    from: patroni-node1\n                      to: patroni-node2\n"
	if err != nil || !strings.HasSuffix(out, want) {
		t.Errorf("%v\n%s", err, out)
	}
}

// leaderAPI answers like a leader and keeps what it was sent.
func leaderAPI(t *testing.T, code int, text string) (*string, string) {
	t.Helper()
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = r.Method + " " + r.URL.Path + " " + string(body)
		w.WriteHeader(code)
		w.Write([]byte(text))
	}))
	t.Cleanup(s.Close)
	return &got, s.URL
}

func TestSwitchoverWithForceAsksNothing(t *testing.T) {
	got, api := leaderAPI(t, 200, `Successfully switched over to "patroni-node2"`)
	out, err := run(t, picture(api), "", "switchover", "--leader", "patroni-node1", "--candidate", "patroni-node2", "--force")
	if err != nil {
		t.Fatal(err)
	}
	if want := `POST /switchover {"candidate":"patroni-node2","leader":"patroni-node1"}`; *got != want {
		t.Errorf("sent %s", *got)
	}
	if want := `2026-01-02 03:04:05.67890 Successfully switched over to "patroni-node2"` + "\n"; !strings.Contains(out, want) {
		t.Errorf("printed %s", out)
	}
}

func TestSwitchoverAsksWhatIsMissing(t *testing.T) {
	got, api := leaderAPI(t, 200, "done")
	out, err := run(t, picture(api), "\npatroni-node2\n\ny\n", "switchover")
	if err != nil || !strings.Contains(*got, `"candidate":"patroni-node2"`) {
		t.Errorf("%v, sent %q", err, *got)
	}
	for _, want := range []string{
		"Primary [patroni-node1]: ", "Candidate ['patroni-node2'] []: ", "  [now]: ",
		"Are you sure you want to switchover cluster postgresql-cluster, demoting current leader patroni-node1? [y/N]: ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not asked: %q in\n%s", want, out)
		}
	}
}

// A DCS that takes connections and says nothing holds nobody up for long.
func TestASilentDCSIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := Env{
			Out: io.Discard, Vars: map[string]string{"PATRONI_SCOPE": "postgresql-cluster", "PATRONI_ETCD_HOSTS": "127.0.0.21:2379"}, Now: time.Now,
			Open: func(ctx context.Context, _ config.Client) (DCS, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			},
		}
		err := runIn(t, env, "explain")
		want := "the DCS did not answer within 5s. An agent answers without the DCS: pgbaton explain --url http://HOST:8008"
		if err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	})
}

func TestNoIsTheDefault(t *testing.T) {
	got, api := leaderAPI(t, 200, "done")
	out, err := run(t, picture(api), "\n", "failover", "--candidate", "patroni-node2")
	if err == nil || err.Error() != "Aborting failover" || *got != "" {
		t.Errorf("%v, sent %q\n%s", err, *got, out)
	}
}

func TestRefusals(t *testing.T) {
	_, api := leaderAPI(t, 412, "leader name does not match")
	leaderless := picture(api)
	leaderless.Leader = cluster.Leader{}
	cases := []struct {
		name string
		c    cluster.Cluster
		args []string
		want string
	}{
		{"nobody to lead", picture(api), []string{"failover", "--force"}, "Failover could be performed only to a specific candidate"},
		{"the leader itself", picture(api), []string{"failover", "--candidate", "patroni-node1", "--force"}, "is already the leader"},
		{"a stranger", picture(api), []string{"failover", "--candidate", "x", "--force"}, "does not exist in cluster"},
		{"not the leader", picture(api), []string{"switchover", "--leader", "patroni-node2", "--force"}, "is not the leader of cluster"},
		{"no leader", leaderless, []string{"switchover", "--force"}, "This cluster has no leader"},
		{"no time", picture(api), []string{"switchover", "--scheduled", "soon", "--force"}, "Unable to parse scheduled timestamp"},
	}
	for _, c := range cases {
		if _, err := run(t, c.c, "", c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	out, err := run(t, picture(api), "", "switchover", "--force")
	if err != nil || !strings.Contains(out, "Switchover failed, details: 412, leader name does not match") {
		t.Errorf("a refusal of the leader: %v\n%s", err, out)
	}
}

func TestACloneShowsHowFarItIs(t *testing.T) {
	c := picture("")
	c.Members[1].State, c.Members[1].Progress = cluster.StateCreatingReplica, "clone from patroni-node1: 12 of 34 MB, 35 %"
	out, err := run(t, c, "", "list")
	if err != nil || !strings.Contains(out, "| clone from patroni-node1: 12 of 34 MB, 35 % |") {
		t.Errorf("%v\n%s", err, out)
	}
}
