package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// Progress tells how much of a clone is done, in bytes. The total is an estimate that may grow.
type Progress func(done, total int64)

// CloneOptions say what to copy.
type CloneOptions struct {
	// From may have no host: then only methods are tried that need no running server.
	From Upstream
	// SystemID is the cluster's; a source with another one is refused with ErrForeign (rule S6). Empty:
	// not known yet.
	SystemID wal.SystemID
	// Progress may be nil. It is called about once a second, from another goroutine, while pg_basebackup works. Of other
	// methods only Activity tells.
	Progress Progress
}

// Clone copies another server into the empty data directory, marked as a standby and not started. The configured
// methods are tried in their order until one succeeds. The copy becomes the data directory only when it is whole and
// on disk. After an interruption it starts over.
//
// Errors: ErrBusy, ErrOccupied, ErrForeign, ErrSourceUnreachable, ErrVersion, ErrNoMethod, *ExitError.
func (s *Server) Clone(ctx context.Context, o CloneOptions) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := s.vacant(); err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	if err := s.forgetLed(); err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	source, err := s.cloneSource(ctx, o)
	if err != nil && !errors.Is(err, ErrSourceUnreachable) {
		return err
	}
	return s.cloneBy(ctx, s.cloneMethods(o.From), o, source, err)
}

// cloneSource asks the source who it is and finds the programs for it. One that cannot be asked leaves the methods
// that need none.
func (s *Server) cloneSource(ctx context.Context, o CloneOptions) (Source, error) {
	if !o.From.Known() {
		return Source{}, fmt.Errorf("clone: %w: there is no server to copy from", ErrSourceUnreachable)
	}
	source, err := s.sameCluster(ctx, o.From, o.SystemID)
	if err != nil {
		return Source{}, fmt.Errorf("clone: %w", err)
	}
	if err := s.chooseBinaries(ctx, source.Major); err != nil {
		return Source{}, fmt.Errorf("clone from %s, which has PostgreSQL %d: %w", o.From.Name, source.Major, err)
	}
	return source, nil
}

// cloneBy tries the methods. unreachable is why the source cannot be used, nil when it can.
func (s *Server) cloneBy(ctx context.Context, methods []Method, o CloneOptions, source Source, unreachable error) error {
	var failures []error
	for _, m := range methods {
		if unreachable != nil && !m.NoLeader {
			continue
		}
		err := s.cloneWith(ctx, m, o, source)
		if err == nil {
			s.log.InfoContext(ctx, "cloned", slog.String("member", o.From.Name), slog.String("method", m.Name))
			return nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || errors.Is(err, ErrForeign) {
			break
		}
		s.log.WarnContext(ctx, "a method to clone failed", slog.String("method", m.Name), slog.Any("err", err))
	}
	if len(failures) == 0 && unreachable != nil {
		return unreachable
	}
	if len(failures) == 0 {
		return fmt.Errorf("clone: %w", ErrNoMethod)
	}
	return oneSentence(failures)
}

// oneSentence puts errors behind one another.
func oneSentence(all []error) error {
	joined := all[0]
	for _, err := range all[1:] {
		joined = fmt.Errorf("%w; then: %w", joined, err)
	}
	return joined
}

func (s *Server) cloneWith(ctx context.Context, m Method, o CloneOptions, source Source) error {
	if !m.KeepData || len(m.Program) == 0 {
		if err := s.leaveNothing(ctx); err != nil {
			return err
		}
	}
	if len(m.Program) == 0 {
		return s.cloneByBackup(ctx, m, o, source)
	}
	return s.cloneByProgram(ctx, m, o, source)
}

// cloneByBackup runs pg_basebackup beside the data directory.
func (s *Server) cloneByBackup(ctx context.Context, m Method, o CloneOptions, source Source) error {
	if err := clearWAL(stagingDir(s.dir), m); err != nil {
		return fmt.Errorf("remove the WAL of an earlier attempt: %w", err)
	}
	staging, err := s.newStaging(ctx)
	if err != nil {
		return err
	}
	if err := s.baseBackup(ctx, staging, m, o); err != nil {
		return err
	}
	control, err := readControl(ctx, s.binaries(), staging)
	if err != nil {
		return err
	}
	if err := sameSystem(control, o, source); err != nil {
		return err
	}
	if err := setSignal(staging, true); err != nil {
		return err
	}
	return s.finish(staging)
}

// cloneByProgram has the operator's program fill the data directory.
func (s *Server) cloneByProgram(ctx context.Context, m Method, o CloneOptions, source Source) error {
	if err := s.beginFilling(); err != nil {
		return err
	}
	err := s.fillClone(ctx, m, o, source)
	if err == nil {
		return s.endFilling(ctx)
	}
	if m.KeepData {
		return err
	}
	return errors.Join(err, s.dropFilling())
}

func (s *Server) fillClone(ctx context.Context, m Method, o CloneOptions, source Source) error {
	var env []string
	connstring := ""
	if o.From.Known() {
		if err := s.writePass(o.From); err != nil {
			return err
		}
		env = append(env, "PGPASSFILE="+s.cfg.PgPassFile, s.serviceEnv())
		connstring = s.methodConninfo(o.From)
	}
	err := s.runMethod(ctx, m, env, Option{"scope", s.cfg.ClusterName}, Option{"role", "replica"}, Option{"datadir", s.dir}, Option{"connstring", connstring})
	if err != nil {
		return err
	}
	control, err := s.filled(ctx)
	if err != nil {
		return fmt.Errorf("look at what the method %s made: %w", m.Name, err)
	}
	if err := sameSystem(control, o, source); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.dir, recoverySignal)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clone: %w", err)
	}
	return setSignal(s.dir, true)
}

