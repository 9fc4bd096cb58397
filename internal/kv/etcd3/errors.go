package etcd3

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/status"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// errClosed is the cause of calls on a closed store.
var errClosed = errors.New("the connection to etcd is closed")

// tokenRefused reports whether etcd refused a request for its token alone. All three are found before
// anything is written: the token when the request arrives, the user and the revision of the user table
// when its turn comes.
func tokenRefused(err error) bool {
	return errors.Is(err, rpctypes.ErrUserEmpty) ||
		errors.Is(err, rpctypes.ErrInvalidAuthToken) ||
		errors.Is(err, rpctypes.ErrAuthOldRevision)
}

// translate maps an error of the client library to those of the port. Whatever is not known to be
// definite is kv.ErrUnavailable, "not a primary lessor" of a member that just lost its leadership
// included.
func (s *Store) translate(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return fmt.Errorf("%w: etcd does not know it", kv.ErrLost)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("etcd refuses user %q: check user name and password", s.config.Username)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return errors.New("etcd demands authentication: give a user name and password")
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("etcd denies user %q: grant it read and write access to the prefix", s.config.Username)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: etcd has used up its quota; compact, defragment, then disarm the alarm", kv.ErrUnavailable)
	case s.life.Err() != nil:
		return fmt.Errorf("%w: %w", kv.ErrUnavailable, errClosed)
	case ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)):
		return fmt.Errorf("%w: %w: %w", kv.ErrUnavailable, context.Cause(ctx), plain(err))
	}
	return fmt.Errorf("%w: %w", kv.ErrUnavailable, plain(err))
}

// plain strips an error of gRPC's frame, which says nothing to a reader.
func plain(err error) error {
	if framed, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return errors.New(framed.GRPCStatus().Message())
	}
	return err
}
