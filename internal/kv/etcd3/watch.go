package etcd3

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// Watch implements kv.Store. It waits for a member that works; from then on it is one stream of that
// member, and breaks with it: when the connection ends, the member loses its leader or is found dead,
// or the revision is compacted. The library's own watcher is not used because it hides all of these.
func (s *Store) Watch(ctx context.Context, prefix string, after kv.Version) <-chan kv.Event {
	events := make(chan kv.Event)
	started := s.goes(func() {
		defer close(events)
		s.follow(ctx, prefix, after, events)
	})
	if !started {
		close(events)
	}
	return events
}

func (s *Store) follow(ctx context.Context, prefix string, after kv.Version, to chan<- kv.Event) {
	ctx, cancel := s.bind(ctx)
	defer cancel()
	e, err := s.live(ctx)
	if err != nil {
		return
	}
	defer e.onBreak(cancel)()
	stream, err := openWatch(ctx, e, prefix, after)
	if err != nil {
		e.distrust()
		return
	}
	for {
		got, err := stream.Recv()
		if err != nil || got.GetCanceled() {
			e.distrust()
			return
		}
		for _, event := range got.GetEvents() {
			select {
			case to <- change(event):
			case <-ctx.Done():
				return
			}
		}
	}
}

// openWatch asks for everything below prefix from the revision after the given one on.
func openWatch(ctx context.Context, e *endpoint, prefix string, after kv.Version) (pb.Watch_WatchClient, error) {
	stream, err := pb.NewWatchClient(e.client.ActiveConnection()).Watch(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return nil, err
	}
	all := clientv3.OpGet(prefix, clientv3.WithPrefix())
	request := &pb.WatchCreateRequest{
		Key: all.KeyBytes(), RangeEnd: all.RangeBytes(), StartRevision: int64(after) + 1,
	}
	return stream, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}})
}

func change(event *clientv3.Event) kv.Event {
	return kv.Event{
		Key:     string(event.GetKv().GetKey()),
		Value:   string(event.GetKv().GetValue()),
		Version: kv.Version(event.GetKv().GetModRevision()),
		Deleted: event.GetType() == clientv3.EventTypeDelete,
	}
}
