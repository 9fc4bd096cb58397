package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// The files that make a start of a data directory that of a standby, and a recovery that ends in a primary.
const (
	signalName     = "standby.signal"
	recoverySignal = "recovery.signal"
)

// confMark begins a configuration file that an agent wrote.
const confMark = "# Written by pgbaton. Changes to this file are lost: put settings of this server alone into\n"

// confHeader begins the configuration file. included is the file whose settings ours win over.
func confHeader(included string) string {
	return confMark + "# " + included + `, and settings of all members into the cluster's configuration.
include ` + guc.Quote(included) + "\n\n"
}

// included is the file whose settings ours win over: the original one, unless the operator named another.
func (f confFiles) included(s Settings) string { return cmp.Or(s.CustomConf, filepath.Base(f.base)) }

// keepBase sets the original configuration file aside, once. Where the files lie elsewhere or have other names than initdb
// gives them, its file of the data directory is the original.
func (f confFiles) keepBase(dir string) error {
	if exists(f.base) {
		return nil
	}
	err := f.makeBase(dir)
	if err != nil {
		return fmt.Errorf("keep the original configuration file: %w", err)
	}
	return nil
}

func (f confFiles) makeBase(dir string) error {
	content, err := os.ReadFile(f.conf)
	if err == nil && !strings.HasPrefix(string(content), confMark) {
		return os.Rename(f.conf, f.base)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Ours without its base: as a base it would include itself.
	content, err = os.ReadFile(filepath.Join(dir, confName)) //nolint:gosec // a file of the data directory
	if err != nil || strings.HasPrefix(string(content), confMark) {
		content = nil
	}
	_, err = writeFile(f.base, string(content))
	return err
}

// writeAccess writes pg_hba.conf and pg_ident.conf where lines are configured for them, unless the server is
// told to read other files. A folder of its own for configuration files may have neither yet, but the server needs one.
func (s *Server) writeAccess(files confFiles, file guc.Settings, settings Settings) (changed bool, err error) {
	ours := s.files(s.dir)
	if len(settings.HBA) > 0 && file["hba_file"] == ours.hba {
		if changed, err = writeFile(files.hbaTarget(), hbaHeader+strings.Join(settings.HBA, "\n")+"\n"); err != nil {
			return changed, err
		}
	}
	if len(settings.Ident) > 0 && file["ident_file"] == ours.ident {
		wrote, err := writeFile(files.ident, hbaHeader+strings.Join(settings.Ident, "\n")+"\n")
		if err != nil {
			return changed, err
		}
		changed = changed || wrote
	}
	if s.cfg.ConfigDir == "" || exists(files.hba) || file["hba_file"] != ours.hba {
		return changed, nil
	}
	logins := s.logins()
	return writeFile(files.hba, defaultHBA(logins.Superuser, logins.Replication))
}

// cleanAuto removes from postgresql.auto.conf what only the agent may set: ALTER SYSTEM or another
// program's clone may have left a primary_conninfo there, which would win over ours. Where names is true,
// synchronous_standby_names is such a setting too.
func cleanAuto(dir string, names bool) (bool, error) {
	path := filepath.Join(dir, autoName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", autoName, err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(content)) {
		name, _, _ := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if ours := names && strings.EqualFold(name, syncNamesName); !ours && !guc.Owned(name) {
			kept.WriteString(line)
		}
	}
	return writeFile(path, kept.String())
}

// autoSets reports whether postgresql.auto.conf has a setting.
func autoSets(dir, setting string) bool {
	content, err := os.ReadFile(filepath.Join(dir, autoName))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		if name, _, _ := strings.Cut(line, "="); strings.EqualFold(strings.TrimSpace(name), setting) {
			return true
		}
	}
	return false
}

// setSignal makes a data directory one of a standby, or of a primary.
func setSignal(dir string, standby bool) error {
	if standby {
		_, err := writeFile(filepath.Join(dir, signalName), "")
		return err
	}
	for _, name := range []string{signalName, recoverySignal} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make the server a primary: %w", err)
		}
	}
	return syncDir(dir)
}

// holds reports whether a file has exactly that content.
func holds(path, text string) bool {
	content, err := os.ReadFile(filepath.Clean(path))
	return err == nil && bytes.Equal(content, []byte(text))
}

// writeFile replaces a configuration file, with the mode that the data directory gives its files.
func writeFile(path, text string) (changed bool, err error) {
	return replaceFile(path, text, confMode(path))
}

// replaceFile replaces a file at once and durably, and only when its content changes.
func replaceFile(path, text string, mode fs.FileMode) (changed bool, err error) {
	if holds(path, text) {
		return false, nil
	}
	file, err := renameio.NewPendingFile(path, renameio.WithStaticPermissions(mode), renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		return false, fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer file.Cleanup() //nolint:errcheck // it has been moved, or the write has failed already
	_, err = file.WriteString(text)
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	if err != nil {
		return false, fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return true, nil
}

// fileMode lets group members read our files where they may read the data.
func fileMode(dir string) fs.FileMode {
	at, err := os.Stat(dir)
	if err == nil && at.Mode()&0o040 != 0 && exists(filepath.Join(dir, "PG_VERSION")) {
		return 0o640
	}
	return 0o600
}

// confMode is the mode of a configuration file. One outside of a data directory keeps what an administrator gave it.
func confMode(path string) fs.FileMode {
	dir := filepath.Dir(path)
	if at, err := os.Stat(path); err == nil && !exists(filepath.Join(dir, "PG_VERSION")) {
		return at.Mode().Perm()
	}
	return fileMode(dir)
}
