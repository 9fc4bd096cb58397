package etcd3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/credentials"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// endpoint is one member and the connection to it, which is made when first used.
type endpoint struct {
	url    string
	client *clientv3.Client

	mu sync.Mutex
	// heard is when the last complete answer came; zero when it must be asked before it is trusted.
	heard time.Time
	// streams ends when the endpoint is found dead, long before the keepalive breaks its connection.
	streams context.Context //nolint:containedctx // the life of a connection, which no call's context is
	cut     context.CancelFunc
}

// openEndpoint prepares the connection; it does no I/O.
func openEndpoint(url string, config Config, token credentials.PerRPCCredentialsBundle) (*endpoint, error) {
	e := &endpoint{url: url}
	e.streams, e.cut = context.WithCancel(context.Background())
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{url},
		TLS:                  config.TLS,
		DialKeepAliveTime:    config.KeepAlive,
		DialKeepAliveTimeout: config.KeepAliveTimeout,
		MaxUnaryRetries:      1, // one attempt: see the package comment
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			// Not the library's Username: with it, opening any stream authenticates anew, which
			// costs a member a password hash per renewal.
			grpc.WithPerRPCCredentials(token.PerRPCCredentials()),
			grpc.WithContextDialer(dialer(config)),
			grpc.WithChainUnaryInterceptor(failFast),
			grpc.WithConnectParams(grpc.ConnectParams{
				// A member that comes back is used within a second.
				Backoff: backoff.Config{
					BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
				},
				MinConnectTimeout: config.DialTimeout,
			}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare connection to etcd %s: %w", url, err)
	}
	e.client = client
	return e, nil
}

// failFast undoes the library's wish to wait for a connection: a race has other endpoints to ask, and the
// error of a connection that fails says why, while that of a context that ends does not.
func failFast(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	return invoke(ctx, method, request, reply, conn, append(options, grpc.WaitForReady(false))...)
}

// dialer connects by TCP, host names looked up in the alias table first.
func dialer(config Config) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && config.Resolve[host] != "" {
			address = net.JoinHostPort(config.Resolve[host], port)
		}
		dialer := net.Dialer{Timeout: config.DialTimeout}
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// answered notes a complete answer.
func (e *endpoint) answered(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = at
}

// distrust makes the next call ask before it relies on this endpoint.
func (e *endpoint) distrust() {
	e.answered(time.Time{})
}

// trusted reports whether it answered within the last d.
func (e *endpoint) trusted(d time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Since(e.heard) < d
}

// breakStreams ends the watches through this endpoint.
func (e *endpoint) breakStreams() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut()
	e.streams, e.cut = context.WithCancel(context.Background())
}

// onBreak calls cancel when the watches through this endpoint are to end, unless stop was called before.
func (e *endpoint) onBreak(cancel context.CancelFunc) (stop func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return context.AfterFunc(e.streams, cancel)
}

// usable asks the member whether it takes part in a working cluster, by a read that needs a majority: the
// member's own opinion is worth nothing for the second or two until it misses its leader. Any key will
// do; etcd looks at permissions when the majority has answered.
func (e *endpoint) usable(ctx context.Context) (struct{}, error) {
	_, err := e.client.Get(ctx, "\x00", clientv3.WithCountOnly())
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		err = nil
	}
	return struct{}{}, err
}

func (e *endpoint) close() error {
	e.mu.Lock()
	e.cut()
	e.mu.Unlock()
	return e.client.Close()
}
