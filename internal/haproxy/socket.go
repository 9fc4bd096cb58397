package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// answerWithin bounds one command: HAProxy answers from memory, in well under a millisecond.
const answerWithin = 2 * time.Second

// runtime is HAProxy's runtime socket. Every command is a connection of its own: the answer ends where
// HAProxy closes it, so answers cannot get mixed up.
type runtime struct {
	path string
}

// ask sends one command and returns the answer as it stands.
func (r runtime) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("no answer within %v", answerWithin))
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", r.path)
	if err != nil {
		return "", fmt.Errorf("reach HAProxy's socket: %w", err)
	}
	defer conn.Close()                                                               //nolint:errcheck // everything was read
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // Closed already.
	defer stop()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("ask HAProxy %q: %w", command, reason(ctx, err))
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("ask HAProxy %q: %w", command, reason(ctx, err))
	}
	return string(answer), nil
}

// reason prefers why we stopped waiting to what the connection made of it.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
