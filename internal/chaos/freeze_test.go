package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var freezeGuard = flag.String("freeze.guard", "on", "whether the agents that are frozen have a guard; off shows what happens without")

// The lease of these clusters, and how long after its end another member may take to accept writes.
const (
	frozenTTL  = 20 * time.Second
	takesOver  = 2 * time.Second
	lastMargin = frozenTTL / 12 // what the guard takes of it in the end
)

// field is a cluster with a client that writes at every server, and a watchman.
type field struct {
	*Agents

	t        *testing.T
	direct   *stubborn
	watchman *Watchman
	leads    *leads
	// What earlier freezes did: two servers at once, and rows lost.
	together time.Duration
	lost     losses
}

// newField starts everything and waits until it is whole.
func newField(ctx context.Context, t *testing.T) (*field, Picture) {
	t.Helper()
	f := &field{Agents: agents(t, AgentsConfig{Env: []string{"PGBATON_GUARD=" + *freezeGuard}}), t: t}
	pic := running(ctx, t, f.Agents)
	f.direct = writeDirectly(ctx, t, f.Agents, pic.Leader)
	var err error
	one := "postgres://postgres:" + agentsPassword + "@" + net.JoinHostPort(pic.Led().Address, "5432") + "/postgres?sslmode=disable"
	if f.watchman, err = StartWatchman(ctx, f.Places(), one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.watchman.Stop)
	if f.leads, err = watchLeads(ctx, f.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.leads.close)
	f.written(ctx)
	return f, pic
}

// written waits until a row is acknowledged.
func (f *field) written(ctx context.Context) {
	f.t.Helper()
	if _, err := f.direct.after(ctx, time.Now(), ""); err != nil {
		f.t.Fatal(err)
	}
}

func (f *field) signal(member string, s syscall.Signal) {
	f.t.Helper()
	if err := f.Signal(member, s); err != nil {
		f.t.Fatal(err)
	}
}