// sameSystem refuses a copy that is not of the cluster.
func sameSystem(control Control, o CloneOptions, source Source) error {
	for _, wanted := range []wal.SystemID{o.SystemID, source.SystemID} {
		if wanted != "" && control.SystemID != wanted {
			return fmt.Errorf("clone: %w: the cluster has %s, the copy %s", ErrForeign, wanted, control.SystemID)
		}
	}
	return nil
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
func (s *Server) baseBackup(ctx context.Context, dir string, m Method, o CloneOptions) error {
	defer s.doing("running pg_basebackup")()
	if err := s.writePass(o.From); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + dir, "--wal-method=stream", "--checkpoint=fast", "--progress", "--no-password",
		"--dbname=" + s.sourceConninfo(o.From, s.logins().Replication),
	}
	for _, given := range m.Options {
		if err := allowedInBackup(given, s.binaries().Major); err != nil {
			return err
		}
		args = append(args, option(given)) // what is given twice counts as given last
	}
	_, err := command{
		op: "run pg_basebackup", path: s.binaries().Path("pg_basebackup"), args: args, dir: dir,
		env:  []string{"LC_ALL=C", s.serviceEnv()},
		line: func(line string) { report(o.Progress, line) },
	}.run(ctx)
	return err
}

// serverCompression is the first version that can compress on the server and still make a directory.
const serverCompression = 15

// allowedInBackup refuses options with which there would be no data directory in the end.
func allowedInBackup(o Option, major int) error {
	if slices.Contains([]string{
		"pgdata", "D", "format", "F", "wal-method", "X", "xlog-method", "gzip", "z", "version", "V", "dbname", "d", "host", "h", "port", "p",
		"username", "U", "password", "W", "no-password", "w", "write-recovery-conf", "R", "no-clean", "n",
	}, o.Name) {
		return fmt.Errorf("run pg_basebackup: the option %q is for the agent to set; remove it from postgresql.basebackup", o.Name)
	}
	if (o.Name == "compress" || o.Name == "Z") && (major < serverCompression || !strings.HasPrefix(o.Value, "server")) {
		return fmt.Errorf("run pg_basebackup: with compress=%s there would be no data directory; only server-side compression can be used, from PostgreSQL 15 on", o.Value)
	}
	return nil
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
