package service

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Manager tells the service manager how the agent is getting on. Where there is none, nothing happens.
//
// The socket is named by NOTIFY_SOCKET, which must not reach the programs that the agent starts: what they say there
// would be taken for the agent's words.
type Manager struct{ log *slog.Logger }

// NewManager makes the adapter.
func NewManager(log *slog.Logger) Manager { return Manager{log} }

// Ready says that the agent does its work, from the start on or again.
func (m Manager) Ready(ctx context.Context) { m.tell(ctx, daemon.SdNotifyReady) }

// Reloading says that the configuration is read again. Ready has to follow.
func (m Manager) Reloading(ctx context.Context) {
	m.tell(ctx, fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, monotonic()/time.Microsecond))
}

// Stopping says that the agent leaves.
func (m Manager) Stopping(ctx context.Context) { m.tell(ctx, daemon.SdNotifyStopping) }

func (m Manager) tell(ctx context.Context, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.WarnContext(ctx, "the service manager was not told", slog.String("state", state), slog.Any("err", err))
	}
}

// monotonic is the reading of CLOCK_MONOTONIC, by which the service manager knows an old message from a new one.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
