package postgres

import (
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
}

// The files beside the data directory; see the package comment.
func stagingDir(dir string) string   { return dir + ".incomplete" }
func rewindMarker(dir string) string { return dir + ".rewinding" }

// inspect looks at a data directory with a few system calls; it reads one file of three bytes.
func inspect(dir string) content {
	version, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return inspectWithoutVersion(dir)
	}
	if err != nil {
		return content{data: DataUnreadable, reason: err.Error()}
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
		c.data, c.reason = DataUnreadable, err.Error()
	case exists(rewindMarker(dir)):
		c.data, c.reason = DataIncomplete, "pg_rewind was interrupted or failed after it had changed files"
	}
	return c
}

func inspectWithoutVersion(dir string) content {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return content{data: DataUnreadable, reason: err.Error()}
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

// vacant makes sure that a finished copy can be renamed to the data directory, before hours are spent on
// making it.
func vacant(dir string) error {
	if c := inspect(dir); c.data != DataEmpty {
		return fmt.Errorf("%w: %s (%s)", ErrOccupied, dir, c.data)
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

// usable makes sure that the data directory holds a whole cluster of the version of the programs.
func (s *Server) usable(ctx context.Context) error {
	c := inspect(s.dir)
	if c.data != DataCluster {
		return fmt.Errorf("%w: %s: %s", ErrNoCluster, c.data, c.reason)
	}
	if c.major == s.binaries().Major {
		return nil
	}
	return s.chooseBinaries(ctx, c.major)
}

// moveIntoPlace makes a finished copy the data directory, durably. An empty directory there gives way.
func moveIntoPlace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("move the finished copy into place: %w", err)
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
