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

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// following is what a configuration says about whom the server follows, and who follows it.
type following struct {
	standby bool
	// leads: the server that it follows belongs to another cluster.
	leads bool
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

// current reads what the files of the data directory say now.
func (s *Server) current() following { return current(s.dir, s.files(s.dir).conf) }

func current(dir, conf string) following {
	f := following{standby: exists(filepath.Join(dir, signalName))}
	content, err := os.ReadFile(filepath.Clean(conf))
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
	f.leads = strings.HasPrefix(section, leadsMark)
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

// followMark begins the part of the configuration file that says whom the server follows, and leadsMark comes after it
// where that is a server of another cluster.
const (
	followMark = "# Whom this server follows.\n"
	leadsMark  = "# It leads a standby cluster.\n"
)

// role is the role whose settings count.
func (f *following) role() cluster.Role {
	switch {
	case !f.standby:
		return cluster.RolePrimary
	case f.leads:
		return cluster.RoleStandbyLeader
	}
	return cluster.RoleReplica
}

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
		mark := followMark
		if f.leads {
			mark += leadsMark
		}
		return text + "\n" + mark + followConf(all, f).Render()
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

func (s *Server) endpoint() guc.Endpoint {
	return guc.Endpoint{
		ListenAddresses: strings.Join(s.cfg.ListenAddresses, ","),
		Port:            s.cfg.Port,
		ClusterName:     s.cfg.ClusterName,
	}
}

// wanted returns what the files shall say in a role, for the programs in use: their major version may have changed
// with the data directory.
func (s *Server) wanted(ctx context.Context, f following) (guc.Plan, Settings, error) {
	s.mu.Lock()
	settings := s.settings.in(f.role())
	s.mu.Unlock()
	plan, _ := s.plans(ctx, settings)
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
	plan, settings, err := s.wanted(ctx, f)
	if err != nil {
		return false, err
	}
	files := s.files(dir)
	if err := errors.Join(s.makeConfDir(), files.keepBase(dir)); err != nil {
		return false, err
	}
	header := confHeader(files.included(settings))
	if text := header + renderConf(plan, f); !holds(files.conf, text) {
		if plan, err = s.acceptable(ctx, dir, header, plan, f); err != nil {
			return false, err
		}
		if changed, err = writeFile(files.conf, header+renderConf(plan, f)); err != nil {
			return false, err
		}
		s.forgetSpread(f.names)
	}
	more, err := s.writeAccess(files, plan.File, settings)
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
		return plan, fmt.Errorf("the file included by %s or the command line is at fault: %w", s.files(dir).conf, err)
	}
	for _, name := range slices.Sorted(maps.Keys(plan.File)) {
		single := guc.Settings{name: plan.File[name]}
		why := s.tryConf(ctx, dir, plan, header+single.Render())
		if _, refused := errors.AsType[*ExitError](why); refused {
			s.log.WarnContext(ctx, "a configured parameter is refused by the server and left out",
				slog.String("parameter", name), slog.String("value", fmt.Sprintf("%.80s", plan.File[name])), slog.Any("err", why))
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
	candidate := s.files(dir).conf + ".candidate"
	if _, err := writeFile(candidate, text); err != nil {
		return err
	}
	defer os.Remove(candidate) //nolint:errcheck // it means nothing to anybody
	args := append(s.serverArgs(dir, candidate), arguments(plan)...)
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
