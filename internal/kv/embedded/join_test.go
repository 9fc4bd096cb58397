package embedded_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
)

func TestThreeMembersServeOneStore(t *testing.T) {
	t.Parallel()
	members := embeddedtest.Members(t, 3)
	servers := embeddedtest.Run(t, members...)
	put(t, members[0].ClientURLs[0], "/k", "1")
	wantValue(t, members[2].ClientURLs[0], "/k", "1")

	_ = servers[0].Close()
	put(t, members[1].ClientURLs[0], "/k", "2")
	wantValue(t, members[2].ClientURLs[0], "/k", "2")
	embeddedtest.Run(t, members[0])
	wantValue(t, members[0].ClientURLs[0], "/k", "2")
}

func TestLateMemberOfANewClusterJustStarts(t *testing.T) {
	t.Parallel()
	members := embeddedtest.Members(t, 3)
	embeddedtest.Run(t, members[:2]...)
	put(t, members[0].ClientURLs[0], "/k", "v")
	ids := memberIDs(t, members[0].ClientURLs[0])
	embeddedtest.Run(t, members[2])
	wantValue(t, members[2].ClientURLs[0], "/k", "v")
	if id := memberIDs(t, members[0].ClientURLs[0])[members[2].Name]; ids[members[2].Name] != id {
		t.Errorf("the late member got another identity %x", id)
	}
}

func TestMemberWithLostDataRejoinsAsANewOne(t *testing.T) {
	t.Parallel()
	members := embeddedtest.Members(t, 3)
	servers := embeddedtest.Run(t, members...)
	lost := members[2]
	put(t, members[0].ClientURLs[0], "/k", "v")
	before := memberIDs(t, members[0].ClientURLs[0])
	_ = servers[2].Close()
	removeAll(t, lost.Dir)

	embeddedtest.Run(t, lost)
	wantValue(t, lost.ClientURLs[0], "/k", "v")
	after := memberIDs(t, members[0].ClientURLs[0])
	if len(after) != 3 || after[lost.Name] == before[lost.Name] {
		t.Errorf("got members %x, want three and another identity than %x", after, before)
	}
}

func TestRejoinGoesOnWhereItWasCutShort(t *testing.T) {
	t.Parallel()
	members := embeddedtest.Members(t, 3)
	servers := embeddedtest.Run(t, members...)
	lost := members[2]
	put(t, members[0].ClientURLs[0], "/k", "v")
	id := memberIDs(t, members[0].ClientURLs[0])[lost.Name]
	_ = servers[2].Close()
	removeAll(t, lost.Dir)
	client := rawClient(t, members[0].ClientURLs[0])
	removeMember(t, client, id)
	again := embeddedtest.Run(t, lost) // after "removed"
	wantValue(t, lost.ClientURLs[0], "/k", "v")

	id = memberIDs(t, members[0].ClientURLs[0])[lost.Name]
	_ = again[0].Close()
	removeAll(t, lost.Dir)
	removeMember(t, client, id)
	addMember(t, client, lost.PeerURL)
	embeddedtest.Run(t, lost) // after "removed and added"
	wantValue(t, lost.ClientURLs[0], "/k", "v")
	if ids := memberIDs(t, members[0].ClientURLs[0]); len(ids) != 3 {
		t.Errorf("got members %x, want three", ids)
	}
}

func TestLostMajorityIsSaid(t *testing.T) {
	t.Parallel()
	members := embeddedtest.Members(t, 3)
	servers := embeddedtest.Run(t, members...)
	for _, i := range []int{1, 2} {
		_ = servers[i].Close()
		removeAll(t, members[i].Dir)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	wantStartError(ctx, t, members[1], members[1].Dir, "start the other members first", "restore a snapshot")
}

func TestMemberOfAnExistingClusterWaitsForTheOthers(t *testing.T) {
	t.Parallel()
	members := embeddedtest.Members(t, 3)
	servers := embeddedtest.Run(t, members...)
	put(t, members[0].ClientURLs[0], "/k", "v")
	for _, server := range servers {
		_ = server.Close()
	}
	removeAll(t, members[2].Dir)
	members[2].Existing = true
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	wantStartError(ctx, t, members[2], "none of them answers", "start the other members first")

	embeddedtest.Run(t, members[:2]...)
	embeddedtest.Run(t, members[2])
	wantValue(t, members[2].ClientURLs[0], "/k", "v")
}

func TestPeerOfAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	stranger := embeddedtest.Members(t, 1)[0]
	embeddedtest.Run(t, stranger)
	member := embeddedtest.Members(t, 2)[0]
	member.Cluster["etcd-node2"] = stranger.PeerURL
	wantStartError(t.Context(), t, member, stranger.PeerURL, "belongs to cluster", "check its peer URL")
}

// memberIDs returns the identities by name as the member at the URL knows them.
func memberIDs(t *testing.T, url string) map[string]uint64 {
	t.Helper()
	list, err := rawClient(t, url).MemberList(limit(t))
	if err != nil {
		t.Fatalf("list members: %v", err)
	}
	ids := map[string]uint64{}
	for _, member := range list.Members {
		ids[member.Name] = member.ID
	}
	return ids
}

func rawClient(t *testing.T, url string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// removeMember and addMember change the membership as an administrator does, who tries again when etcd refuses: while it
// has not seen yet that a member is down, and, within the second in which a member was added, because the next one would get
// the same identity, which is removed. A change that comes while the leader has not applied the one before is dropped, and
// never answered.
func removeMember(t *testing.T, client *clientv3.Client, id uint64) {
	t.Helper()
	change(t, "remove", func(ctx context.Context) error {
		_, err := client.MemberRemove(ctx, id)
		if errors.Is(err, rpctypes.ErrMemberNotFound) {
			return nil // done by a try whose answer was lost
		}
		return err
	})
}

func addMember(t *testing.T, client *clientv3.Client, url string) {
	t.Helper()
	change(t, "add", func(ctx context.Context) error {
		_, err := client.MemberAdd(ctx, []string{url})
		if errors.Is(err, rpctypes.ErrPeerURLExist) {
			return nil // done by a try whose answer was lost
		}
		return err
	})
}

func change(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	end := limit(t)
	for {
		ctx, cancel := context.WithTimeout(end, 2*time.Second)
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-end.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func removeAll(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
