package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Destroy removes the platform without a trace. It may be called in every state, and kills what runs. After an
// orderly Stop an error names what was left behind all the same. It does its work also when the context has ended.
func (p *Platform) Destroy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyWithin)
	defer cancel()
	stopped := !p.running.lives()
	var errs []error
	if !stopped {
		errs = append(errs, p.running.kill())
	}
	errs = append(errs, p.killAll(ctx))
	errs = append(errs, p.removeSockets(stopped))
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	p.peers.Close()
	p.http.CloseIdleConnections()
	if p.dir != "" {
		errs = append(errs, os.RemoveAll(p.dir))
	}
	return errors.Join(append(errs, p.held.Close())...)
}

// removeSockets removes the folders of the servers' sockets that lie elsewhere because their paths would be too long
// otherwise. After an orderly end none should be there.
func (p *Platform) removeSockets(stopped bool) error {
	var errs []error
	for dir := range p.sockets {
		if _, err := os.Lstat(dir); err != nil || !strings.HasPrefix(filepath.Base(dir), "pgbaton-") {
			continue
		}
		if stopped {
			errs = append(errs, errors.New("left behind: "+dir))
		}
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

func (p *Platform) killAll(ctx context.Context) error {
	if p.dir == "" {
		return nil
	}
	return killBelow(ctx, p.dir)
}

// killBelow kills until nothing that belongs to the folder runs: a process may start another one before it dies.
func killBelow(ctx context.Context, dir string) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		left, err := parts(dir)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, l := range left {
			// One that is gone by now is what is wanted; one that cannot be killed is seen again.
			_ = kill(dir, l.pid)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("kill what is left: %w: %v", context.Cause(ctx), left)
		}
	}
}
