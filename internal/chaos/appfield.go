package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// AppField is the app of examples/mesos under a scheduler, as people see it: through Marathon's API, that of the agents, and
// SQL. A client writes, and every member is asked all the time whether it is there.
type AppField struct {
	t         *testing.T
	scheduler string            // URL of its API
	hosts     map[string]string // name to address
	trouble   func() string     // what tells why something was waited for in vain

	writer     *Writer
	attendance *Attendance
	size       int // members that have to be there
}

const (
	appPath = "/v2/apps//postgresql/patroni"
	// soon is how long anything may take on a machine that has other things to do.
	soon = 2 * time.Minute
	// PlannedOutage is how long an operation that somebody asked for may keep anybody from writing.
	PlannedOutage = time.Second
	// reach is how long a client tries one member before it tries the next.
	reach = 300 * time.Millisecond
)

// NewAppField looks at the app through a scheduler. hosts are the addresses of the machines by their names.
func NewAppField(t *testing.T, scheduler string, hosts map[string]string, trouble func() string) *AppField {
	t.Helper()
	return &AppField{t: t, scheduler: scheduler, hosts: hosts, trouble: trouble}
}

// Get is the answer to a GET.
func (f *AppField) Get(url string) ([]byte, error) { return f.Ask(http.MethodGet, url, nil) }

// Ask is the answer to a request; one that refuses is an error.
func (f *AppField) Ask(method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return text, err
}

// Request makes a request to the scheduler that has to be granted.
func (f *AppField) Request(method, path string, body []byte) {
	f.t.Helper()
	if _, err := f.Ask(method, f.scheduler+path, body); err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// Change changes the app once nothing else is being deployed.
func (f *AppField) Change(body string) {
	f.t.Helper()
	f.Await("the end of the last deployment", func() bool {
		text, err := f.Get(f.scheduler + "/v2/deployments")
		return err == nil && string(bytes.TrimSpace(text)) == "[]"
	})
	f.Request(http.MethodPut, appPath, []byte(body))
}

// Await waits for something that nobody tells.
func (f *AppField) Await(what string, so func() bool) {
	f.t.Helper()
	deadline := time.NewTimer(soon)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			members, _ := f.Members()
			f.t.Fatalf("waited in vain for %s; members %v\n%s", what, members, f.trouble())
		}
	}
}

type seen struct {
	App struct {
		TasksRunning, TasksHealthy int
		Deployments                []any
		Tasks                      []struct {
			ID, Host, State string
			Ports           []int
		}
	}
}

