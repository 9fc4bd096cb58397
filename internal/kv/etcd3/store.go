package etcd3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/credentials"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// Store is an etcd cluster. It implements kv.Store and is safe for concurrent use.
type Store struct {
	config Config
	token  credentials.PerRPCCredentialsBundle

	// life ends when the store is closed; calls are all goroutines it started.
	life  context.Context //nolint:containedctx // the life of the connections, which no call's context is
	end   context.CancelCauseFunc
	calls sync.WaitGroup

	mu sync.Mutex
	// endpoints never becomes empty; the first one is in use. The slice is replaced, never changed.
	endpoints []*endpoint
}

// Open connects to the cluster and returns when one member answers for it, unless Config.Lazy is set. The error is
// kv.ErrUnavailable when none does before the context ends, and another sentence when trying again is
// of no use: an endpoint that is none, a user that is refused.
func Open(ctx context.Context, config Config) (*Store, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Store{config: config.withDefaults(), token: credentials.NewPerRPCCredentialBundle()}
	s.life, s.end = context.WithCancelCause(context.Background())
	for _, url := range config.Endpoints {
		e, err := openEndpoint(url, s.config, s.token)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.endpoints = append(s.endpoints, e)
	}
	rand.Shuffle(len(s.endpoints), func(i, j int) {
		s.endpoints[i], s.endpoints[j] = s.endpoints[j], s.endpoints[i]
	})
	if config.Lazy {
		return s, nil
	}
	if err := s.greet(ctx); err != nil {
		_ = s.Close() // nothing was done with it
		return nil, fmt.Errorf("open etcd at %s: %w", strings.Join(config.Endpoints, ", "), err)
	}
	return s, nil
}

// greet finds a member that works and, when there is a user, whether it is accepted.
func (s *Store) greet(ctx context.Context) error {
	e, err := s.live(ctx)
	if err == nil && s.config.Username != "" {
		err = s.authenticate(ctx, e)
	}
	return s.translate(ctx, err)
}

// authenticate fetches a new token, good for all endpoints. A cluster without authentication needs none.
func (s *Store) authenticate(ctx context.Context, e *endpoint) error {
	got, err := e.client.Authenticate(ctx, s.config.Username, s.config.Password.Reveal())
	if errors.Is(err, rpctypes.ErrAuthNotEnabled) {
		s.token.UpdateAuthToken("")
		return nil
	}
	if err != nil {
		return err
	}
	s.token.UpdateAuthToken(got.Token)
	return nil
}

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, key string) (kv.Pair, bool, error) {
	got, _, err := race(ctx, s, func(ctx context.Context, e *endpoint) (*clientv3.GetResponse, error) {
		return e.client.Get(ctx, key)
	})
	if err != nil {
		return kv.Pair{}, false, s.translate(ctx, err)
	}
	if len(got.Kvs) == 0 {
		return kv.Pair{}, false, nil
	}
	return pair(got.Kvs[0]), true, nil
}

// List implements kv.Store.
func (s *Store) List(ctx context.Context, prefix string) (kv.Snapshot, error) {
	got, _, err := race(ctx, s, func(ctx context.Context, e *endpoint) (*clientv3.GetResponse, error) {
		return e.client.Get(ctx, prefix, clientv3.WithPrefix()) // sorted by key, as etcd stores them
	})
	if err != nil {
		return kv.Snapshot{}, s.translate(ctx, err)
	}
	snapshot := kv.Snapshot{Revision: kv.Version(got.Header.Revision)}
	for _, p := range got.Kvs {
		snapshot.Pairs = append(snapshot.Pairs, pair(p))
	}
	return snapshot, nil
}

// Put implements kv.Store.
func (s *Store) Put(ctx context.Context, key, value string, cond kv.Condition, lease kv.LeaseID) (kv.Version, error) {
	return s.change(ctx, key, cond, clientv3.OpPut(key, value, clientv3.WithLease(clientv3.LeaseID(lease))))
}

// Delete implements kv.Store.
func (s *Store) Delete(ctx context.Context, key string, cond kv.Condition) error {
	if cond.Absent() {
		return kv.ErrConflict
	}
	_, err := s.change(ctx, key, cond, clientv3.OpDelete(key))
	return err
}

