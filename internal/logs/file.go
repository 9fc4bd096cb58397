package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// fileName is the file of a log in its directory.
const fileName = "patroni.log"

// file is a log that is renamed when it has grown. It is the writer's alone.
type file struct {
	path  string
	mode  os.FileMode
	limit int64
	keep  int

	open *os.File
	size int64
}

func openFile(o Options) (*file, error) {
	f := &file{path: filepath.Join(o.Dir, fileName), mode: o.Mode, limit: o.FileSize, keep: o.FileNum}
	if err := f.reopen(); err != nil {
		return nil, err
	}
	return f, nil
}

// reopen opens the file at its path, which may have been renamed from outside.
func (f *file) reopen() error {
	opened, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666) // and the umask
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the log cannot be written to %s: the directory does not exist: create it, or change log.dir", f.path)
	}
	if err != nil {
		return fmt.Errorf("the log cannot be written (%w): give this user the right to, or change log.dir", err)
	}
	info, err := opened.Stat()
	if err == nil && f.mode != 0 && info.Mode().IsRegular() && info.Mode().Perm() != f.mode {
		err = opened.Chmod(f.mode)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the log cannot be written: %w", err), opened.Close())
	}
	f.close()
	f.open, f.size = opened, info.Size()
	return nil
}

func (f *file) close() {
	if f.open != nil {
		f.open.Close() //nolint:errcheck // every line was written on its own
	}
	f.open = nil
}

// Write appends one line.
func (f *file) Write(line []byte) (int, error) {
	if f.limit > 0 && f.keep > 0 && f.size > 0 && f.size+int64(len(line)) > f.limit {
		if err := f.rotate(); err != nil {
			return 0, err
		}
	}
	if f.open == nil {
		if err := f.reopen(); err != nil {
			return 0, err
		}
	}
	n, err := f.open.Write(line)
	f.size += int64(n)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	return n, err
}

// rotate renames the file and the older ones, of which the last is lost.
func (f *file) rotate() error {
	for i := f.keep - 1; i > 0; i-- {
		if err := os.Rename(f.numbered(i), f.numbered(i+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rename the log: %w", err)
		}
	}
	if err := os.Rename(f.path, f.numbered(1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rename the log: %w", err)
	}
	return f.reopen()
}

func (f *file) numbered(i int) string { return f.path + "." + strconv.Itoa(i) }
