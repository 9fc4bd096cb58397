package chaos

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSchedulerAndPeers has programs ask the scheduler that nobody wrote for it: Prometheus finds every member's REST API by
// Marathon's API and scrapes it, also after the app was scaled and a host was lost; curl sends what the README says; HAProxy, as
// it was configured here, leads to the leader and to a replica after each step.
func TestSchedulerAndPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	needPeers(t, "postgres", "haproxy", "prometheus", "curl")
	p := platform(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	pic, err := p.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := discovering(t, p)
	scraped(ctx, t, at, pic)
	for _, line := range readmeRequests(t, p) {
		t.Log(line)
		output, err := exec.CommandContext(ctx, "bash", "-c", strings.Replace(line, "curl", "curl -fsS", 1)).Output()
		if err != nil || len(output) == 0 {
			t.Fatalf("%s: %v %s", line, err, output)
		}
		if _, count, found := strings.Cut(line, `"instances": `); found {
			if p.instances, err = strconv.Atoi(count[:1]); err != nil {
				t.Fatal(err)
			}
		}
		if pic, err = p.Await(ctx, nil); err != nil {
			t.Fatal(err)
		}
		scraped(ctx, t, at, pic)
	}
	host := pic.Followers()[0].Host
	p.dark[host] = true
	if code, text := send(ctx, t, p, http.MethodPost, p.URLs().Marathon+"/pg/v1/hosts/"+host+"/kill", ""); code != http.StatusOK {
		t.Fatalf("the host is not killed: %d %s", code, text)
	}
	if pic, err = p.Await(ctx, nil); err != nil {
		t.Fatal(err)
	}
	scraped(ctx, t, at, pic)
}

// discovering runs a Prometheus that knows nothing but where Marathon's API is, and returns where it answers. That node1 is
// 127.0.x.11 it has to be told: nobody else knows the names of virtual hosts, as everybody does those of real ones.
func discovering(t *testing.T, p *Platform) string {
	t.Helper()
	const text = `global: {scrape_interval: 500ms, scrape_timeout: 400ms}
scrape_configs:
- job_name: patroni
  marathon_sd_configs:
  - servers: [%q]
    refresh_interval: 500ms
  relabel_configs:
  - {source_labels: [__meta_marathon_app], regex: /postgresql/patroni, action: keep}
  - {source_labels: [__meta_marathon_port_index], regex: "1", action: keep}
  - {source_labels: [__meta_marathon_task], target_label: task}
  - {source_labels: [__address__], regex: "node(.):(.*)", target_label: __address__, replacement: "%s$1:$2"}
`
	folder, hosts := p.path("prometheus"), strings.TrimSuffix(p.layout.Hosts[0].Address.String(), "1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "prometheus.yml"), fmt.Appendf(nil, text, p.URLs().Marathon, hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(folder, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close() //nolint:errcheck // the program holds it
	at := address(p.network, 1, 9090)
	cmd := exec.Command("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+at, "--log.level=warn")
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, output, output
	c, err := spawn(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(output.Name()); t.Failed() && err == nil {
			t.Logf("what Prometheus printed:\n%s", last(string(text), 20))
		}
		if err := c.kill(); err != nil {
			t.Error(err)
		}
	})
	return at
}

// scraped waits until Prometheus has the metrics of all members, and of nobody else that is up.
func scraped(ctx context.Context, t *testing.T, at string, pic Picture) {
	t.Helper()
	for query, wanted := range map[string]int{
		"sum(up)":                                              len(pic.Members),
		`count(count by (task) (up == 1))`:                     len(pic.Members),
		"sum(patroni_postgres_running)":                        len(pic.Members),
		`sum(patroni_primary{name="` + pic.Leader + `"})`:      1,
		"sum(patroni_replica)":                                 len(pic.Members) - 1,
		`count(count by (name) (patroni_postgres_running))`:    len(pic.Members),
		`count(patroni_version{scope="postgresql-cluster"}>0)`: len(pic.Members),
	} {
		if err := inTime(ctx, func(ctx context.Context) error {
			got, err := queryPrometheus(ctx, at, query)
			if err == nil && got != strconv.Itoa(wanted) {
				err = fmt.Errorf("prometheus says %s is %s and not %d", query, got, wanted)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// readmeRequests are the lines of the README that call curl, with the addresses of this platform.
func readmeRequests(t *testing.T, p *Platform) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.cfg.Source, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("127.0.0.1:8080", p.layout.Listen.String(), "127.0.0.11", p.layout.Hosts[0].Address.String())
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "curl ") {
			lines = append(lines, strings.TrimSpace(here.Replace(line)))
		}
	}
	if len(lines) < 3 {
		t.Fatalf("the README has the requests %q", lines)
	}
	return lines
}
