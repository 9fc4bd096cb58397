package etcd3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/embedded"
	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
)

// memberVariable makes the test program an etcd member instead, so that it can be stopped and killed.
const memberVariable = "PGBATON_TEST_ETCD_MEMBER"

func TestMain(m *testing.M) {
	if text := os.Getenv(memberVariable); text != "" {
		if err := runMember(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runMember runs the described member until standard input ends.
func runMember(text string) error {
	var member embedded.Member
	if err := json.Unmarshal([]byte(text), &member); err != nil {
		return err
	}
	member.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	server, err := embedded.Start(ctx, member)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// process is a member in a process of its own.
type process struct {
	url string
	cmd *exec.Cmd
}

// signal sends the signal, and for SIGSTOP returns when every thread stands: until then a member on a busy machine may
// still answer a call.
func (p process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("signal %v to %s: %v", signal, p.url, err)
	}
	if signal != syscall.SIGSTOP {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WSTOPPED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatalf("wait until %s stands: %v", p.url, err)
		}
		return
	}
}

// startCluster runs three members and returns them by URL once each of them works.
func startCluster(t *testing.T) map[string]process {
	t.Helper()
	processes := map[string]process{}
	for _, member := range embeddedtest.Members(t, 3) {
		p := startMember(t, member)
		processes[p.url] = p
	}
	for url := range processes {
		openStore(t, url)
	}
	return processes
}

func startMember(t *testing.T, member embedded.Member) process {
	t.Helper()
	member.Logger = nil
	text, err := json.Marshal(member)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), memberVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process, whatever happens to it
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start member: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return process{member.ClientURLs[0], cmd}
}

func urlsOf(processes map[string]process) []string {
	var urls []string
	for url := range processes {
		urls = append(urls, url)
	}
	return urls
}

func openStore(t *testing.T, urls ...string) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	store, err := Open(ctx, Config{Endpoints: urls})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// limit is the deadline of an agent in a hurry, or of a patient one if the other members have to elect a
// leader first.
func limit(t *testing.T, frozen *endpoint) time.Duration {
	t.Helper()
	maintenance := pb.NewMaintenanceClient(frozen.client.ActiveConnection())
	status, err := maintenance.Status(t.Context(), &pb.StatusRequest{})
	if err != nil {
		t.Fatalf("status of %s: %v", frozen.url, err)
	}
	if status.GetLeader() == status.GetHeader().GetMemberId() {
		return 10 * time.Second
	}
	return 3 * time.Second
}

// within calls with a deadline.
func within(t *testing.T, deadline time.Duration, what string, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	before := time.Now()
	if err := call(ctx); err != nil {
		t.Fatalf("%s after %v: %v", what, time.Since(before), err)
	}
	t.Logf("%s took %v of %v", what, time.Since(before).Round(time.Millisecond), deadline)
}

func TestFrozenMemberDoesNotStallCalls(t *testing.T) {
	members := startCluster(t)
	store := openStore(t, urlsOf(members)...)
	lease, err := store.Grant(t.Context(), time.Minute)
	if err != nil {
		t.Fatalf("grant: %v", err)
	}
	calls := map[string]func(context.Context) error{
		"read": func(ctx context.Context) error { _, err := store.List(ctx, "/"); return err },
		"write": func(ctx context.Context) error {
			_, err := store.Put(ctx, "/k", "v", kv.Always(), lease)
			return err
		},
		"renewal": func(ctx context.Context) error { _, err := store.Renew(ctx, lease); return err },
	}
	for name, call := range calls {
		current := store.order()[0]
		deadline := limit(t, current)
		members[current.url].signal(t, syscall.SIGSTOP)
		<-time.After(2 * trustFor) // a write within this moment would be lost, as on any connection
		within(t, deadline, name, call)
		if store.order()[0] == current {
			t.Errorf("the frozen member is still in use")
		}
		members[current.url].signal(t, syscall.SIGCONT)
		awaitUsable(t, current)
	}
}

func TestDeadMemberDoesNotStallCalls(t *testing.T) {
	members := startCluster(t)
	store := openStore(t, urlsOf(members)...)
	before, err := store.Put(t.Context(), "/k", "v", kv.Always(), 0)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	current := store.order()[0]
	deadline := limit(t, current)
	members[current.url].signal(t, syscall.SIGKILL)
	<-time.After(2 * trustFor)
	within(t, deadline, "write", func(ctx context.Context) error {
		_, err := store.Put(ctx, "/k", "v2", kv.IfVersion(before), 0)
		return err
	})
}

func TestWatchBreaksSoonAfterItsMemberFroze(t *testing.T) {
	members := startCluster(t)
	store := openStore(t, urlsOf(members)...)
	version, err := store.Put(t.Context(), "/k", "1", kv.Always(), 0)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	events := store.Watch(t.Context(), "/", version-1)
	<-events
	current := store.order()[0]
	deadline := limit(t, current)
	members[current.url].signal(t, syscall.SIGSTOP)
	within(t, deadline, "read", func(ctx context.Context) error { _, err := store.List(ctx, "/"); return err })
	within(t, deadline, "write", func(ctx context.Context) error {
		_, err := store.Put(ctx, "/k", "2", kv.Always(), 0)
		return err
	})
	select {
	case event, ok := <-events:
		if ok {
			t.Fatalf("got event %+v of a frozen member", event)
		}
	case <-time.After(2 * grace):
		t.Fatal("the watch neither delivers nor breaks")
	}
	if event := <-store.Watch(t.Context(), "/", version); event.Value != "2" {
		t.Fatalf("got event %+v, want what the broken watch missed", event)
	}
}

func TestLostMajorityIsUnavailable(t *testing.T) {
	members := startCluster(t)
	urls := urlsOf(members)
	store := openStore(t, urls...)
	for _, url := range urls[1:] {
		members[url].signal(t, syscall.SIGSTOP)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	before := time.Now()
	_, _, err := store.Get(ctx, "/k")
	wantUnavailable(t, err)
	_, err = store.Put(ctx, "/k", "v", kv.IfAbsent(), 0)
	wantUnavailable(t, err)
	if took := time.Since(before); took > 1500*time.Millisecond {
		t.Errorf("answered after %v, want the deadline kept", took)
	}
	for _, url := range urls[1:] {
		members[url].signal(t, syscall.SIGCONT)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, _, err := store.Get(ctx, "/k"); err != nil {
		t.Fatalf("get with all members: %v", err)
	}
}

// awaitUsable waits until a member that was frozen takes part again.
func awaitUsable(t *testing.T, e *endpoint) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, err := e.usable(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not come back: %v", e.url, err)
		}
		wait(ctx, firstPause)
	}
}
