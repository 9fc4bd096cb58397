package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// following is what a configuration says about whom the server follows, and who follows it.
type following struct {
	standby bool
	// conninfo and slot are empty for a standby that follows nobody.
	conninfo, slot string
	// recovery are settings that belong to whom it follows, rather than to the member.
	recovery guc.Settings
	// restore are those of the recovery that makes a new cluster of a copy.
	restore guc.Settings
	// names are whom commits wait for.
	names SyncNames
	// hold keeps clients out of a primary that starts. That it was done is not read back from a configuration; see held.
	hold bool
	// keepAuto leaves what a program of the operator's wrote into postgresql.auto.conf.
	keepAuto bool
}

// current reads what the directory's files say now.
func current(dir string) following {
	f := following{standby: exists(filepath.Join(dir, signalName))}
	content, err := os.ReadFile(filepath.Join(dir, confName))
	if err != nil {
		return f
	}
	f.names = readNames(string(content))
	if f.standby {
		f.readConf(string(content))
	}
	return f
}

// readConf finds in a configuration file written by an agent whom the server follows.
func (f *following) readConf(content string) {
	_, section, _ := strings.Cut(content, followMark)
	for line := range strings.Lines(section) {
		name, quoted, _ := strings.Cut(line, "=")
		value, ok := guc.Unquote(strings.TrimSpace(quoted))
		if !ok {
			continue
		}
		switch name = strings.TrimSpace(name); name {
		case "primary_conninfo":
			f.conninfo = value
		case "primary_slot_name":
			f.slot = value
		case "restore_command", "archive_cleanup_command", "recovery_min_apply_delay", feedbackName:
			if f.recovery == nil {
				f.recovery = guc.Settings{}
			}
			f.recovery[name] = value
		}
	}
}

// How soon a standby whose stream broke tries again, unless that is configured. With PostgreSQL's own 5 s the replicas
// of a primary that crashed and recovered within a moment hold nothing newer for that long, and a promotion that comes
// in such a pause may wait until its end (WaitForWALToBecomeAvailable in xlogrecovery.c sleeps it out).
const (
	reconnectName  = "wal_retrieve_retry_interval"
	reconnectEvery = "500ms"
)

// followMark begins the part of the configuration file that says whom the server follows.
const followMark = "# Whom this server follows.\n"

// renderConf is the whole postgresql.conf below its header. What is on the command line stands there too, so that
// the base file's own idea of it makes no complaint at every reload.
func renderConf(plan guc.Plan, f following) string {
	all := maps.Clone(plan.File)
	for _, a := range plan.Arguments {
		all[a.Name] = a.Value
	}
	if f.names.Managed {
		delete(all, syncNamesName)
	}
	text := all.Render() + f.names.section()
	switch {
	case f.standby:
		return text + "\n" + followMark + followConf(all, f).Render()
	case len(f.restore) > 0:
		return text + "\n# How this cluster is restored.\n" + f.restore.Render()
	case len(f.recovery) > 0:
		return text + "\n# How this server restores WAL.\n" + f.recovery.Render()
	}
	return text
}

func followConf(all guc.Settings, f following) guc.Settings {
	follow := guc.Settings{
		"primary_conninfo":         f.conninfo,
		"primary_slot_name":        f.slot,
		"recovery_target":          "",
		"recovery_target_lsn":      "",
		"recovery_target_name":     "",
		"recovery_target_time":     "",
		"recovery_target_xid":      "",
		"recovery_target_timeline": "latest",
	}
	if _, configured := all[reconnectName]; !configured {
		follow[reconnectName] = reconnectEvery
	}
	maps.Copy(follow, f.recovery)
	return follow
}

// prepare makes new settings the wanted ones.
func (s *Server) prepare(settings Settings) error {
	_, warnings := guc.Prepare(settings.parameters(), s.endpoint(), s.binaries().Major)
	s.mu.Lock()
	news := !slices.Equal(warnings, s.warned)
	s.settings, s.warned = settings, warnings
	s.mu.Unlock()
	for _, w := range warnings {
		if news {
			s.log.Warn("a configured parameter is not used as it stands", slog.String("why", w))
		}
	}
	_, _, err := s.wanted()
	return err
}

// parameters are all parameters of the file, those for recovery included.
func (s Settings) parameters() map[string]any {
	all := maps.Clone(s.Parameters)
	if all == nil {
		all = map[string]any{}
	}
	for name, value := range s.Recovery {
		all[strings.ToLower(name)] = value
	}
	return all
}

func (s *Server) endpoint() guc.Endpoint {
	return guc.Endpoint{
		ListenAddresses: strings.Join(s.cfg.ListenAddresses, ","),
		Port:            s.cfg.Port,
		ClusterName:     s.cfg.ClusterName,
	}
}

