package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Progress tells how much of a clone is done, in bytes. The total is an estimate that may grow.
type Progress func(done, total int64)

// CloneOptions say what to copy.
type CloneOptions struct {
	From Upstream
	// SystemID is the cluster's; a source with another one is refused with ErrForeign (rule S6). Empty:
	// not known yet.
	SystemID wal.SystemID
	// Progress may be nil. It is called about once a second, from another goroutine.
	Progress Progress
}

// Clone copies another server into the empty data directory, marked as a standby and not started. It
// becomes the data directory only when it is whole and on disk. After an interruption it starts over.
//
// Errors: ErrBusy, ErrOccupied, ErrForeign, ErrSourceUnreachable, ErrVersion, *ExitError.
func (s *Server) Clone(ctx context.Context, o CloneOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := vacant(s.dir); err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	source, err := s.sameCluster(ctx, o.From, o.SystemID)
	if err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	if err := s.chooseBinaries(ctx, source.Major); err != nil {
		return fmt.Errorf("clone from %s, which has PostgreSQL %d: %w", o.From.Name, source.Major, err)
	}
	staging, err := s.newStaging(ctx)
	if err != nil {
		return err
	}
	if err := s.baseBackup(ctx, staging, o); err != nil {
		return err
	}
	control, err := readControl(ctx, s.binaries(), staging)
	if err != nil {
		return err
	}
	if control.SystemID != source.SystemID {
		return fmt.Errorf("clone: %w: %s has %s, the copy %s", ErrForeign, o.From.Name, source.SystemID, control.SystemID)
	}
	if err := setSignal(staging, true); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "cloned", slog.String("member", o.From.Name))
	return s.finish(staging)
}

// sameCluster asks a server who it is and refuses one of another cluster.
func (s *Server) sameCluster(ctx context.Context, up Upstream, expected wal.SystemID) (Source, error) {
	source, err := s.IdentifySource(ctx, up)
	if err != nil {
		return Source{}, err
	}
	if expected != "" && source.SystemID != expected {
		return Source{}, fmt.Errorf("%w: %s has %s, the cluster has %s", ErrForeign, up.Name, source.SystemID, expected)
	}
	return source, nil
}

// baseBackup runs pg_basebackup, which streams the WAL beside the files and syncs everything at the end.
func (s *Server) baseBackup(ctx context.Context, dir string, o CloneOptions) error {
	if err := s.writePass(o.From); err != nil {
		return err
	}
	_, err := command{
		op:   "run pg_basebackup",
		path: s.binaries().Path("pg_basebackup"),
		args: []string{
			"--pgdata=" + dir, "--wal-method=stream", "--checkpoint=fast", "--progress", "--no-password",
			"--dbname=" + s.sourceConninfo(o.From, s.cfg.Replication),
		},
		dir:  dir,
		env:  []string{"LC_ALL=C"},
		line: func(line string) { report(o.Progress, line) },
	}.run(ctx)
	return err
}

// sourceConninfo is how PostgreSQL's programs reach another server. They notice within half a minute that
// its host is gone, instead of waiting for the network's own patience.
func (s *Server) sourceConninfo(up Upstream, login Login) string {
	return conninfo(
		pair{"dbname", database},
		pair{"user", login.Username},
		pair{"passfile", s.passFile(login)},
		pair{"host", up.Host},
		pair{"port", strconv.Itoa(up.Port)},
		pair{"connect_timeout", "3"},
		pair{"keepalives_idle", "10"},
		pair{"keepalives_interval", "5"},
		pair{"keepalives_count", "4"},
		pair{"application_name", s.cfg.MemberName},
	)
}

// progressForm is a line of pg_basebackup --progress: "  2048/31265 kB (6%), 0/1 tablespace".
var progressForm = regexp.MustCompile(`^(\d+)/(\d+) kB \(\d+%\)`)

func report(progress Progress, line string) {
	if progress == nil {
		return
	}
	m := progressForm.FindStringSubmatch(line)
	if m == nil {
		return
	}
	done, errDone := strconv.ParseInt(m[1], 10, 53)
	total, errTotal := strconv.ParseInt(m[2], 10, 53)
	if errDone == nil && errTotal == nil {
		progress(done<<10, total<<10)
	}
}
