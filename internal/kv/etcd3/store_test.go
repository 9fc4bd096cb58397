package etcd3

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
)

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, kv.ErrUnavailable) {
		t.Fatalf("got error %v, want %v", err, kv.ErrUnavailable)
	}
}

// reluctant is an etcd server that counts what it is asked and answers every write with err.
type reluctant struct {
	pb.UnimplementedKVServer
	pb.UnimplementedLeaseServer

	err   error
	calls atomic.Int32
}

func (r *reluctant) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{}, nil
}

func (r *reluctant) Txn(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) {
	r.calls.Add(1)
	return nil, r.err
}

func (r *reluctant) LeaseGrant(context.Context, *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	r.calls.Add(1)
	return nil, r.err
}

func (r *reluctant) LeaseRevoke(context.Context, *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	r.calls.Add(1)
	return nil, r.err
}

func (r *reluctant) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	r.calls.Add(1)
	return r.err
}

// serve runs the server on a free port and returns its address.
func serve(t *testing.T, r *reluctant, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	pb.RegisterKVServer(server, r)
	pb.RegisterLeaseServer(server, r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

func TestWriteIsSentAtMostOnce(t *testing.T) {
	refusals := []error{
		status.Error(codes.Canceled, "context canceled"),
		status.Error(codes.DeadlineExceeded, "context deadline exceeded"),
		status.Error(codes.Unavailable, "etcdserver: request timed out"),
		status.Error(codes.Unavailable, "there is no connection available"),
		status.Error(codes.Unknown, "not a primary lessor"),
		status.Error(codes.FailedPrecondition, "etcdserver: not leader"),
		status.Error(codes.ResourceExhausted, "etcdserver: too many requests"),
		status.Error(codes.Internal, "stream terminated"),
	}
	for _, refusal := range refusals {
		server := &reluctant{err: refusal}
		store := openStore(t, serve(t, server), serve(t, server))
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"Put":    func() error { _, err := store.Put(ctx, "/k", "v", kv.IfAbsent(), 0); return err },
			"Delete": func() error { return store.Delete(ctx, "/k", kv.Always()) },
			"Grant":  func() error { _, err := store.Grant(ctx, time.Minute); return err },
			"Revoke": func() error { return store.Revoke(ctx, 1) },
		} {
			t.Run(name+" "+status.Convert(refusal).Message(), func(t *testing.T) {
				server.calls.Store(0)
				err := call()
				wantUnavailable(t, err)
				if !strings.Contains(err.Error(), status.Convert(refusal).Message()) {
					t.Errorf("got error %q, want the cause in it", err)
				}
				if got := server.calls.Load(); got != 1 {
					t.Errorf("sent %d times", got)
				}
			})
		}
	}
}

func TestEndpointErrors(t *testing.T) {
	tests := []struct {
		name      string
		endpoints []string
		want      string
	}{
		{"none", nil, "no etcd endpoint"},
		{"no port", []string{"etcd-node1"}, `"etcd-node1": is not host:port`},
		{"no host", []string{":2379"}, "is not host:port"},
		{"other scheme", []string{"unix://etcd"}, "write http or https"},
		{"path", []string{"http://etcd:2379/v3"}, "has a path"},
		{"user", []string{"http://root:secret@etcd:2379"}, "carries a user"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), Config{Endpoints: tt.endpoints})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got error %v, want %q in it", err, tt.want)
			}
			if errors.Is(err, kv.ErrUnavailable) {
				t.Fatalf("error %v invites to try again", err)
			}
		})
	}
}

func TestUnreachableEtcdIsNamed(t *testing.T) {
	nobody, err := url.Parse(embeddedtest.FreeURL(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = Open(ctx, Config{Endpoints: []string{nobody.Host}})
	wantUnavailable(t, err)
	for _, part := range []string{"open etcd at " + nobody.Host, "connection refused", "deadline exceeded"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want %q in it", err, part)
		}
	}
}

func TestHostAliasIsResolved(t *testing.T) {
	member, err := url.Parse(embeddedtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, endpoint := range []string{"etcd-node1:" + member.Port(), "http://etcd-node1:" + member.Port()} {
		store, err := Open(ctx, Config{
			Endpoints: []string{endpoint},
			Resolve:   map[string]string{"etcd-node1": member.Hostname()},
		})
		if err != nil {
			t.Fatalf("open %s: %v", endpoint, err)
		}
		if _, err := store.Put(ctx, "/k", "v", kv.Always(), 0); err != nil {
			t.Errorf("put through %s: %v", endpoint, err)
		}
		_ = store.Close()
	}
}