func (f *AppField) app() (seen, error) {
	var s seen
	text, err := f.Get(f.scheduler + appPath)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// Tasks is how many tasks are in a state.
func (f *AppField) Tasks(state string) int {
	s, err := f.app()
	if err != nil {
		return 0
	}
	n := 0
	for _, task := range s.App.Tasks {
		if task.State == state {
			n++
		}
	}
	return n
}

// AppMember is a member as the agents tell it.
type AppMember struct {
	Name, Role, State, Host string
	Port                    int
	APIURL                  string `json:"api_url"`
}

// Members is the cluster as any of its agents tells it.
func (f *AppField) Members() ([]AppMember, error) {
	s, err := f.app()
	if err != nil {
		return nil, err
	}
	for _, task := range s.App.Tasks {
		var all struct{ Members []AppMember }
		text, err := f.Get("http://" + net.JoinHostPort(f.hosts[task.Host], fmt.Sprint(task.Ports[1])) + "/cluster")
		if err == nil && json.Unmarshal(text, &all) == nil {
			return all.Members, nil
		}
	}
	return nil, fmt.Errorf("no agent answers")
}

// Healthy reports whether the health checks of n members, and of no others, succeed.
func (f *AppField) Healthy(n int) bool {
	s, err := f.app()
	return err == nil && s.App.TasksHealthy == n && len(s.App.Tasks) == n
}

// Settled reports whether n members are there as they should be, and nothing is being deployed. Health checks may not have
// noticed yet: those of the definition ask every ten seconds.
func (f *AppField) Settled(n int) bool {
	s, err := f.app()
	if err != nil || s.App.TasksRunning != n || len(s.App.Tasks) != n || len(s.App.Deployments) != 0 {
		return false
	}
	members, err := f.Members()
	leaders, streaming := 0, 0
	for _, m := range members {
		if m.Role == "leader" && m.State == "running" {
			leaders++
		}
		if m.Role != "leader" && m.State == "streaming" {
			streaming++
		}
	}
	return err == nil && leaders == 1 && streaming == n-1
}

// Leader is the leading member.
func (f *AppField) Leader() AppMember {
	f.t.Helper()
	members, err := f.Members()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range members {
		if m.Role == "leader" {
			return m
		}
	}
	f.t.Fatalf("nobody leads: %v", members)
	return AppMember{}
}

// Deed is something that is done to the cluster while a client writes, and what it may cost.
type Deed struct {
	What   string
	Outage time.Duration // at most
	Left   int           // members that the cluster has afterwards
	Do     func()
}

// Take does it, and holds it to its promise: whatever happens, one member at most is down at any sample.
func (f *AppField) Take(d Deed) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), soon)
	defer cancel()
	if err := f.attendance.Require(ctx, f.size); err != nil {
		f.t.Fatalf("before %s: %v", d.What, err)
	}
	began := time.Now()
	d.Do()
	took, outage := time.Since(began), f.writer.Outage(began)
	down, samples := f.attendance.Down()
	f.t.Logf("%-36s %5.1f s, longest pause between two commits %4d ms, at most %d members down (%d samples)",
		d.What, took.Seconds(), outage.Length().Milliseconds(), down, samples)
	if outage.Length() > d.Outage {
		f.t.Errorf("%s: nobody could write for %v, at most %v are allowed", d.What, outage.Length(), d.Outage)
	}
	if down > 1 || samples == 0 {
		f.t.Errorf("%s: %d members were down at once (%d samples)", d.What, down, samples)
	}
	f.size = d.Left
}

// Watch begins to write, and to ask every member all the time whether it is there; both go to the published ports.
func (f *AppField) Watch(password string) {
	f.t.Helper()
	s, err := f.app()
	if err != nil {
		f.t.Fatal(err)
	}
	var seats []Seat
	var at []string
	for _, task := range s.App.Tasks {
		seats = append(seats, Seat{Name: task.Host, Address: f.hosts[task.Host], Port: uint16(task.Ports[0])})
		at = append(at, net.JoinHostPort(f.hosts[task.Host], strconv.Itoa(task.Ports[0])))
	}
	f.size = len(seats)
	url := "postgres://postgres:" + password + "@" + strings.Join(at, ",") + "/postgres?sslmode=disable&target_session_attrs="
	if f.writer, err = StartWriterWithin(f.t.Context(), url+"read-write", reach); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.writer.Stop)
	if f.attendance, err = StartAttendance(f.t.Context(), seats, url+"any"); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.attendance.Stop)
}

// Quorum has commits wait for a member that may lead afterwards, so that no crash takes one that was acknowledged.
func (f *AppField) Quorum() {
	f.t.Helper()
	at := strings.TrimSuffix(f.Leader().APIURL, "/patroni")
	if _, err := f.Ask(http.MethodPatch, at+"/config", []byte(`{"synchronous_mode": "quorum"}`)); err != nil {
		f.t.Fatal(err)
	}
	f.Await("quorum standbys", func() bool {
		members, err := f.Members()
		return err == nil && len(slices.DeleteFunc(members, func(m AppMember) bool { return m.Role != "quorum_standby" })) == 2
	})
}

// Audit counts what was acknowledged and is not there.
func (f *AppField) Audit() {
	f.t.Helper()
	lost, err := f.writer.Audit(f.t.Context(), nil)
	if err != nil || lost > 0 {
		f.t.Errorf("%d acknowledged rows are lost: %v", lost, err)
	}
	f.t.Logf("%d rows were acknowledged", len(f.writer.Acks()))
}
