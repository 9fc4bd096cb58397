package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

var chaosRounds = flag.Int("chaos.rounds", 0, "how often TestSchedulerOnPostgres goes through all operations; 0 is the short list")

// TestSchedulerOnPostgres asks the scheduler for everything that people ask it for, on real servers in quorum mode, while a
// client writes: no acknowledged row is lost, never is more than one member down, and no planned operation costs more than a
// second of writes; the same when the scheduler is killed in the middle.
func TestSchedulerOnPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	needPeers(t, "postgres", "haproxy")
	s := newSchedulerField(t)
	defer s.end()
	if *chaosRounds == 0 {
		s.round(s.short())
	}
	for range *chaosRounds {
		s.round(s.all())
	}
}

// schedulerField is a platform in quorum mode with a client that writes to the members themselves: HAProxy stands still while
// the program is dead that drives it, and that is not what is measured.
type schedulerField struct {
	*Tour

	t          *testing.T
	ctx        context.Context //nolint:containedctx // it is the test's
	rng        *rand.Rand
	attendance *Attendance
	table      strings.Builder
	lost       int
}

// schedulerDynamic leaves loop_wait as people have it. A lost host costs a ttl.
const schedulerDynamic = `{"synchronous_mode": "quorum", "ttl": 20, "loop_wait": 10, "retry_timeout": 5}`

