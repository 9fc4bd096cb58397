package embedded

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// forgetful is a cluster whose leader drops changes of the membership without an answer.
type forgetful struct {
	clientv3.Cluster

	// drops is how many of the next changes are dropped; done, whether they take effect all the same.
	drops int
	done  bool

	removed, added bool
	calls          []string
}

func (f *forgetful) MemberRemove(ctx context.Context, _ uint64) (*clientv3.MemberRemoveResponse, error) {
	return nil, f.change(ctx, "remove", &f.removed, rpctypes.ErrMemberNotFound)
}

func (f *forgetful) MemberAdd(ctx context.Context, _ []string) (*clientv3.MemberAddResponse, error) {
	return nil, f.change(ctx, "add", &f.added, rpctypes.ErrPeerURLExist)
}

func (f *forgetful) change(ctx context.Context, what string, is *bool, already error) error {
	f.calls = append(f.calls, what)
	if *is {
		return already
	}
	if f.drops > 0 {
		f.drops--
		*is = f.done
		<-ctx.Done()
		return ctx.Err()
	}
	*is = true
	return nil
}

// A change that is never answered is asked for again, whether or not it took effect.
func TestRejoinAsksAgainWhenNothingIsAnswered(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*forgetful{"dropped": {drops: 2}, "only the answer was lost": {drops: 2, done: true}} {
		want := map[bool][]string{
			false: {"remove", "remove", "remove", "add"},
			true:  {"remove", "remove", "add", "add"},
		}[f.done]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := Member{Name: "etcd-node3", PeerURL: "http://127.0.0.3:2380", Logger: slog.New(slog.DiscardHandler)}
				members := []*membership.Member{{ID: types.ID(3), Attributes: membership.Attributes{Name: m.Name}}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := m.replace(ctx, f, members); err != nil {
					t.Fatalf("not back in the cluster after a minute: %v", err)
				}
				if diff := cmp.Diff(want, f.calls); diff != "" {
					t.Errorf("changes asked for (-want +got):\n%s", diff)
				}
			})
		})
	}
}
