package sim

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// reloadTime is about how long each process of a server takes to read its configuration anew.
const reloadTime = 5 * time.Millisecond

// givesUp is how long a client waits for its commit.
const givesUp = 5 * time.Second

// waiter is a commit that waits for standbys.
type waiter struct {
	at    wal.LSN
	until int64
}

// setNames writes whom commits wait for into the configuration file and tells all processes to read it, unless it stands
// there already. It returns the number of that value; see heeds.
func (s *server) setNames(names guc.SyncNames, managed bool) int {
	if s.managed == managed && s.file.String() == names.String() {
		return s.reloads
	}
	s.file, s.managed = names, managed
	s.reloads++
	number := s.reloads
	s.later(s.takes(reloadTime), func() {
		s.names, s.reload = s.file, max(s.reload, number)
		s.later(s.checkpointing(), func() {
			s.waits, s.checkpointer = !s.names.Empty(), max(s.checkpointer, number)
			if !s.waits {
				s.releaseAll()
			}
		})
		for _, x := range s.senders {
			s.later(s.takes(reloadTime), func() { x.names, x.reload = s.names, max(x.reload, number) })
		}
	})
	return number
}

// checkpointing is how long it takes until the checkpointer reads its configuration, on whose word clients wait: now and then,
// and on a slow disk, it has its hands full for seconds.
func (s *server) checkpointing() time.Duration {
	busy := s.takes(reloadTime)
	if s.slow > 0 || s.w.rng.IntN(16) == 0 {
		busy += time.Duration(s.w.rng.Int64N(int64(4 * time.Second)))
	}
	return busy
}

// heeds reports whether every process goes by the value of that number, or a later one.
func (s *server) heeds(number int) bool {
	for _, x := range s.senders {
		if x.reload < number {
			return false
		}
	}
	return s.reload >= number && s.checkpointer >= number
}

// freshNames is what the processes of a new incarnation go by: the file.
func (s *server) freshNames() {
	s.names, s.waits = s.file, !s.file.Empty()
	s.reload, s.checkpointer = s.reloads, s.reloads
	s.senders, s.waiters = nil, nil
}

// release ends the waiting of the commits that enough standbys have made safe, as one sender sees it.
func (s *server) release(by *sender) {
	if s.recovery || !s.waits {
		return
	}
	at, ok := s.confirmed(by)
	if !ok {
		return
	}
	done := 0
	for done < len(s.waiters) && s.waiters[done].at <= at {
		done++
	}
	s.answer(done, by.names)
}

// releaseAll ends all waiting: nobody is to be waited for any more.
func (s *server) releaseAll() { s.answer(len(s.waiters), guc.SyncNames{}) }

// answer tells the first clients that wait that their writes are done.
func (s *server) answer(n int, names guc.SyncNames) {
	done := s.waiters[:n]
	s.waiters = s.waiters[n:]
	for _, x := range done {
		if x.until > s.w.now {
			s.w.clients.answered(s, x.at, names)
		}
	}
}
