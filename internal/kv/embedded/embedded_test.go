package embedded_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/embedded"
	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
)

func TestDataOutlivesTheMember(t *testing.T) {
	t.Parallel()
	member := embeddedtest.Members(t, 1)[0]
	first := embeddedtest.Run(t, member)[0]
	put(t, member.ClientURLs[0], "/k", "kept")
	if err := first.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	embeddedtest.Run(t, member)
	wantValue(t, member.ClientURLs[0], "/k", "kept")
}

func TestCloseDoesNotWaitForWatches(t *testing.T) {
	t.Parallel()
	member := embeddedtest.Members(t, 1)[0]
	server := embeddedtest.Run(t, member)[0]
	store := open(t, member.ClientURLs[0])
	events := store.Watch(t.Context(), "/", 0)
	put(t, member.ClientURLs[0], "/k", "v")
	<-events

	before := time.Now()
	if err := server.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if took := time.Since(before); took > 4*time.Second {
		t.Errorf("closing took %v", took)
	}
	if event, ok := <-events; ok {
		t.Errorf("got event %+v, want a broken watch", event)
	}
	<-server.Stopped()
	if err := server.Err(); err != nil {
		t.Errorf("got reason %v of a member that was closed", err)
	}
}

func TestMemberServesOnSeveralAddresses(t *testing.T) {
	t.Parallel()
	member := embeddedtest.Members(t, 1)[0]
	member.ClientURLs = append(member.ClientURLs, embeddedtest.FreeURL(t))
	embeddedtest.Run(t, member)
	put(t, member.ClientURLs[0], "/k", "v")
	wantValue(t, member.ClientURLs[1], "/k", "v")
}

func TestMemberIsQuietWhenAllIsWell(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	member := embeddedtest.Members(t, 1)[0]
	member.Logger = slog.New(slog.NewTextHandler(&log, nil))
	server := embeddedtest.Run(t, member)[0]
	put(t, member.ClientURLs[0], "/k", "v")
	_ = server.Close()
	if log.Len() > 0 {
		t.Fatalf("the log says:\n%s", log.String())
	}
}

func TestMemberTellsWhichOtherOneIsGone(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	members := embeddedtest.Members(t, 3)
	members[0].Logger = slog.New(slog.NewTextHandler(&log, nil))
	servers := embeddedtest.Run(t, members...)
	_ = servers[2].Close()
	put(t, members[0].ClientURLs[0], "/k", "v") // etcd-node1 goes on with etcd-node2
	_ = servers[0].Close()
	var inactive []string
	for line := range strings.Lines(log.String()) {
		if _, peer, ok := strings.Cut(line, "peer="); ok && strings.Contains(line, "inactive") {
			inactive = append(inactive, strings.TrimSpace(peer))
		}
	}
	if diff := cmp.Diff([]string{"etcd-node3"}, slices.Compact(inactive)); diff != "" {
		t.Fatalf("members said to be inactive (-want +got):\n%s\n%s", diff, log.String())
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = occupied.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*embedded.Member)
		want   []string
	}{
		{"client address in use", func(m *embedded.Member) {
			m.ClientURLs = []string{"http://" + occupied.Addr().String()}
		}, []string{occupied.Addr().String(), "address already in use", "stop the program"}},
		{"peer address in use", func(m *embedded.Member) {
			m.PeerURL = "http://" + occupied.Addr().String()
			m.Cluster = map[string]string{m.Name: m.PeerURL}
		}, []string{occupied.Addr().String(), "address already in use", "stop the program"}},
		{"directory is a file", func(m *embedded.Member) { m.Dir = file }, []string{file, "not a directory"}},
		{"no name", func(m *embedded.Member) { m.Name = "" }, []string{"no name"}},
		{"no directory", func(m *embedded.Member) { m.Dir = "" }, []string{"no data directory"}},
		{"no client URL", func(m *embedded.Member) { m.ClientURLs = nil }, []string{"no client URL"}},
		{"no logger", func(m *embedded.Member) { m.Logger = nil }, []string{"no logger"}},
		{"not in its cluster", func(m *embedded.Member) { m.Name = "stranger" }, []string{"stranger", "in its cluster"}},
		{"wildcard", func(m *embedded.Member) { m.ClientURLs = []string{"http://0.0.0.0:2379"} }, []string{"wildcard"}},
		{"no URL", func(m *embedded.Member) { m.ClientURLs = []string{"127.0.0.1:2379"} }, []string{"not http://host:port"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			member := embeddedtest.Members(t, 1)[0]
			tt.change(&member)
			wantStartError(t.Context(), t, member, tt.want...)
		})
	}
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	member := embeddedtest.Members(t, 1)[0]
	server := embeddedtest.Run(t, member)[0]
	wantStartError(t.Context(), t, member, "in use by another etcd process")
	_ = server.Close()

	otherToken := member
	otherToken.Token = "other"
	wantStartError(t.Context(), t, otherToken, member.Dir, "belongs to etcd member "+member.Name, "move this one away")

	otherName := member
	otherName.Name = "impostor"
	otherName.Cluster = map[string]string{"impostor": member.PeerURL}
	wantStartError(t.Context(), t, otherName, member.Dir, "not to member impostor")

	if err := os.Remove(filepath.Join(member.Dir, "pgbaton-member.json")); err != nil {
		t.Fatal(err)
	}
	wantStartError(t.Context(), t, member, member.Dir, "was not made here")
}

func wantStartError(ctx context.Context, t *testing.T, member embedded.Member, parts ...string) {
	t.Helper()
	server, err := embedded.Start(ctx, member)
	if err == nil {
		_ = server.Close()
		t.Fatalf("started, want an error with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want %q in it", err, part)
		}
	}
}

func open(t *testing.T, urls ...string) *etcd3.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	store, err := etcd3.Open(ctx, etcd3.Config{Endpoints: urls})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func put(t *testing.T, url, key, value string) {
	t.Helper()
	if _, err := open(t, url).Put(t.Context(), key, value, kv.Always(), 0); err != nil {
		t.Fatalf("put: %v", err)
	}
}

func wantValue(t *testing.T, url, key, value string) {
	t.Helper()
	pair, _, err := open(t, url).Get(t.Context(), key)
	if err != nil || pair.Value != value {
		t.Fatalf("got %q through %s, error %v; want %q", pair.Value, url, err, value)
	}
}
