package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// How every process of a server is known to go by a new setting.
//
// PostgreSQL tells nobody. But its postmaster handles one SIGHUP after another, and with each it signals all its children in
// one loop, the agent's own session among them; each child then reads the files itself, and pg_conf_load_time() says when a
// session did. Three times the agent sends a SIGHUP and waits until its own session has read the files:
//
//   - the first time may come of a loop that was under way when the file was written, and had passed some children by;
//   - so the second time comes of a loop that began later;
//   - and the third of one after that, so that the second has signalled every child.
//
// A process that sends WAL handles what it was signalled before it looks at the next answer of its standby (WalSndLoop in
// walsender.c). That commits wait at all, however, is a mark in shared memory that the checkpointer sets
// (SyncRepUpdateSyncStandbysDefined in syncrep.c), and a checkpointer may be deep in a disk. So where nobody was waited for
// before, it must be found asleep where it has nothing left to handle.
const loops = 3

// spreadNames are names that every process of one incarnation of the server is known to go by.
type spreadNames struct {
	pm   *postmaster
	text string
}

// forgetSpread is for a file that has nobody waited for: from then on the mark in shared memory may go.
func (s *Server) forgetSpread(written SyncNames) {
	if written.Text == "" {
		s.noteSpread(spreadNames{})
	}
}

func (s *Server) noteSpread(n spreadNames) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spreadTo = n
}

func (s *Server) lastSpread() spreadNames {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spreadTo
}

// notice is what the agent's session has read, and what the checkpointer is doing.
type notice struct {
	loaded       time.Time
	names        string
	checkpointer int
	event        string
}

const noticeQuestion = `SELECT pg_conf_load_time(), current_setting('synchronous_standby_names'), COALESCE(c.pid, 0), COALESCE(c.wait_event, '')
FROM (SELECT 1) AS one LEFT JOIN pg_stat_activity c ON c.backend_type = 'checkpointer'`

func (s *Server) notice(ctx context.Context, pm *postmaster) (n notice, err error) {
	err = s.query1(ctx, pm, noticeQuestion, &n.loaded, &n.names, &n.checkpointer, &n.event)
	return n, err
}

// spread has every process of the server read the configuration and waits until all have.
func (s *Server) spread(ctx context.Context, pm *postmaster, n SyncNames, changed bool) error {
	before := s.lastSpread()
	last, err := s.notice(ctx, pm)
	if err != nil {
		return err
	}
	if !changed && before == (spreadNames{pm, n.Text}) && sameNames(last.names, n.Text) {
		return nil
	}
	waited := before.pm == pm && before.text != "" && last.names != ""
	s.query.compareAgain.Store(true)
	for range loops {
		if last, err = s.reread(ctx, pm, last); err != nil {
			return err
		}
	}
	if !n.Managed {
		return nil
	}
	if !sameNames(last.names, n.Text) {
		return s.overruled(ctx, pm, last, n)
	}
	if n.Text != "" && !waited {
		if err := s.awaitCheckpointer(ctx, pm, last); err != nil {
			return err
		}
	}
	if s.current().names != n {
		return errors.New("another job has written something else meanwhile")
	}
	s.noteSpread(spreadNames{pm, n.Text})
	return nil
}

// sameNames reports whether two values mean the same.
func sameNames(is, shall string) bool {
	if is == shall {
		return true
	}
	one, err := guc.ParseSyncNames(is)
	if err != nil {
		return false
	}
	other, err := guc.ParseSyncNames(shall)
	return err == nil && one.Same(other)
}

// overruled says which file or command line has a value that wins over the agent's.
func (s *Server) overruled(ctx context.Context, pm *postmaster, now notice, n SyncNames) error {
	var from string
	err := s.query1(ctx, pm, "SELECT source || COALESCE(' ' || sourcefile || ' line ' || sourceline, '') FROM pg_settings WHERE name = '"+syncNamesName+"'", &from)
	if err != nil {
		return err
	}
	return fmt.Errorf("the server goes by %q instead of %q, which its %s says: remove it there", now.names, n.Text, from)
}

// reread sends one SIGHUP and waits until the agent's session has read the files once more.
func (s *Server) reread(ctx context.Context, pm *postmaster, before notice) (notice, error) {
	if err := signal(pm, unix.SIGHUP); err != nil {
		return notice{}, err
	}
	now, err := s.until(ctx, pm, func(n notice) bool { return !n.loaded.Equal(before.loaded) })
	if err != nil {
		return now, fmt.Errorf("wait for the server to read its files, of which its log tells if one has an error: %w", err)
	}
	return now, nil
}

// awaitCheckpointer waits until the checkpointer is known to have handled all signals sent so far.
func (s *Server) awaitCheckpointer(ctx context.Context, pm *postmaster, last notice) error {
	look := checkpointerLook{major: s.binaries().Major}
	look.found(last.checkpointer, idle(last.checkpointer))
	_, err := s.until(ctx, pm, func(n notice) bool {
		if look.done(n, time.Now()) {
			return true
		}
		look.found(n.checkpointer, idle(n.checkpointer))
		return false
	})
	if err != nil {
		return fmt.Errorf("wait for the checkpointer, without which no commit begins to wait: %w", err)
	}
	return nil
}

// The pauses between two questions when no event tells. They grow, for a server that is slow must not be made slower.
const (
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// until asks until what it hears is enough.
func (s *Server) until(ctx context.Context, pm *postmaster, enough func(notice) bool) (notice, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		now, err := s.notice(ctx, pm)
		if err != nil || enough(now) {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, context.Cause(ctx)
		case <-pm.Gone():
			return now, ErrNotRunning
		case <-time.After(pause):
		}
	}
}