// addPaths sets what depends on the data directory, unless it is configured.
func (s *Server) addPaths(file guc.Settings) error {
	paths := map[string]string{"hba_file": filepath.Join(s.dir, hbaName), "ident_file": filepath.Join(s.dir, identName)}
	if _, set := file["unix_socket_directories"]; !set {
		dir, err := makeSocketDir(s.cfg.SocketDir, s.dir)
		if err != nil {
			return err
		}
		paths["unix_socket_directories"] = socketList(dir)
	}
	for name, path := range paths {
		if _, set := file[name]; !set {
			file[name] = path
		}
	}
	return nil
}

// wanted returns what the files shall say, for the programs in use: their major version may have changed
// with the data directory.
func (s *Server) wanted() (guc.Plan, Settings, error) {
	s.mu.Lock()
	settings := s.settings
	s.mu.Unlock()
	plan, _ := guc.Prepare(settings.parameters(), s.endpoint(), s.binaries().Major)
	if err := s.addPaths(plan.File); err != nil {
		return guc.Plan{}, Settings{}, err
	}
	if _, configured := plan.File[restartName]; settings.Strict && !configured {
		plan.File[restartName] = "off"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, value := range s.refused {
		if plan.File[name] == value {
			delete(plan.File, name)
		}
	}
	s.plan = plan
	s.query.compareAgain.Store(true)
	return plan, settings, nil
}

// restartName has the postmaster start everything anew by itself after one of its processes crashed. Then nobody could
// keep clients out.
const restartName = "restart_after_crash"

// configure brings the configuration files of a data directory in line and reports whether any changed.
// A configuration that PostgreSQL would refuse never replaces one that works.
func (s *Server) configure(ctx context.Context, dir string, f following) (changed bool, err error) {
	plan, settings, err := s.wanted()
	if err != nil {
		return false, err
	}
	if err := keepBase(dir); err != nil {
		return false, err
	}
	conf, header := filepath.Join(dir, confName), confHeader(settings.included())
	if text := header + renderConf(plan, f); !holds(conf, text) {
		if plan, err = s.acceptable(ctx, dir, header, plan, f); err != nil {
			return false, err
		}
		if changed, err = writeFile(conf, header+renderConf(plan, f)); err != nil {
			return false, err
		}
		s.forgetSpread(f.names)
	}
	more, err := s.writeAccess(dir, plan.File, settings)
	if err != nil || f.keepAuto {
		return changed || more, err
	}
	cleaned, err := cleanAuto(dir, f.names.Managed)
	return changed || more || cleaned, err
}

// acceptable asks PostgreSQL whether it would take the configuration. Settings that it refuses by
// themselves are left out with a warning: a mistake in the cluster's configuration must not stop every
// member at its next start.
func (s *Server) acceptable(ctx context.Context, dir, header string, plan guc.Plan, f following) (guc.Plan, error) {
	err := s.tryConf(ctx, dir, plan, header+renderConf(plan, f))
	if _, refused := errors.AsType[*ExitError](err); err == nil || !refused {
		return plan, err
	}
	if err := s.tryConf(ctx, dir, plan, header); err != nil {
		return plan, fmt.Errorf("the file included by %s or the command line is at fault: %w", confName, err)
	}
	for _, name := range slices.Sorted(maps.Keys(plan.File)) {
		single := guc.Settings{name: plan.File[name]}
		why := s.tryConf(ctx, dir, plan, header+single.Render())
		if _, refused := errors.AsType[*ExitError](why); refused {
			s.log.WarnContext(ctx, "a configured parameter is refused by the server and left out",
				slog.String("parameter", name), slog.String("value", plan.File[name]), slog.Any("err", why))
			s.refuse(name, plan.File[name])
			delete(plan.File, name)
		}
	}
	if err := s.tryConf(ctx, dir, plan, header+renderConf(plan, f)); err != nil {
		return plan, fmt.Errorf("check the configuration: %w", err)
	}
	return plan, nil
}

func (s *Server) refuse(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = guc.Settings{}
	}
	s.refused[name] = value
}

// tryConf has PostgreSQL read a configuration without starting.
func (s *Server) tryConf(ctx context.Context, dir string, plan guc.Plan, text string) error {
	candidate := filepath.Join(dir, confName+".candidate")
	if _, err := writeFile(candidate, text); err != nil {
		return err
	}
	defer os.Remove(candidate) //nolint:errcheck // it means nothing to anybody
	args := append([]string{"-D", dir, "--config-file=" + candidate}, arguments(plan)...)
	_, err := command{
		op:   "check the configuration",
		path: s.binaries().Path("postgres"),
		args: append(args, "-C", "port"),
		env:  []string{"LC_ALL=C"},
	}.run(ctx)
	return err
}

// arguments renders the part of a plan that belongs on the command line.
func arguments(plan guc.Plan) []string {
	var args []string
	for _, a := range plan.Arguments {
		args = append(args, "--"+a.Name+"="+a.Value)
	}
	return args
}