// guards are the processes of a member's guards: one, or two for a moment while one agent takes over from another.
func (f *field) guards(member string) []int {
	f.t.Helper()
	all, err := parts(f.DataDir(member))
	if err != nil {
		f.t.Fatal(err)
	}
	var pids []int
	for _, p := range all {
		if p.is(filepath.Base(f.cfg.Program), "guard") {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// awaitGuard waits until the leader has exactly one guard, another one than before, that has its order: one that has none
// yet ends with its agent.
func (f *field) awaitGuard(ctx context.Context, member string, not int) int {
	f.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		pids := f.guards(member)
		if len(pids) == 1 && pids[0] != not && armed(pids[0]) {
			return pids[0]
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			f.t.Fatalf("the guards of %s are %v", member, pids)
		}
	}
}

// armed reports whether a timer of the process is set, as the kernel tells.
func armed(pid int) bool {
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	return err == nil && slices.ContainsFunc(descriptors, func(path string) bool {
		text, err := os.ReadFile(path)
		_, value, timer := strings.Cut(string(text), "it_value: (")
		return err == nil && timer && !strings.HasPrefix(value, "0, 0)")
	})
}

// thaw is what a freeze did.
type thaw struct {
	member string
	frozen time.Duration
	// lastWrite is the last row that the frozen member's server took, newLeader the first one of another server; both
	// since the freeze began, zero for none.
	lastWrite, newLeader time.Duration
	// changes of the leader key, and how long two servers took rows at once.
	changes  int
	together time.Duration
	lost     losses
	// back is the time from SIGCONT until all was whole.
	back time.Duration
}

// freeze stops the leader's agent for a while and waits until all is whole again.
func (f *field) freeze(ctx context.Context, d time.Duration) (thaw, error) {
	before, err := f.Await(ctx, f.Whole)
	if err != nil {
		return thaw{}, err
	}
	r := thaw{member: before.Leader, frozen: d}
	changes := f.leads.count()
	began := time.Now()
	if err := f.Signal(r.member, syscall.SIGSTOP); err != nil {
		return r, err
	}
	// However long it takes others to notice, it is the length of the freeze that is tried here.
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
	thawed := time.Now()
	if err := f.Signal(r.member, syscall.SIGCONT); err != nil {
		return r, err
	}
	after, err := f.whole(ctx, thawed)
	if err != nil {
		return r, err
	}
	r.back, r.changes = time.Since(thawed), f.leads.count()-changes
	if other, err := f.direct.after(stopped(), began, r.member); err == nil {
		r.newLeader = other.At.Sub(began)
		r.lastWrite = f.direct.lastBefore(r.member, other.At).Sub(began)
	}
	together := f.direct.together()
	lost, err := f.direct.audit(ctx, after.Leader)
	r.together, r.lost = together-f.together, losses{lost.all - f.lost.all, lost.late - f.lost.late}
	f.together, f.lost = together, lost
	return r, errors.Join(err, f.watchman.Report())
}

// stopped is a context that has ended: what is waited for with it is there or not.
func stopped() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// whole waits until all is whole, and a row was acknowledged after the instant.
func (f *field) whole(ctx context.Context, since time.Time) (Picture, error) {
	if _, err := f.direct.after(ctx, since, ""); err != nil {
		return Picture{}, err
	}
	return f.Await(ctx, f.Whole)
}

// lastBefore is when a server acknowledged its last row before an instant.
func (s *stubborn) lastBefore(server string, before time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var at time.Time
	for _, r := range s.rows {
		if r.Server == server && r.At.Before(before) {
			at = r.At
		}
	}
	return at
}

// wrong says what a freeze must not have done.
func (r thaw) wrong() error {
	var errs []error
	deny := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	deny(r.together > 0, "two servers took rows at once for %s", r.together)
	deny(r.lost.late > 0, "%d rows are lost that replicas must have had", r.lost.late)
	// The lease was renewed up to a second before the freeze.
	if r.frozen < frozenTTL-lastMargin-time.Second {
		deny(r.changes > 0, "the leader key changed %d times", r.changes)
		deny(r.lost.all > 0, "%d rows are lost", r.lost.all)
	}
	if r.frozen > frozenTTL+takesOver {
		deny(r.newLeader == 0, "nobody took over")
		deny(r.newLeader > frozenTTL+takesOver, "another server took rows only after %s", r.newLeader)
		deny(r.lastWrite > frozenTTL, "the server took rows for %s", r.lastWrite)
	}
	return errors.Join(errs...)
}

func (r thaw) String() string {
	return fmt.Sprintf("%s frozen for %s: its last row after %d ms, the first of another server after %d ms, two at once for %s, %d rows lost, back %d ms after it",
		r.member, r.frozen, r.lastWrite.Milliseconds(), r.newLeader.Milliseconds(), r.together, r.lost.all, r.back.Milliseconds())
}

// A leader's agent that is stopped for longer than its lease: its server is gone before another one takes writes, nothing
// that was streamed is lost, and once it goes on it follows the new leader (rule S3).
func TestFrozenAgent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f, pic := newField(ctx, t)
	r, err := f.freeze(ctx, frozenTTL+takesOver+time.Second)
	t.Log(r)
	if err := errors.Join(err, r.wrong()); err != nil {
		t.Error(err)
	}
	if log := f.Output(pic.Leader, 1000); !strings.Contains(log, "the guard stopped the server") || !strings.Contains(log, "pgbaton guard: stopped") {
		t.Error("the agent says nothing of what its guard did")
	}
	if _, err := os.Stat(f.DataDir(pic.Leader) + ".guard-note"); err == nil {
		t.Error("the note is still there")
	}
	if err := f.Leave(ctx); err != nil {
		t.Error(err)
	}
	if left, err := parts(f.Dir()); err != nil || len(left) > len(f.EtcdNames()) {
		t.Errorf("left behind after all agents ended: %v %v", left, err)
	}
}

// What happens to agent and guard while the server is well, one after the other: nobody notices, until an agent is killed
// and nobody starts it again.
func TestAgentsAndGuardsThatEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f, pic := newField(ctx, t)
	leader, server := pic.Leader, pic.Led().Postmaster
	began := time.Now()
	guard := f.awaitGuard(ctx, leader, 0)
	sized(t, guard)

	killed := time.Now()
	if err := signalBelow(f.Dir(), unix.SIGKILL, guard); err != nil {
		t.Fatal(err)
	}
	guard = f.awaitGuard(ctx, leader, guard)
	t.Logf("another guard %d ms after the first was killed", time.Since(killed).Milliseconds())

	f.signal(leader, syscall.SIGKILL)
	if got := f.guards(leader); len(got) != 1 || got[0] != guard {
		t.Errorf("the guards of a dead agent are %v, want %d", got, guard)
	}
	if err := f.Start(leader); err != nil {
		t.Fatal(err)
	}
	f.awaitGuard(ctx, leader, guard)
	await(ctx, t, f.Agents, f.Leads(leader))

	if r, err := f.freeze(ctx, 2*time.Second); err != nil || r.changes > 0 {
		t.Errorf("a short freeze: %s: %v", r, err)
	}
	if got := f.Postmaster(leader); got != server {
		t.Errorf("the server was process %d and is %d", server, got)
	}
	silence := f.direct.longestSilence(began)
	t.Logf("the longest time without a row until now: %d ms", silence.Milliseconds())
	if silence > time.Second || f.leads.count() != 1 {
		t.Errorf("it was noticed: no row for %s, %d leaders", silence, f.leads.count())
	}

	killed = time.Now()
	f.signal(leader, syscall.SIGKILL)
	other, err := f.direct.after(ctx, killed, leader)
	if err != nil {
		t.Fatal(err)
	}
	last := f.direct.last(leader)
	t.Logf("nobody starts the agent again: the last row of its server after %d ms, the first of another after %d ms",
		last.Sub(killed).Milliseconds(), other.At.Sub(killed).Milliseconds())
	if took := other.At.Sub(killed); took > frozenTTL+takesOver || !last.Before(other.At) {
		t.Errorf("the new leader took rows after %s, the old one until %s", took, last.Sub(killed))
	}
	if got := f.guards(leader); len(got) > 0 {
		t.Errorf("the guard stays without agent and server: %v", got)
	}
	await(ctx, t, f.Agents, f.Leads(other.Server))
	lost, err := f.direct.audit(ctx, other.Server)
	if err := errors.Join(err, f.watchman.Report()); err != nil || lost.late > 0 || f.direct.together() > 0 {
		t.Errorf("%d rows lost, %d of them long before, two servers at once for %s: %v", lost.all, lost.late, f.direct.together(), err)
	}
	t.Logf("%d rows lost", lost.all)
	if err := f.Start(leader); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, f.Agents, f.Leads(other.Server))
}

// Whoever turns the guard off is told what that means, and has none.
func TestNoGuard(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f := &field{Agents: agents(t, AgentsConfig{Members: 1, Env: []string{"PATRONI_GUARD=off"}}), t: t}
	pic := running(ctx, t, f.Agents)
	has(t, "the log", f.Output(pic.Leader, 1000), "WARNING: ", "the guard is turned off")
	if got := f.guards(pic.Leader); len(got) > 0 {
		t.Errorf("there are guards: %v", got)
	}
}

// The guard is a part of a program of tens of megabytes, of which it is to keep nothing that it does not need.
func sized(t *testing.T, pid int) {
	t.Helper()
	const enough = 12 << 10 // kB
	memory := map[string]int{}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "kB" {
			memory[fields[0]], _ = strconv.Atoi(fields[1])
		}
	}
	t.Logf("the guard has %d kB, %d kB of them for itself", memory["VmRSS:"], memory["RssAnon:"])
	if memory["VmRSS:"] > enough || memory["VmRSS:"] == 0 {
		t.Errorf("the guard has %d kB", memory["VmRSS:"])
	}
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
