package sim

import (
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// control is the state in a control file.
type control int

const (
	shutDown control = iota
	shutDownInRecovery
	inCrashRecovery
	inArchiveRecovery
	inProduction
)

func (c control) clean() bool { return c == shutDown || c == shutDownInRecovery }

// shutdown is where the shutdown checkpoint of a cleanly stopped former primary begins.
func (s *server) shutdown() wal.LSN {
	if s.data != ha.DataCluster || s.state != shutDown {
		return 0
	}
	return s.checkpoint
}

// walEnd is where the WAL of a stopped server ends, as far as its control file tells.
func (s *server) walEnd() wal.Point {
	switch {
	case s.consistent.LSN != 0 && (s.state == shutDownInRecovery || s.state == inArchiveRecovery):
		return s.consistent
	case s.state == shutDown:
		return wal.Point{Timeline: s.checkpointed, LSN: s.checkpoint + shutdownRecordSize}
	}
	return wal.Point{Timeline: s.checkpointed}
}

// controlFile is what decisions see of the control file.
func (s *server) controlFile() ha.Control {
	end := wal.Point{}
	if s.process == ha.Stopped {
		end = s.walEnd()
	}
	return ha.Control{
		Clean:    s.state.clean(),
		Standby:  s.state == shutDownInRecovery || s.state == inArchiveRecovery || s.marked && s.state.clean(),
		Primary:  !s.marked && (s.state == shutDown || s.state == inCrashRecovery || s.state == inProduction),
		Timeline: max(end.Timeline, s.checkpointed, s.consistent.Timeline),
		End:      end.LSN,
	}
}
