package up

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Fresh reports whether nothing was ever started from the state directory, so that nothing in it can be what uses a
// port.
func Fresh(stateDir string) bool {
	_, err := os.Stat(filepath.Join(stateDir, etcdNotes))
	return errors.Is(err, fs.ErrNotExist)
}

// etcdNotes is the file that the keeper of the etcd members begins before it starts the first of them.
const etcdNotes = "etcd.json"

// CheckPorts makes sure that everything can be listened on, before anything is started.
func (l Layout) CheckPorts(ctx context.Context, p Ports) error {
	if err := free(ctx, l.Listen.Addr().String(), int(l.Listen.Port()), int(p.Writes), int(p.LeaderAPI), int(p.Reads), int(p.Statistics)); err != nil {
		return err
	}
	for _, e := range l.Etcd {
		if err := free(ctx, e.Address.String(), EtcdClientPort, EtcdPeerPort); err != nil {
			return err
		}
	}
	return nil
}

// free reports whether the ports can be listened on.
func free(ctx context.Context, address string, ports ...int) error {
	for _, port := range ports {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("port %d on %s cannot be listened on (%w): end what uses it, or choose another --network", port, address, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// CheckReach makes sure that the servers' user can pass through every folder above the state directory.
func CheckReach(stateDir string, cred *syscall.Credential) error {
	if cred == nil {
		return nil
	}
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	for dir != "/" {
		dir = filepath.Dir(dir)
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it will be made, open
		}
		if err != nil {
			return fmt.Errorf("--state-dir: %w", err)
		}
		if !passes(info, cred) {
			return fmt.Errorf("--state-dir %s: the user who runs the servers cannot pass through %s; choose another directory, or open it with chmod o+x",
				stateDir, dir)
		}
	}
	return nil
}

// passes reports whether a user may pass through a folder, by the bits that apply to that user.
func passes(info fs.FileInfo, cred *syscall.Credential) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	switch {
	case stat.Uid == cred.Uid:
		return info.Mode()&0o100 != 0
	case stat.Gid == cred.Gid:
		return info.Mode()&0o010 != 0
	}
	return info.Mode()&0o001 != 0
}
