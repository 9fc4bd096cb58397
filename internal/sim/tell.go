package sim

import (
	"errors"
	"time"

	"github.com/pgbaton/pgbaton/internal/guc"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// tellTimeout bounds an action on the server; the lease may leave less.
const tellTimeout = 2 * time.Second

// heedStep is how often the model looks whether all processes of a server go by a new value.
const heedStep = 2 * time.Millisecond

// emptyRecordSize is that of a record that changes nothing.
const emptyRecordSize = 56

var errServerSilent = errors.New("the server did not answer in time")

// tellServer carries out an action on the running server that is no job, in the time that the lease leaves. Without an
// answer it may have happened all the same.
func (l *life) tellServer(t *task, action ha.Action) error {
	limit := tellTimeout
	if left, bound := l.left(l.now()); bound {
		limit = min(limit, max(left, leastLook))
	}
	s := &l.host.server
	until := l.w.now + l.host.clock.global(limit)
	silence := func() error {
		t.sleep(time.Duration(until - l.w.now))
		return errServerSilent
	}
	fault := l.nextFault(actionWord(action))
	if fault == loseRequest {
		return silence()
	}
	t.sleep(s.takes(lookTime))
	if s.process != ha.Running {
		return errNotRunning
	}
	names, isNames := action.(ha.SetSyncNames)
	switch {
	case isNames:
		return l.tellNames(t, names, until, fault)
	case !s.answers():
		return silence()
	}
	if err := s.obey(action); err != nil || fault == 0 {
		return err
	}
	return silence()
}

// obey does what takes no time.
func (s *server) obey(action ha.Action) error {
	if _, admits := action.(ha.AdmitClients); admits {
		s.held = false
		s.w.shows(s)
		s.changed()
		return nil
	}
	if s.recovery {
		return errBroken
	}
	s.append(emptyRecordSize)
	return nil
}

// tellNames writes the value into the configuration file, which needs no answer of the server, and waits until all its
// processes go by it.
func (l *life) tellNames(t *task, action ha.SetSyncNames, until int64, fault callFault) error {
	s := &l.host.server
	value := action.Names
	if action.Release {
		value = guc.SyncNames{} // operators of the model never set it themselves
	}
	began, number := s.incarnation, s.setNames(value, !action.Release)
	for l.w.now < until {
		t.sleep(heedStep)
		if s.incarnation != began {
			return errNotRunning
		}
		if fault == 0 && s.answers() && s.heeds(number) {
			return nil
		}
	}
	return errServerSilent
}
