package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTour brings everything up as a person would, types the commands that people know, breaks one part after the
// other while a client writes, and ends with Ctrl-C, a second start, and nothing left behind.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	needPeers(t, "postgres", "haproxy", "psql", "etcdctl")
	p := platform(t)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	began := time.Now()
	pic, err := p.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %s: %s", time.Since(began).Round(10*time.Millisecond), pic)
	commandsThatPeopleKnow(ctx, t, p, pic)
	secondUpIsRefused(ctx, t, p)

	tour, err := Begin(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	defer tour.End() //nolint:errcheck // its answer is read below
	watchTheLeaderKey(ctx, t, tour)
	for _, f := range []Fault{
		KillPostmaster(), KillMember(), KillAgent(), Failover(), KillHost(), StartHost(), Scale(5), Scale(3), KillEtcd(), KillProxy(), KillUp(),
	} {
		act(ctx, t, tour, f)
	}
	stopWhileAClientWrites(ctx, t, tour)
	if err := tour.End(); err != nil {
		t.Error(err)
	}
	rowsOutliveAStop(ctx, t, p)
	if err := p.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// act lets a fault happen, with the test's end when something was not as promised.
func act(ctx context.Context, t *testing.T, tour *Tour, f Fault) Result {
	t.Helper()
	r, err := tour.Act(ctx, f)
	if err != nil {
		t.Fatalf("%s (%s): %v", f.Name, r.Deed, err)
	}
	t.Logf("%-52s write outage %6d ms, %d lost, whole after %5d ms: %s leads on timeline %d (%s)",
		f.Name, r.Outage.Milliseconds(), r.Lost, r.Took.Milliseconds(), r.After.Leader, r.After.Led().Timeline, r.Deed)
	return r
}

func commandsThatPeopleKnow(ctx context.Context, t *testing.T, p *Platform, pic Picture) {
	t.Helper()
	definition, err := os.ReadFile(filepath.Join(source, appFile))
	if err != nil {
		t.Fatal(err)
	}
	code, text := send(ctx, t, p, http.MethodPost, p.URLs().Marathon+"/v2/apps", string(definition))
	if code != http.StatusConflict {
		t.Errorf("POST of an app that is there: %d %s", code, text)
	}
	has(t, "POST of an app that is there", text, `{"message":"An app with id [/postgresql/patroni] already exists."}`)
	for _, m := range pic.Members {
		clusterOf(ctx, t, p, m, pic.Leader)
	}
	if _, text := send(ctx, t, p, http.MethodGet, p.URLs().Marathon+"/ping", ""); strings.TrimSpace(text) != "pong" {
		t.Errorf("GET /ping: %q", text)
	}
	for _, path := range []string{"/v2/info", "/v2/apps", AppPath, AppPath + "/tasks", "/v2/deployments"} {
		if code, text := send(ctx, t, p, http.MethodGet, p.URLs().Marathon+path, ""); code != http.StatusOK || !json.Valid([]byte(text)) {
			t.Errorf("GET %s: %d %s", path, code, text)
		}
	}
	etcdHolds(ctx, t, p, pic)
	operatorCommands(ctx, t, p, pic)
	sqlThroughTheURLs(ctx, t, p, pic)
}

func send(ctx context.Context, t *testing.T, p *Platform, method, url, body string) (int, string) {
	t.Helper()
	code, text, err := p.Send(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return code, text
}

// clusterOf asks a member for GET /cluster.
func clusterOf(ctx context.Context, t *testing.T, p *Platform, m Member, leader string) {
	t.Helper()
	code, text := send(ctx, t, p, http.MethodGet, api(m.Address)+"/cluster", "")
	var body struct {
		Leader  string
		Members []struct{ Name, Role, State, Host string }
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil || code != http.StatusOK {
		t.Fatalf("GET /cluster of %s: %d %v %s", m.Name, code, err, text)
	}
	if body.Leader != leader || len(body.Members) != appInstances {
		t.Errorf("GET /cluster of %s: leader %q, %d members", m.Name, body.Leader, len(body.Members))
	}
	for _, listed := range body.Members {
		wanted := "replica streaming"
		if listed.Name == leader {
			wanted = "leader running"
		}
		if got := listed.Role + " " + listed.State; got != wanted || listed.Host == "" {
			t.Errorf("GET /cluster of %s lists %s as %s at %q, want %s", m.Name, listed.Name, got, listed.Host, wanted)
		}
	}
}

// command runs a command in the environment of the state directory.
func command(ctx context.Context, t *testing.T, p *Platform, name string, args ...string) string {
	t.Helper()
	output, err := p.Command(ctx, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

func etcdHolds(ctx context.Context, t *testing.T, p *Platform, pic Picture) {
	t.Helper()
	output := command(ctx, t, p, "etcdctl", "get", "--prefix", Prefix)
	for _, key := range []string{"config", "history", "initialize", "leader", "status"} {
		has(t, "etcdctl get --prefix", output, Prefix+key+"\n")
	}
	for _, m := range pic.Members {
		has(t, "etcdctl get --prefix", output, Prefix+"members/"+m.Name+"\n", fmt.Sprintf(`"conn_url":"postgres://%s:5432/postgres"`, m.Address))
	}
	has(t, "etcdctl get --prefix", output, LeaderKey+"\n"+pic.Leader+"\n")
}

func operatorCommands(ctx context.Context, t *testing.T, p *Platform, pic Picture) {
	t.Helper()
	list := command(ctx, t, p, "", "list")
	file := filepath.Join(t.TempDir(), "postgres.yml")
	text := "scope: postgresql-cluster\nnamespace: /service/\netcd:\n  hosts: " + strings.Join(p.layout.EtcdEndpoints(), ",") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, output := range map[string]string{"list": list, "list -c": command(ctx, t, p, "", "list", "-c", file)} {
		has(t, what, output, "Cluster: postgresql-cluster (", "| Member ")
		for _, m := range pic.Members {
			role := " | Replica | streaming | "
			if m.Name == pic.Leader {
				role = " | Leader  | running   | "
			}
			has(t, what, output, "| "+m.Name+" | "+m.Address+role)
		}
	}
	hosts := command(ctx, t, p, "", "host", "list")
	has(t, "host list", hosts, "node1", "node5")
	// The environment file is for people, who load it in a shell.
	shell := ". " + p.path("state", "env") + ` && psql "$PGBATON_WRITE_URL" -Atc 'select 6*7'`
	if got := command(ctx, t, p, "/bin/sh", "-c", shell); strings.TrimSpace(got) != "42" {
		t.Errorf("psql in the environment: %q", got)
	}
}

func sqlThroughTheURLs(ctx context.Context, t *testing.T, p *Platform, pic Picture) {
	t.Helper()
	const ask = "select host(inet_server_addr()) || case when pg_is_in_recovery() then ' reads' else ' writes' end"
	if got := strings.TrimSpace(command(ctx, t, p, "psql", p.URLs().Write, "-Atc", ask)); got != pic.Led().Address+" writes" {
		t.Errorf("the write URL leads to %q", got)
	}
	read := strings.TrimSpace(command(ctx, t, p, "psql", p.URLs().Read, "-Atc", ask))
	if at, writes := strings.CutSuffix(read, " reads"); !writes || at == pic.Led().Address {
		t.Errorf("the read URL leads to %q", read)
	}
}

// secondUpIsRefused starts the program once more: as it was typed before, and for another network.
func secondUpIsRefused(ctx context.Context, t *testing.T, p *Platform) {
	t.Helper()
	for _, more := range [][]string{nil, {"--network", "127.0.79.0/24"}} {
		output, err := p.Command(ctx, "", p.UpArgs(more...)...)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
			t.Fatalf("a second pgbaton up: %v %s", err, output)
		}
		oneSentence(t, output)
		if more != nil {
			has(t, "the sentence", output, "runs already", p.path("state"))
		}
	}
}

// watchTheLeaderKey watches the key with etcdctl through a switchover.
func watchTheLeaderKey(ctx context.Context, t *testing.T, tour *Tour) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	p := tour.Platform
	cmd := exec.CommandContext(ctx, "etcdctl", "--endpoints", strings.Join(p.layout.EtcdEndpoints(), ","), "watch", LeaderKey)
	cmd.Env = append(environment(), "ETCDCTL_API=3")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := act(ctx, t, tour, Switchover())
	seen := lineOf(output, r.After.Leader)
	cmd.Process.Kill() //nolint:errcheck // it may have ended
	cmd.Wait()         //nolint:errcheck // killed
	if !seen {
		t.Errorf("etcdctl watch %s did not tell of %s", LeaderKey, r.After.Leader)
	}
}

// lineOf reads until a line is the wanted one, or the reader ends.
func lineOf(r io.Reader, wanted string) bool {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if lines.Text() == wanted {
			return true
		}
	}
	return false
}

// stopWhileAClientWrites ends the program as Ctrl-C does and starts it once more. What was acknowledged until the last
// moment must be there, though replicas are stopped before the leader.
func stopWhileAClientWrites(ctx context.Context, t *testing.T, tour *Tour) {
	t.Helper()
	pic := startAgain(ctx, t, tour.Platform)
	if err := tour.Writer.Written(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := tour.Writer.Audit(ctx, nil); err != nil {
		t.Errorf("after Ctrl-C and a second start, %s: %v", pic, err)
	}
}

// rowsOutliveAStop counts the rows around a stop in which nobody writes.
func rowsOutliveAStop(ctx context.Context, t *testing.T, p *Platform) {
	t.Helper()
	count := func() string {
		return strings.TrimSpace(command(ctx, t, p, "psql", p.URLs().Write, "-Atc", "select count(*), min(id), max(id) from "+table))
	}
	before := count()
	startAgain(ctx, t, p)
	if after := count(); after != before {
		t.Errorf("rows before the end (count, first, last): %s, after the second start: %s", before, after)
	}
}

func startAgain(ctx context.Context, t *testing.T, p *Platform) Picture {
	t.Helper()
	began := time.Now()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	ended := time.Since(began)
	began = time.Now()
	pic, err := p.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Ctrl-C: ended after %d ms; up again after %d ms: %s", ended.Milliseconds(), time.Since(began).Milliseconds(), pic)
	return pic
}

// oneSentence checks that a refusal is one line that says what is wrong.
func oneSentence(t *testing.T, output string, wanted ...string) {
	t.Helper()
	line := strings.TrimRight(output, "\n")
	if !strings.HasPrefix(line, "Error: ") || strings.Contains(line, "\n") {
		t.Errorf("not one sentence:\n%s", output)
	}
	has(t, "the sentence", line, wanted...)
}