func newSchedulerField(t *testing.T) *schedulerField {
	t.Helper()
	p := platform(t)
	t.Cleanup(func() { keepTaskLogs(t, p) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	s := &schedulerField{t: t, ctx: ctx, rng: seeded(t), Tour: &Tour{Platform: p}}
	began := time.Now()
	limited, stop := context.WithTimeout(ctx, healWithin)
	defer stop()
	pic, err := p.Up(limited)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %s: %s", time.Since(began).Round(10*time.Millisecond), pic)
	if code, text := send(ctx, t, p, http.MethodPatch, api(pic.Led().Address)+"/config", schedulerDynamic); code != http.StatusOK {
		t.Fatalf("PATCH /config: %d %s", code, text)
	}
	s.promised()
	direct := s.direct()
	if s.leads, err = watchLeads(ctx, p.store); err != nil {
		t.Fatal(err)
	}
	if s.Writer, err = StartWriter(ctx, direct); err != nil {
		t.Fatal(err)
	}
	if s.Watchman, err = StartWatchman(ctx, p.layout.Hosts, direct); err != nil {
		t.Fatal(err)
	}
	if s.attendance, err = StartAttendance(ctx, Seats(p.layout.Hosts), direct); err != nil {
		t.Fatal(err)
	}
	return s
}

// keepTaskLogs copies what the program and all tasks printed to where go test -artifacts keeps it.
func keepTaskLogs(t *testing.T, p *Platform) {
	t.Helper()
	logs, err := filepath.Glob(p.path("state", "tasks", "logs", "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range append(logs, p.path("output")) {
		text, err := os.ReadFile(filepath.Clean(path))
		if err == nil {
			err = os.WriteFile(filepath.Join(t.ArtifactDir(), filepath.Base(path)), text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// direct is how a client finds the primary without HAProxy.
func (s *schedulerField) direct() string {
	cfg, err := plainConfig(s.Platform.URLs().Write)
	if err != nil {
		s.t.Fatal(err)
	}
	var hosts []string
	for _, host := range s.Platform.layout.Hosts {
		hosts = append(hosts, netip.AddrPortFrom(host.Address, 5432).String())
	}
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: strings.Join(hosts, ","), Path: "/" + cfg.Database,
		RawQuery: "sslmode=disable&target_session_attrs=read-write",
	}).String()
}

func (s *schedulerField) end() {
	if s.attendance != nil {
		s.attendance.Stop()
	}
	if err := s.End(); err != nil {
		s.t.Error(err)
	}
	if s.Writer == nil {
		return
	}
	s.t.Logf("%d rows acknowledged, %d lost; quorum mode, loop_wait 10\n%-44s %-10s %9s %5s %7s\n%s", len(s.Writer.Acks()), s.lost,
		"operation", "scheduler", "no write", "down", "whole", s.table.String())
}

// step is an operation, and whether the scheduler is killed in the middle of it.
type step struct {
	fault  Fault
	killed bool
}

// short is what a short run does: everything once, and the scheduler dies where most is under way.
func (s *schedulerField) short() []step {
	return []step{
		{fault: s.scale(5)},
		{fault: s.scale(3), killed: true},
		{fault: SetVariable("PGBATON_ROUND", "1"), killed: true},
		{fault: SetImage("pgbaton:latest")},
		{fault: Restart(), killed: true},
		{fault: DrainHost()},
		{fault: EndDrain(), killed: true},
		{fault: s.lose(), killed: true},
		{fault: StartHost()},
		{fault: s.scale(1), killed: true},
		{fault: s.scale(3)},
	}
}

// all is everything that the issue names, with and without the scheduler's death.
func (s *schedulerField) all() []step {
	var steps []step
	for _, killed := range []bool{false, true} {
		image := "pgbaton:latest"
		if killed {
			image = "patroni:latest"
		}
		for _, f := range []Fault{
			s.scale(5), s.scale(3), s.scale(1), s.scale(3), Restart(), SetVariable("PGBATON_ROUND", fmt.Sprint(killed, s.rng.Int())), SetImage(image),
			DrainHost(), EndDrain(), s.lose(), StartHost(),
		} {
			steps = append(steps, step{f, killed})
		}
	}
	return steps
}

// scale is a change of the number of instances that may take a clone or two.
func (s *schedulerField) scale(n int) Fault {
	f := Scale(n)
	f.Limit = planned
	return f
}

// lose is the loss of the leader's host. In quorum mode it loses no row.
func (s *schedulerField) lose() Fault {
	f := KillHost()
	f.Loses = false
	return f
}

func (s *schedulerField) round(steps []step) {
	s.t.Helper()
	for _, step := range steps {
		s.take(step)
	}
}

// take does one step and waits until everything is whole again.
func (s *schedulerField) take(st step) {
	s.t.Helper()
	before := s.Platform.instances - len(s.Platform.dark)
	byUs := st.fault.Limit == planned
	f := st.fault
	f.strike = func(ctx context.Context, p *Platform, pic Picture) (string, error) {
		if err := s.attendance.Require(ctx, before); err != nil {
			return "", err
		}
		next := s.attendance.Changed()
		deed, err := st.fault.strike(ctx, p, pic)
		s.attendance.Lower(p.instances)
		if err == nil && st.killed {
			err = s.killInTheMiddle(ctx, next)
		}
		return deed, err
	}
	r, err := s.Act(s.ctx, f)
	if err == nil {
		s.promised()
	}
	down, samples := s.attendance.Down()
	s.lost += r.Lost
	scheduler := "lives"
	if st.killed {
		scheduler = "killed"
	}
	fmt.Fprintf(&s.table, "%-44s %-10s %6d ms %5d %5.1f s\n", f.Name, scheduler, r.Outage.Milliseconds(), down, r.Took.Seconds())
	if err != nil {
		s.t.Fatalf("%s (%s), the scheduler %s: %v", f.Name, r.Deed, scheduler, err)
	}
	if byUs && down > 1 || samples == 0 {
		s.t.Errorf("%s: %d members were down at once (%d samples)", f.Name, down, samples)
	}
}

// killInTheMiddle kills the scheduler once the first server came or went, and starts it again.
func (s *schedulerField) killInTheMiddle(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
	case <-ctx.Done():
		return errors.New("no server came or went")
	}
	if err := s.Platform.running.kill(); err != nil {
		return err
	}
	return s.Platform.launch()
}

// promised waits until every standby counts for the promise.
func (s *schedulerField) promised() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, healWithin)
	defer cancel()
	_, err := s.Platform.Await(ctx, func(pic Picture) error {
		key, _, err := s.Platform.store.Get(ctx, Prefix+"sync")
		if err != nil {
			return err
		}
		if p := cluster.ParseSync(key.Value); p.Leader != pic.Leader || len(p.Voters) != len(pic.Members)-1 {
			return fmt.Errorf("%s is promised", key.Value)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
