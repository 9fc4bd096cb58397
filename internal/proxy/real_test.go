package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/haproxy"
	"github.com/pgbaton/pgbaton/internal/haproxy/haproxytest"
	"github.com/pgbaton/pgbaton/internal/proxy"
)

// The tests of this file run the shell on a real HAProxy before members without a database.

// memory is a source in memory.
type memory struct {
	mu      sync.Mutex
	picture cluster.Cluster
	changed chan struct{}
}

func (m *memory) Load(context.Context) (cluster.Cluster, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.picture, nil
}

func (m *memory) Watch(context.Context, cluster.Version) <-chan struct{} { return m.changed }

func (m *memory) becomes(picture cluster.Cluster) {
	m.mu.Lock()
	m.picture = picture
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// led is a picture in which the first member leads and the others stream.
func led(members ...*haproxytest.Member) cluster.Cluster {
	c := cluster.Cluster{Leader: cluster.Leader{Name: members[0].Name}}
	for i, m := range members {
		role := cluster.RoleReplica
		if i == 0 {
			role = cluster.RolePrimary
		}
		c.Members = append(c.Members, m.Document(role))
	}
	slices.SortFunc(c.Members, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// stage is three members behind a HAProxy that is driven.
type stage struct {
	cfg     haproxy.Config
	a, b, c *haproxytest.Member
	source  *memory
}

func members(t *testing.T) *stage {
	t.Helper()
	s := &stage{
		cfg:    haproxytest.Config(t),
		a:      haproxytest.Start(t, "a", cluster.RolePrimary),
		b:      haproxytest.Start(t, "b", cluster.RoleReplica),
		c:      haproxytest.Start(t, "c", cluster.RoleReplica),
		source: &memory{changed: make(chan struct{}, 1)},
	}
	s.source.becomes(led(s.a, s.b, s.c))
	return s
}

// drive opens HAProxy and routes until the returned function is called; HAProxy goes on then.
func (s *stage) drive(t *testing.T) (leave func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	process, err := haproxy.Open(t.Context(), s.cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	routed := make(chan struct{}, 100)
	cfg := proxy.Config{Services: s.cfg.Services, Progress: func(string) { routed <- struct{}{} }}
	var group sync.WaitGroup
	group.Go(func() { check(t, process.Run(ctx)) })
	group.Go(func() { check(t, proxy.Run(ctx, cfg, s.source, process, log)) })
	select {
	case <-routed:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is routed")
	}
	return sync.OnceFunc(func() {
		cancel()
		group.Wait()
		check(t, process.Close())
	})
}

// end ends the HAProxy that was left.
func (s *stage) end(t *testing.T) {
	t.Helper()
	process, err := haproxy.Open(context.Background(), s.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	check(t, errors.Join(process.Stop(context.Background()), process.Close()))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestNewSessionsReachTheNewLeaderAtOnce(t *testing.T) {
	s := members(t)
	defer s.end(t)
	defer s.drive(t)()
	writes := s.cfg.Services[0].Bind
	haproxytest.Reaches(t, writes, "a", time.Second)

	var flips, closes []time.Duration
	from, to := s.a, s.b
	for range 20 {
		old := haproxytest.Connect(t, writes)
		from.Become(cluster.RoleReplica)
		to.Become(cluster.RolePrimary)
		begin := time.Now()
		s.source.becomes(led(to, from, s.c))
		flips = append(flips, haproxytest.Reaches(t, writes, to.Name, 200*time.Millisecond))
		if old.Member != from.Name || !old.Closed(200*time.Millisecond) {
			t.Fatalf("the session with the old leader %q goes on", old.Member)
		}
		closes = append(closes, time.Since(begin))
		from, to = to, from
	}
	slices.Sort(flips)
	slices.Sort(closes)
	t.Logf("key moved → new session at the new leader: median %v, longest %v", flips[len(flips)/2], flips[len(flips)-1])
	t.Logf("key moved → old session closed and noticed: median %v, longest %v", closes[len(closes)/2], closes[len(closes)-1])
}

// The old leader's REST API says "primary" long after its key moved. Its check puts it up again and
// again; it is taken down before a client notices.
func TestAnOldLeaderThatStillSaysPrimaryGetsNoSession(t *testing.T) {
	s := members(t)
	defer s.end(t)
	defer s.drive(t)()
	writes := s.cfg.Services[0].Bind
	haproxytest.Reaches(t, writes, "a", time.Second)
	s.b.Become(cluster.RolePrimary)
	s.source.becomes(led(s.b, s.a, s.c))
	haproxytest.Reaches(t, writes, "b", 200*time.Millisecond)
	sessions, closed, wrong := 0, 0, 0
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); sessions++ {
		session := haproxytest.Connect(t, writes)
		switch {
		case session.Member == "b":
		case session.Closed(200 * time.Millisecond):
			closed++
		default:
			wrong++
		}
		session.Close()
	}
	t.Logf("%d sessions in 5 s, %d of them closed at once", sessions, closed)
	if wrong > 0 {
		t.Errorf("%d of %d sessions stayed with the old leader", wrong, sessions)
	}
}

func TestAKilledHAProxyIsBackAndRight(t *testing.T) {
	s := members(t)
	defer s.end(t)
	defer s.drive(t)()
	writes, reads := s.cfg.Services[0].Bind, s.cfg.Services[2].Bind
	haproxytest.Reaches(t, writes, "a", time.Second)
	kill(t, s.cfg)
	t.Logf("HAProxy killed → new session at the leader: %v", haproxytest.Reaches(t, writes, "a", 3*time.Second))
	haproxytest.Reaches(t, reads, "b", time.Second)
	haproxytest.Reaches(t, reads, "c", time.Second) // servers come one after the other
	reached := map[string]bool{}
	for range 10 {
		reached[haproxytest.Connect(t, reads).Member] = true
	}
	if !reached["b"] || !reached["c"] || len(reached) != 2 {
		t.Errorf("reads reached %v", reached)
	}
}

// kill kills HAProxy.
func kill(t *testing.T, cfg haproxy.Config) {
	t.Helper()
	text, err := os.ReadFile(cfg.Dir + "/haproxy.json")
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ PID int }
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(record.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestALeaderThatIsLostIsReplacedWhenTheKeyMoves(t *testing.T) {
	s := members(t)
	defer s.end(t)
	defer s.drive(t)()
	writes := s.cfg.Services[0].Bind
	session := haproxytest.Connect(t, writes)
	s.a.Stop()
	if !session.Closed(time.Second) {
		t.Error("the session with a dead server goes on")
	}
	s.b.Become(cluster.RolePrimary)
	s.source.becomes(led(s.b, s.c))
	t.Logf("key moved from a dead member → new session at the new leader: %v", haproxytest.Reaches(t, writes, "b", time.Second))
}

// The test is run again as another process that drives HAProxy and is killed.
func TestWithoutADriverHAProxyFollowsItsChecks(t *testing.T) {
	const told = "PGBATON_TEST_DRIVE"
	if text := os.Getenv(told); text != "" {
		beDriver(t, text)
		return
	}
	s := members(t)
	text, err := json.Marshal(driven{s.cfg, s.source.picture})
	if err != nil {
		t.Fatal(err)
	}
	driver := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // this very test
	driver.Env = append(os.Environ(), told+"="+string(text))
	output, err := driver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.end(t)
	if readUntil(output, driving) == "" {
		t.Fatal("the other process does not drive")
	}
	writes, reads := s.cfg.Services[0].Bind, s.cfg.Services[2].Bind
	session := haproxytest.Connect(t, writes)
	check(t, driver.Process.Kill())
	_ = driver.Wait() // It was killed.

	if session.Member != "a" || session.Closed(100*time.Millisecond) {
		t.Fatal("the session did not survive the driver")
	}
	for _, turn := range []struct{ from, to *haproxytest.Member }{{s.a, s.b}, {s.b, s.c}} {
		turn.from.Become(cluster.RoleReplica)
		turn.to.Become(cluster.RolePrimary)
		took := haproxytest.Reaches(t, writes, turn.to.Name, 3*time.Second)
		t.Logf("role moved, nobody drives → new session at the new leader: %v", took)
		if !session.Closed(3 * time.Second) {
			t.Error("the session with the old leader goes on")
		}
		session = haproxytest.Connect(t, writes)
	}
	haproxytest.Reaches(t, reads, "a", 3*time.Second)

	// Somebody comes back and finds it.
	s.source.becomes(led(s.c, s.a, s.b))
	leave := s.drive(t)
	defer leave()
	haproxytest.Reaches(t, writes, "c", 200*time.Millisecond)
	if session.Member != "c" || session.Closed(100*time.Millisecond) {
		t.Error("the session with the leader did not survive the adoption")
	}
}

// driving is what the other process says when everything is routed.
const driving = "driving"

// readUntil reads lines until one contains the text.
func readUntil(r io.Reader, text string) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return lines.Text()
		}
	}
	return ""
}

// driven is what the other process is told.
type driven struct {
	Config  haproxy.Config
	Picture cluster.Cluster
}

// beDriver drives until the process is killed.
func beDriver(t *testing.T, text string) {
	t.Helper()
	var d driven
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	for i := range d.Picture.Members {
		d.Picture.Members[i].Name = string(rune('a' + i)) // the name is not part of the document
	}
	s := &stage{cfg: d.Config, source: &memory{picture: d.Picture, changed: make(chan struct{}, 1)}}
	defer s.drive(t)()
	if _, err := os.Stdout.WriteString(driving + "\n"); err != nil {
		t.Fatal(err)
	}
	<-t.Context().Done()
}

func TestTheNextRunGoesOnWhereTheLastStopped(t *testing.T) {
	s := members(t)
	defer s.end(t)
	leave := s.drive(t)
	writes := s.cfg.Services[0].Bind
	haproxytest.Reaches(t, writes, "a", time.Second)
	session := haproxytest.Connect(t, writes)
	leave()
	leave = s.drive(t)
	defer leave()
	if session.Member != "a" || session.Closed(100*time.Millisecond) {
		t.Error("the session was closed")
	}
	s.b.Become(cluster.RolePrimary)
	s.a.Become(cluster.RoleReplica)
	s.source.becomes(led(s.b, s.a, s.c))
	haproxytest.Reaches(t, writes, "b", 200*time.Millisecond)
	if !session.Closed(200 * time.Millisecond) {
		t.Error("the session with the old leader goes on")
	}
}
