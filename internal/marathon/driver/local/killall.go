package local

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// killPatience bounds how long killed processes may take to disappear: one that waits for a disk does not die before
// the disk answers.
const killPatience = 30 * time.Second

// killAll ends every process that works in one of the folders, and the main processes given, wherever they work. All are
// stopped before the first is killed, so that none can act on the death of another: a postmaster would start crash
// recovery, a supervisor a new child.
func killAll(dirs []string, mains ...identity) error {
	deadline := time.Now().Add(killPatience)
	for {
		found, err := freeze(dirs)
		for _, id := range mains {
			if p, lives := adopt(id, id.Boot); lives {
				found = append(found, p)
			}
		}
		for _, p := range found {
			err = errors.Join(err, p.signal(unix.SIGKILL))
		}
		for _, p := range found {
			if late := p.wait(deadline); late != nil {
				err = errors.Join(err, fmt.Errorf("process %d does not end: %w", p.id.PID, late))
			}
			p.close()
		}
		if err != nil || len(found) == 0 {
			return err
		}
	}
}

// freeze stops every process that works in one of the folders. A process forked in the meantime is found by another
// look, until a look finds nobody new: the stopped ones fork no more.
func freeze(dirs []string) ([]*held, error) {
	var found []*held
	seen := map[int]bool{}
	for {
		list, err := pids()
		if err != nil {
			return found, err
		}
		before := len(found)
		for _, pid := range list {
			if seen[pid] || !worksIn(pid, dirs) {
				continue
			}
			p, err := hold(pid)
			if err != nil {
				continue // ended in between
			}
			if !worksIn(pid, dirs) { // the pid was reused before the handle was open
				p.close()
				continue
			}
			seen[pid] = true
			found = append(found, p)
			if err := p.signal(unix.SIGSTOP); err != nil {
				return found, err
			}
		}
		if len(found) == before {
			return found, nil
		}
	}
}
