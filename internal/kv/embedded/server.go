package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// What an HA store of a few small documents needs.
const (
	quotaBytes     = 512 << 20
	keepHistory    = "1h"
	snapshotCount  = 10_000
	defragAboveMiB = 64
)

// errEnded is reported by a member that stopped without being closed and left no better reason.
var errEnded = errors.New("the etcd member stopped by itself: it was removed from its cluster, or its log says why")

// Server is a running member.
type Server struct {
	etcd *embed.Etcd
	// calls ends when Close begins, and with it the streams of clients.
	calls context.Context //nolint:containedctx // the life of the server, which no call's context is
	hang  context.CancelFunc

	close   sync.Once
	stopped chan struct{}
	err     error // written before stopped is closed
}

// Start runs the member. It returns when the member listens, which may be long before it is Ready:
// that takes a majority. The context bounds the start only, and with it how long a member that lost
// its data waits to be taken back.
func Start(ctx context.Context, member Member) (*Server, error) {
	if err := member.validate(); err != nil {
		return nil, err
	}
	hasData, err := member.prepareDir()
	if err != nil {
		return nil, err
	}
	how := begin{cluster: member.Cluster}
	if !hasData {
		if how, err = member.begin(ctx); err != nil {
			return nil, err
		}
	}
	s := &Server{stopped: make(chan struct{})}
	s.calls, s.hang = context.WithCancel(context.Background())
	lines := &bridge{to: member.Logger.With(slog.String("member", member.Name)), closing: s.calls.Done()}
	config, err := member.config(how, lines.logger(), grpc.ChainStreamInterceptor(s.hangUp))
	if err != nil {
		s.hang()
		return nil, err
	}
	if s.etcd, err = embed.StartEtcd(config); err != nil {
		s.hang()
		return nil, fmt.Errorf("start etcd member %s: %w", member.Name, explain(err))
	}
	if members, ok := s.etcd.Server.Cluster().(*membership.RaftCluster); ok {
		lines.members.Store(members)
	}
	go s.supervise() // ends with the member, at the latest in Close
	return s, nil
}

// config translates the description into etcd's.
func (m Member) config(how begin, logger *zap.Logger, options ...grpc.ServerOption) (*embed.Config, error) {
	peer, err := parseURL(m.PeerURL)
	if err != nil {
		return nil, err
	}
	var clients []url.URL
	for _, text := range m.ClientURLs {
		u, err := parseURL(text)
		if err != nil {
			return nil, err
		}
		clients = append(clients, u)
	}
	c := embed.NewConfig()
	c.Name, c.Dir = m.Name, m.Dir
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.ListenClientUrls, c.AdvertiseClientUrls = clients, clients
	c.InitialCluster, c.InitialClusterToken = clusterText(how.cluster), m.token()
	if how.existing {
		c.ClusterState = embed.ClusterStateFlagExisting
	}
	c.QuotaBackendBytes = quotaBytes
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, keepHistory
	c.SnapshotCount = snapshotCount
	c.BootstrapDefragThresholdMegabytes = defragAboveMiB
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	c.GRPCAdditionalServerOptions = options
	return c, nil
}

// hangUp ends the streams of clients when the member closes. Without it etcd waits for its clients to
// give up their watches, up to its request timeout of seven seconds.
func (s *Server) hangUp(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.calls, cancel)()
	return handle(srv, endingStream{stream, ctx})
}

// endingStream is a stream whose context ends earlier.
type endingStream struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // what gRPC asks a stream for
}

// Context implements grpc.ServerStream.
func (s endingStream) Context() context.Context { return s.ctx }

// supervise notes the end of the member, whoever ended it.
func (s *Server) supervise() {
	defer close(s.stopped)
	select {
	case s.err = <-s.etcd.Err():
	case <-s.etcd.Server.StopNotify():
		s.err = errEnded
	case <-s.calls.Done():
		<-s.etcd.Server.StopNotify()
	}
}

// Ready is closed when the member is part of a majority and serves clients.
func (s *Server) Ready() <-chan struct{} {
	return s.etcd.Server.ReadyNotify()
}

// Stopped is closed when the member does not run anymore, be it by Close or by itself; Err then says
// why. A member that stopped by itself must still be closed.
func (s *Server) Stopped() <-chan struct{} {
	return s.stopped
}

// Err returns why the member stopped by itself, nil while it runs and after Close.
func (s *Server) Err() error {
	select {
	case <-s.stopped:
		return s.err
	default:
		return nil
	}
}

// Close stops the member: it hands its leadership over, ends the calls of its clients and waits until
// nothing of it is left. Its data stays.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.hang()
		s.etcd.Close()
		<-s.stopped
	})
	return nil
}

// explain turns the errors people make into sentences.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: stop the program that listens there, or choose another address", err)
	}
	return err
}
