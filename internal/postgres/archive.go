package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ArchiveWAL hands the finished WAL files of a stopped server that still wait for it to the archive, with the
// configured archive_command. A former primary's WAL is removed by a rewind; what only it had would be missing from
// the archive, and with it the way to any moment in between.
//
// Errors: ErrBusy, ErrRunning, ErrNoCluster, *ExitError. What was archived before an error stays so.
func (s *Server) ArchiveWAL(ctx context.Context) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if s.postmaster() != nil {
		return fmt.Errorf("archive WAL: %w", ErrRunning)
	}
	if err := s.usable(ctx); err != nil {
		return fmt.Errorf("archive WAL: %w", err)
	}
	return s.archiveWAL(ctx)
}

// tryArchiveWAL archives what can be archived. That it cannot be is no reason to stay out of the cluster: an archive
// that is down would keep every former primary from coming back. It is reported as what it is, a gap in the archive.
func (s *Server) tryArchiveWAL(ctx context.Context) {
	if err := s.archiveWAL(ctx); err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "finished WAL could not be archived before the rewind: the archive will lack it", slog.Any("err", err))
	}
}

func (s *Server) archiveWAL(ctx context.Context) error {
	waiting, err := readyWAL(s.dir)
	if err != nil || len(waiting) == 0 {
		return err
	}
	command, err := s.archiveCommand(ctx)
	if err != nil || command == "" {
		return err
	}
	defer s.doing(fmt.Sprintf("archiving %d files of WAL", len(waiting)))()
	for i, name := range waiting {
		if err := s.archiveOne(ctx, command, name); err != nil {
			return fmt.Errorf("archive WAL: %s and %d more files remain: %w", name, len(waiting)-i-1, err)
		}
	}
	s.log.InfoContext(ctx, "archived finished WAL", slog.Int("files", len(waiting)))
	return nil
}

// How PostgreSQL names the notes on what waits for the archive, and on what is there.
const readySuffix, doneSuffix = ".ready", ".done"

func statusDir(dir string) string { return filepath.Join(dir, "pg_wal", "archive_status") }

// readyWAL lists the files that wait for the archive: histories of timelines first, as PostgreSQL does, then by age.
func readyWAL(dir string) ([]string, error) {
	entries, err := os.ReadDir(statusDir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for WAL that waits for the archive: %w", err)
	}
	var histories, segments []string
	for _, e := range entries {
		name, waits := strings.CutSuffix(e.Name(), readySuffix)
		switch {
		case !waits:
		case strings.HasSuffix(name, ".history"):
			histories = append(histories, name)
		default:
			segments = append(segments, name)
		}
	}
	return slices.Concat(histories, segments), nil
}

// archiveCommand is the command of the stopped server's configuration, empty where nothing is archived by command.
func (s *Server) archiveCommand(ctx context.Context) (string, error) {
	mode, err := s.configured(ctx, "archive_mode")
	if err != nil || mode == "off" {
		return "", err
	}
	archive, err := s.configured(ctx, "archive_command")
	if err == nil && archive == "" {
		err = errors.New("archive_mode is on, but there is no archive_command that could be run without the server")
	}
	return archive, err
}

// configured asks PostgreSQL for the value that a setting would have at the next start.
func (s *Server) configured(ctx context.Context, name string) (string, error) {
	out, err := command{
		op:   "look up " + name,
		path: s.binaries().Path("postgres"),
		args: append(s.serverArgs(s.dir, s.files(s.dir).conf), "-C", name),
		env:  []string{"LC_ALL=C"},
	}.run(ctx)
	return strings.TrimSuffix(out, "\n"), err
}

// archiveOne runs the command as PostgreSQL does: through a shell, in the data directory.
func (s *Server) archiveOne(ctx context.Context, archive, name string) error {
	line := percents(archive, map[byte]string{'p': "pg_wal/" + name, 'f': name})
	_, err := command{op: "run archive_command", path: "/bin/sh", args: []string{"-c", line}, dir: s.dir, foreign: true}.run(ctx)
	if err != nil {
		return err
	}
	status := filepath.Join(statusDir(s.dir), name)
	if err := os.Rename(status+readySuffix, status+doneSuffix); err != nil {
		return fmt.Errorf("note that %s is archived: %w", name, err)
	}
	return nil
}

// percents replaces %p, %f and the like in a command; %% is a percent sign, and what stands for nothing stays.
func percents(text string, values map[byte]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		value, known := values[text[i+1]]
		switch {
		case known:
			out.WriteString(value)
		case text[i+1] == '%':
			out.WriteByte('%')
		default:
			out.WriteString(text[i : i+2])
		}
		i++
	}
	return out.String()
}
