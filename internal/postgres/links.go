package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A data directory may have parts elsewhere: its WAL, and its tablespaces. Links in it lead there. Whoever sets the
// directory aside has to see to them too, or the next one finds their places taken. Nothing that only a link leads to
// is ever removed: an operator's program may have copied the links of a server that runs.

// links lists the links of a data directory that lead to folders elsewhere.
func links(dir string) []string {
	all := []string{filepath.Join(dir, "pg_wal")}
	spaces := filepath.Join(dir, "pg_tblspc")
	entries, err := os.ReadDir(spaces)
	if err != nil {
		entries = nil // then there are none
	}
	for _, e := range entries {
		all = append(all, filepath.Join(spaces, e.Name()))
	}
	var found []string
	for _, link := range all {
		to, err := os.Readlink(link)
		if err == nil && filepath.IsAbs(to) && exists(to) {
			found = append(found, link)
		}
	}
	return found
}

// keptMark is in the names of all that was set aside.
const keptMark = ".failed."

// moveLinked renames the folders that links lead to, and has the links lead to the new names. It can be repeated:
// what was renamed before stays.
func moveLinked(dir, suffix string) error {
	for _, link := range links(dir) {
		to, err := os.Readlink(link)
		if err != nil {
			return fmt.Errorf("set aside what %s leads to: %w", link, err)
		}
		if strings.Contains(filepath.Base(to), keptMark) {
			continue
		}
		if err := os.Rename(to, to+suffix); err != nil {
			return fmt.Errorf("set aside what %s leads to: %w", link, err)
		}
		if err := relink(link, to+suffix); err != nil {
			return errors.Join(err, os.Rename(to+suffix, to))
		}
	}
	return nil
}

// relink has a link lead elsewhere, at once.
func relink(link, to string) error {
	fresh := link + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("change the link %s: %w", link, err)
	}
	if err := os.Symlink(to, fresh); err != nil {
		return fmt.Errorf("change the link %s: %w", link, err)
	}
	if err := os.Rename(fresh, link); err != nil {
		return fmt.Errorf("change the link %s: %w", link, err)
	}
	return syncDir(filepath.Dir(link))
}

// removeKept removes a directory that was set aside, with its parts elsewhere that were set aside with it. What other
// links lead to may be another server's.
func removeKept(dir string) error {
	for _, link := range links(dir) {
		to, err := os.Readlink(link)
		if err != nil {
			return fmt.Errorf("remove what %s leads to: %w", link, err)
		}
		if !strings.Contains(filepath.Base(to), keptMark) {
			continue
		}
		if err := os.RemoveAll(to); err != nil {
			return fmt.Errorf("remove what %s leads to: %w", link, err)
		}
	}
	return os.RemoveAll(dir)
}

// clearWAL removes the folder for WAL that an unfinished attempt of pg_basebackup has made where it was told to, since
// the next one wants to make it.
func clearWAL(staging string, m Method) error {
	to, err := os.Readlink(filepath.Join(staging, "pg_wal"))
	if err != nil {
		return nil //nolint:nilerr // there was no such attempt
	}
	for _, o := range m.Options {
		if o.Name == "waldir" && filepath.Clean(o.Value) == filepath.Clean(to) {
			return os.RemoveAll(to)
		}
	}
	return nil
}
