package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// The configuration files. The base file is what initdb or an administrator wrote; it is included first,
// so that ours wins.
const (
	confName   = "postgresql.conf"
	baseName   = "postgresql.base.conf"
	autoName   = "postgresql.auto.conf"
	hbaName    = "pg_hba.conf"
	identName  = "pg_ident.conf"
	signalName = "standby.signal"
	// recoverySignal makes a start one that recovers and then accepts writes.
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
func (s Settings) included() string {
	if s.CustomConf != "" {
		return s.CustomConf
	}
	return baseName
}

// keepBase sets the original configuration file aside, once.
func keepBase(dir string) error {
	base := filepath.Join(dir, baseName)
	if exists(base) {
		return nil
	}
	original := filepath.Join(dir, confName)
	content, err := os.ReadFile(original)
	switch {
	case errors.Is(err, fs.ErrNotExist), strings.HasPrefix(string(content), confMark):
		// Ours without its base: as a base it would include itself.
		_, err = writeFile(base, "")
	case err == nil:
		err = os.Rename(original, base)
	}
	if err != nil {
		return fmt.Errorf("keep the original configuration file: %w", err)
	}
	return nil
}

// writeAccess writes pg_hba.conf and pg_ident.conf where lines are configured for them, unless the server is
// told to read other files.
func (s *Server) writeAccess(dir string, file guc.Settings, settings Settings) (changed bool, err error) {
	for _, f := range []struct {
		name, setting string
		lines         []string
	}{{hbaName, "hba_file", settings.HBA}, {identName, "ident_file", settings.Ident}} {
		if len(f.lines) == 0 || file[f.setting] != filepath.Join(s.dir, f.name) {
			continue
		}
		wrote, err := writeFile(hbaTarget(dir, f.name), hbaHeader+strings.Join(f.lines, "\n")+"\n")
		if err != nil {
			return changed, err
		}
		changed = changed || wrote
	}
	return changed, nil
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

// writePass writes the password file for connections to another server.
func (s *Server) writePass(up Upstream) error {
	if !up.Known() {
		return nil
	}
	var lines strings.Builder
	for _, login := range []Login{s.cfg.Replication, s.cfg.Rewind} {
		if login.Password != "" {
			lines.WriteString(passLines(up, login))
		}
	}
	if _, err := replaceFile(s.cfg.PgPassFile, lines.String(), 0o600); err != nil {
		return err
	}
	// A file that others may read is disregarded by libpq, and should not be there.
	if err := os.Chmod(s.cfg.PgPassFile, 0o600); err != nil {
		return fmt.Errorf("protect the password file: %w", err)
	}
	return nil
}

// holds reports whether a file has exactly that content.
func holds(path, text string) bool {
	content, err := os.ReadFile(filepath.Clean(path))
	return err == nil && bytes.Equal(content, []byte(text))
}

// writeFile replaces a configuration file, with the mode that the data directory gives its files.
func writeFile(path, text string) (changed bool, err error) {
	return replaceFile(path, text, fileMode(filepath.Dir(path)))
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