// change does the operation in one transaction with its condition and returns the new revision.
func (s *Store) change(ctx context.Context, key string, cond kv.Condition, op clientv3.Op) (kv.Version, error) {
	var compare []clientv3.Cmp
	refusal := kv.ErrConflict
	if cond.Absent() {
		compare = append(compare, clientv3.Compare(clientv3.CreateRevision(key), "=", 0))
		refusal = kv.ErrHeld
	} else if version, demanded := cond.Version(); demanded {
		if version <= 0 { // to etcd, 0 would mean that the key is absent
			return 0, kv.ErrConflict
		}
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "=", int64(version)))
	}
	var otherwise []clientv3.Op
	guard, guarded := cond.Guard()
	if guarded {
		if guard.Version <= 0 { // as above
			return 0, kv.ErrFenced
		}
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(guard.Key), "=", int64(guard.Version)))
		otherwise = append(otherwise, clientv3.OpGet(guard.Key, clientv3.WithKeysOnly()))
	}
	got, err := write(ctx, s, func(ctx context.Context, e *endpoint) (*clientv3.TxnResponse, error) {
		return e.client.Txn(ctx).If(compare...).Then(op).Else(otherwise...).Commit()
	})
	switch {
	case err != nil:
		return 0, s.translate(ctx, err)
	case got.Succeeded:
		return kv.Version(got.Header.Revision), nil
	case guarded && !holds(guard, got.Responses):
		return 0, kv.ErrFenced
	}
	return 0, refusal
}

// holds reports whether the guard is as demanded in the answer of a transaction that did not take place.
func holds(guard kv.Guard, answers []*pb.ResponseOp) bool {
	for _, answer := range answers {
		for _, p := range answer.GetResponseRange().GetKvs() {
			return kv.Version(p.GetModRevision()) == guard.Version
		}
	}
	return false
}

// Grant implements kv.Store. etcd lets a lease live longer than asked, never shorter: two seconds at
// least with its default timings, and a whole ttl anew when the members elect another leader.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (kv.LeaseID, error) {
	seconds := max(1, int64((ttl+time.Second-1)/time.Second))
	got, err := write(ctx, s, func(ctx context.Context, e *endpoint) (*clientv3.LeaseGrantResponse, error) {
		return e.client.Grant(ctx, seconds)
	})
	if err != nil {
		return 0, s.translate(ctx, err)
	}
	return kv.LeaseID(got.ID), nil
}

// Renew implements kv.Store. It is sent like a read, to another member when one is silent: twice does no harm.
func (s *Store) Renew(ctx context.Context, lease kv.LeaseID) (kv.Version, error) {
	revision, _, err := race(ctx, s, func(ctx context.Context, e *endpoint) (int64, error) {
		revision, err := keepAlive(ctx, e, int64(lease))
		return revision, rpctypes.Error(err)
	})
	return kv.Version(revision), s.translate(ctx, err)
}

// keepAlive is one renewal on a stream of its own; see the package comment for why it is not the
// library's. It returns the revision of the member that answered.
func keepAlive(ctx context.Context, e *endpoint, lease int64) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	stream, err := pb.NewLeaseClient(e.client.ActiveConnection()).LeaseKeepAlive(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: lease}); err != nil {
		return 0, err
	}
	got, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	if got.GetTTL() <= 0 {
		return 0, rpctypes.ErrGRPCLeaseNotFound
	}
	return got.GetHeader().GetRevision(), nil
}

// Revoke implements kv.Store.
func (s *Store) Revoke(ctx context.Context, lease kv.LeaseID) error {
	_, err := write(ctx, s, func(ctx context.Context, e *endpoint) (*clientv3.LeaseRevokeResponse, error) {
		return e.client.Revoke(ctx, clientv3.LeaseID(lease))
	})
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return s.translate(ctx, err)
}

// Close ends all watches and connections and waits for what it started. Later calls return
// kv.ErrUnavailable.
func (s *Store) Close() error {
	s.mu.Lock()
	s.end(errClosed)
	s.mu.Unlock()
	for _, e := range s.order() {
		_ = e.close() // only ever reports that it is closed
	}
	s.calls.Wait()
	return nil
}

func pair(p *mvccpb.KeyValue) kv.Pair {
	return kv.Pair{
		Key:     string(p.GetKey()),
		Value:   string(p.GetValue()),
		Version: kv.Version(p.GetModRevision()),
		Lease:   kv.LeaseID(p.GetLease()),
	}
}
