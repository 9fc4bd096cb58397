package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/peer"
)

// TestMonitors has the programs ask that people have beside Patroni, in a cluster of both kinds, before and after the lead
// goes from one kind to the other: each gets the answers that it counts on, whoever gives them.
func TestMonitors(t *testing.T) {
	_, four := kinds(t.Context(), t)
	needPeers(t, "haproxy", "prometheus", "promtool")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	f := newMixedField(ctx, t, seeded(t), four, []bool{true, false, false}, promised{mode: "on", nodes: 1})
	defer f.report(ctx)
	monitors := []monitor{checkPatroni(t, f), haproxy(t, f), prometheus(t, f)}
	if os.Geteuid() == 0 {
		monitors = append(monitors, vipManager(t, f))
	}
	// The last member takes no part, so that the other two, one of each kind, hand the lead to each other.
	if err := f.tag(f.Names()[2], true, 0); err != nil {
		t.Fatal(err)
	}
	led := map[string]bool{}
	for len(led) < 2 {
		pic, err := f.settled(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.promise(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s leads, %s is synchronous", f.named(pic.Leader), p.Voters[0])
		// A member of Patroni answers from what it read in its last round.
		if err := f.reached(ctx, p.Voters[0], "/sync", http.StatusOK); err != nil {
			t.Fatal(err)
		}
		for _, m := range monitors {
			if err := m(ctx, pic.Leader, p.Voters[0]); err != nil {
				t.Error(err)
			}
		}
		led[f.kind(pic.Leader)] = true
		if _, err = f.handOver(ctx, pic, "switchover", func(string) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
}

// monitor says what a program gets wrong that looks at the cluster while one leads and one is its synchronous standby.
type monitor func(ctx context.Context, leader, standby string) error

// url is the REST API of a member.
func (f *mixedField) url(name string) string {
	for _, p := range f.Places() {
		if p.Name == name {
			return f.api(p.Address)
		}
	}
	return ""
}

// checkPatroni is the plugin of Nagios, whose exit code is its verdict: 0 is well, 2 is critical.
func checkPatroni(t *testing.T, f *mixedField) monitor {
	t.Helper()
	program, err := Beside("check-patroni")
	if err != nil {
		peer.Missing(t, err.Error())
	}
	return func(ctx context.Context, leader, standby string) error {
		var errs []error
		check := func(code int, name string, args ...string) {
			cmd := exec.CommandContext(ctx, program, append([]string{"-e", f.url(name)}, args...)...) //nolint:gosec // the program to test with
			output, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != code {
				errs = append(errs, fmt.Errorf("check_patroni %s asks %s: exit code %d and not %d: %s", strings.Join(args, " "), f.named(name), got, code, output))
			}
		}
		for _, name := range f.Names() {
			leads, replica, sync, async := 2, 0, 2, 0
			switch name {
			case leader:
				leads, replica, async = 0, 2, 2
			case standby:
				sync, async = 0, 2
			}
			check(0, name, "node_is_alive")
			check(leads, name, "node_is_leader")
			check(leads, name, "node_is_primary")
			check(replica, name, "node_is_replica")
			check(replica, name, "node_is_replica", "--max-lag", "10MB")
			check(sync, name, "node_is_replica", "--is-sync")
			check(async, name, "node_is_replica", "--is-async")
			check(0, name, "node_is_pending_restart")
			check(0, name, "cluster_has_leader")
			check(0, name, "cluster_has_replica", "-w", "2:", "-c", "1:", "--sync-warning", "1:", "--sync-critical", "1:", "--max-lag", "10MB")
			check(0, name, "cluster_node_count", "-w", "3:", "-c", "2:", "--healthy-warning", "3:", "--healthy-critical", "2:")
			check(0, name, "cluster_is_in_maintenance")
			check(0, name, "cluster_has_scheduled_action")
			check(2, name, "cluster_config_has_changed", "--hash", "none")
			check(2, name, "node_tl_has_changed", "--timeline", "99")
		}
		return errors.Join(errs...)
	}
}

// haproxy has the configuration that Patroni's documentation gives, with one more port for the replicas.
func haproxy(t *testing.T, f *mixedField) monitor {
	t.Helper()
	program := "/usr/sbin/haproxy"
	if found, err := exec.LookPath("haproxy"); err == nil {
		program = found
	}
	var servers strings.Builder
	for _, p := range f.Places() {
		fmt.Fprintf(&servers, "    server %s %s:5432 maxconn 100 check port 8008\n", p.Name, p.Address)
	}
	var text strings.Builder
	text.WriteString("global\n    maxconn 100\ndefaults\n    mode tcp\n    retries 2\n    timeout client 30m\n    timeout connect 4s\n    timeout server 30m\n    timeout check 5s\n")
	for port, check := range map[int]string{10000: "", 10001: " OPTIONS /replica", 10002: " OPTIONS /sync", 10003: " OPTIONS /replica?lag=10MB"} {
		fmt.Fprintf(&text, "listen port%d\n    bind %s\n    option httpchk%s\n    http-check expect status 200\n"+
			"    default-server inter 100ms fall 3 rise 2 on-marked-down shutdown-sessions\n%s", port, address(f.network, 1, port), check, servers.String())
	}
	attend(t, f, "haproxy", map[string]string{"haproxy.cfg": text.String()}, program, "-f", "haproxy.cfg")
	return func(ctx context.Context, leader, standby string) error {
		var errs []error
		for port, wanted := range map[int]func(string) bool{
			10000: func(name string) bool { return name == leader },
			10001: func(name string) bool { return name != leader },
			10002: func(name string) bool { return name == standby },
			10003: func(name string) bool { return name != leader },
		} {
			err := f.inTime(ctx, func(ctx context.Context) error {
				conn, err := pgx.Connect(ctx, "postgres://postgres:"+agentsPassword+"@"+address(f.network, 1, port)+"/postgres?sslmode=disable")
				if err != nil {
					return err
				}
				defer conn.Close(ctx) //nolint:errcheck // only read
				var at string
				if err := conn.QueryRow(ctx, "select host(inet_server_addr())").Scan(&at); err != nil {
					return err
				}
				for _, p := range f.Places() {
					if p.Address.String() == at && wanted(p.Name) {
						return nil
					}
				}
				return fmt.Errorf("port %d of HAProxy leads to %s", port, at)
			})
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
}

// prometheus scrapes all members; promtool reads the metrics of each.
func prometheus(t *testing.T, f *mixedField) monitor {
	t.Helper()
	var targets []string
	for _, p := range f.Places() {
		targets = append(targets, strconv.Quote(p.Address.String()+":8008"))
	}
	text := "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\nscrape_configs:\n- job_name: members\n  static_configs: [{targets: [" + strings.Join(targets, ",") + "]}]\n"
	at := address(f.network, 1, 9090)
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal(err)
	}
	attend(t, f, "prometheus", map[string]string{"prometheus.yml": text}, program,
		"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+at, "--log.level=warn")
	return func(ctx context.Context, leader, _ string) error {
		errs := []error{f.promtool(ctx)}
		for query, wanted := range map[string]int{
			`sum(up)`: 3,
			`sum(patroni_primary{scope="` + mixedScope + `"})`:    1,
			`sum(patroni_replica)`:                                2,
			`sum(patroni_postgres_running)`:                       3,
			`sum(patroni_primary{name="` + leader + `"})`:         1,
			`count(count by (patroni_postgres_timeline) (up))`:    1,
			`count(patroni_version)`:                              3,
			`count(patroni_xlog_location{name="` + leader + `"})`: 1,
			`sum(patroni_sync_standby)`:                           1,
		} {
			errs = append(errs, f.inTime(ctx, func(ctx context.Context) error {
				got, err := queryPrometheus(ctx, at, query)
				if err == nil && got != strconv.Itoa(wanted) {
					err = fmt.Errorf("prometheus says %s is %s and not %d", query, got, wanted)
				}
				return err
			}))
		}
		return errors.Join(errs...)
	}
}

// promtool checks the metrics of all of pgbaton's members as a linter does.
func (f *mixedField) promtool(ctx context.Context) error {
	var errs []error
	for _, name := range f.of("pgbaton") {
		_, text, err := f.Send(ctx, name, http.MethodGet, "/metrics", "")
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "promtool", "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if output, err := cmd.CombinedOutput(); err != nil || len(output) > 0 {
			errs = append(errs, fmt.Errorf("promtool check metrics of %s: %w: %s", name, err, output))
		}
	}
	return errors.Join(errs...)
}

// queryPrometheus asks for one value.
func queryPrometheus(ctx context.Context, at, query string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/api/v1/query?query="+url.QueryEscape(query), http.NoBody)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var found struct {
		Data struct {
			Result []struct {
				Value []any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &found); err != nil || len(found.Data.Result) != 1 || len(found.Data.Result[0].Value) != 2 {
		return "", errors.Join(err, fmt.Errorf("prometheus answers %s with %s", query, text))
	}
	return fmt.Sprint(found.Data.Result[0].Value[1]), nil
}

// vipManager runs one program for each member that asks its REST API, and one that looks at the leader key: whichever is
// right has its address on a device of this test.
func vipManager(t *testing.T, f *mixedField) monitor {
	t.Helper()
	program, err := Beside("vip-manager2")
	if err != nil {
		peer.Missing(t, err.Error())
	}
	device := fmt.Sprintf("pgb%d", os.Getpid())
	if output, err := exec.CommandContext(t.Context(), "ip", "link", "add", device, "type", "bridge").CombinedOutput(); err != nil {
		peer.Missing(t, fmt.Sprintf("no device can be made for vip-manager: %v: %s", err, output))
	}
	t.Cleanup(func() {
		if output, err := exec.Command("ip", "link", "del", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	})
	const byREST, byKey = "198.51.100.", "203.0.113." // documentation's own networks
	for i, name := range f.Names() {
		common := []string{"--interface", device, "--netmask", "32", "--interval", "200", "--retry-num", "1"}
		for kind, args := range map[string][]string{
			"rest": {"--dcs-type", "patroni", "--dcs-endpoints", f.url(name) + "/", "--trigger-key", "/leader", "--trigger-value", "200", "--ip", byREST + strconv.Itoa(i)},
			"key": {
				"--dcs-type", "etcd", "--dcs-endpoints", "http://" + f.layout.EtcdEndpoints()[0], "--trigger-key", Prefix + "leader",
				"--trigger-value", name, "--ip", byKey + strconv.Itoa(i),
			},
		} {
			if _, err := f.runAs(nil, "vip-"+kind+"-"+name, nil, append(append([]string{program}, args...), common...)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func(ctx context.Context, leader, _ string) error {
		return f.inTime(ctx, func(context.Context) error {
			own, err := net.InterfaceByName(device)
			if err != nil {
				return err
			}
			addresses, err := own.Addrs()
			if err != nil {
				return err
			}
			for i, name := range f.Names() {
				for _, network := range []string{byREST, byKey} {
					there := strings.Contains(fmt.Sprint(addresses), network+strconv.Itoa(i)+"/")
					if there != (name == leader) {
						return fmt.Errorf("vip-manager: %s leads and the address %s%d of %s is there: %t", leader, network, i, f.named(name), there)
					}
				}
			}
			return nil
		})
	}
}

// attend runs a program in a folder of its own with its files; it ends with the cluster.
func attend(t *testing.T, f *mixedField, name string, files map[string]string, line ...string) {
	t.Helper()
	folder := filepath.Join(f.Dir(), name)
	if err := f.makeFolder(folder); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		path := filepath.Join(folder, file)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), f.give(path)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.runAs(f.cfg.Credential, name, nil, line...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what %s printed last:\n%s", name, f.Output(name, 20))
		}
	})
}

func (f *mixedField) inTime(ctx context.Context, try func(context.Context) error) error {
	return inTime(ctx, try)
}

// inTime tries until something is right; its error says what was wrong last.
func inTime(ctx context.Context, try func(context.Context) error) error {
	limited, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("too long"))
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last error
	for {
		one, cancel := context.WithTimeout(limited, answerWithin)
		err := try(one)
		cancel()
		if err == nil {
			return nil
		}
		if last == nil || limited.Err() == nil { // the end of the time says nothing
			last = err
		}
		select {
		case <-ticker.C:
		case <-limited.Done():
			return last
		}
	}
}
