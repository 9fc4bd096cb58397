package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Data says what lies in the data directory.
type Data int

// What can lie there.
const (
	// DataUnreadable: what is there cannot be told, or does not belong to PostgreSQL. A human must look.
	DataUnreadable Data = iota
	// DataEmpty: nothing; Bootstrap and Clone may fill it. An earlier attempt of theirs that did not
	// finish is mentioned as the reason.
	DataEmpty
	// DataCluster: a whole database cluster.
	DataCluster
	// DataIncomplete: a part of one, left by an interrupted copy or rewind of whatever program. It must
	// never be started; SetAside makes room for a clone.
	DataIncomplete
)

// String names the content for logs.
func (d Data) String() string {
	switch d {
	case DataEmpty:
		return "empty"
	case DataCluster:
		return "cluster"
	case DataIncomplete:
		return "incomplete"
	case DataUnreadable:
	}
	return "unreadable"
}

// content is what inspect found.
type content struct {
	data   Data
	reason string
	major  int
	// broken: it could not be looked at.
	broken bool
}

// broken is what is found where nothing can be found out.
func broken(err error) content {
	return content{data: DataUnreadable, reason: err.Error(), broken: true}
}

// The files beside the data directory; see the package comment.
func stagingDir(dir string) string   { return dir + ".incomplete" }
func rewindMarker(dir string) string { return dir + ".rewinding" }

// inspect looks at a data directory with a few system calls; it reads one file of three bytes.
func inspect(dir string) content {
	c := inspectData(dir)
	if !c.broken && exists(fillingDir(dir)) {
		return content{data: DataEmpty, reason: "a program that fills the data directory did not finish"}
	}
	return c
}

// inspectData looks at what lies there, finished or not.
func inspectData(dir string) content {
	version, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return inspectWithoutVersion(dir)
	}
	if err != nil {
		return broken(err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(version)))
	switch {
	case err != nil:
		return content{data: DataUnreadable, reason: fmt.Sprintf("PG_VERSION says %q, which is no version that can be used", strings.TrimSpace(string(version)))}
	case major < minMajor:
		return content{data: DataUnreadable, major: major, reason: fmt.Sprintf("the data belongs to PostgreSQL %d, version %d or later is needed", major, minMajor)}
	}
	return inspectCluster(dir, major)
}

func inspectCluster(dir string, major int) content {
	c := content{data: DataCluster, major: major}
	// Backup programs copy the control file last, so its absence tells an unfinished copy.
	switch _, err := os.Stat(filepath.Join(dir, "global", "pg_control")); {
	case errors.Is(err, fs.ErrNotExist):
		c.data, c.reason = DataIncomplete, "there is no control file: a copy of the cluster was not finished"
	case err != nil:
		return broken(err)
	case exists(rewindMarker(dir)):
		c.data, c.reason = DataIncomplete, "pg_rewind was interrupted or failed after it had changed files"
	}
	return c
}

func inspectWithoutVersion(dir string) content {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return broken(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	switch {
	case len(names) == 0 && exists(stagingDir(dir)):
		return content{data: DataEmpty, reason: "a bootstrap or clone was not finished, it lies in " + stagingDir(dir)}
	case len(names) == 0:
		return content{data: DataEmpty}
	case exists(filepath.Join(dir, "base")) || exists(filepath.Join(dir, "global")) || exists(filepath.Join(dir, "pg_wal")):
		return content{data: DataIncomplete, reason: "there is no PG_VERSION: a copy of the cluster was not finished"}
	}
	return content{data: DataUnreadable, reason: fmt.Sprintf("%s holds files that are not PostgreSQL's, such as %s: choose another data_dir or move them away", dir, names[0])}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// vacant makes sure that a finished copy can be renamed to the empty data directory, before hours are spent on making
// it.
func vacant(dir string) error {
	if exists(fillingDir(dir)) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	if isMount(dir) {
		return fmt.Errorf("%w: %s is a mount point; set data_dir to a folder inside it", ErrOccupied, dir)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: remove %s", ErrOccupied, filepath.Join(dir, entries[0].Name()))
	}
	return nil
}

// isMount reports whether a directory lies on another device than its parent.
func isMount(dir string) bool {
	var at, above unix.Stat_t
	if unix.Stat(dir, &at) != nil || unix.Stat(filepath.Dir(dir), &above) != nil {
		return false
	}
	return at.Dev != above.Dev
}

// look inspects the data directory. Where there is nothing, it makes sure that it is still the place that the agent
// locked: a volume that was unmounted, or another one in its place, must not pass for an empty data directory.
func (s *Server) look() content {
	c := inspect(s.dir)
	if c.data != DataEmpty {
		return c
	}
	path := s.dir + ".lock"
	mine, err := s.lock.Stat()
	if err != nil {
		return broken(err)
	}
	there, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return content{data: DataUnreadable, reason: path + ", which this agent locked, is not there any more: was the volume unmounted?"}
	case err != nil:
		return broken(err)
	case !os.SameFile(mine, there):
		return content{data: DataUnreadable, reason: path + " is another file than this agent locked: was another volume mounted?"}
	}
	return c
}

// vacant makes sure that the data directory can be filled.
func (s *Server) vacant() error {
	if c := s.look(); c.data != DataEmpty {
		return fmt.Errorf("%w: %s (%s)", ErrOccupied, s.dir, cmp.Or(c.reason, c.data.String()))
	}
	return vacant(s.dir)
}

// usable makes sure that the data directory holds a whole cluster of the version of the programs.
func (s *Server) usable(ctx context.Context) error {
	c := s.look()
	if c.data != DataCluster {
		return fmt.Errorf("%w: %s: %s", ErrNoCluster, c.data, c.reason)
	}
	if c.major == s.binaries().Major {
		return nil
	}
	return s.chooseBinaries(ctx, c.major)
}

// moveIntoPlace makes a finished copy the data directory, durably. An empty directory there gives way, as rename(2) has it:
// os.Rename refuses any directory.
func moveIntoPlace(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return fmt.Errorf("move the finished copy into place, from %s to %s: %w", from, to, err)
	}
	return syncDir(filepath.Dir(to))
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return fmt.Errorf("make %s durable: %w", dir, err)
	}
	defer d.Close() //nolint:errcheck // only read
	if err := d.Sync(); err != nil {
		return fmt.Errorf("make %s durable: %w", dir, err)
	}
	return nil
}
