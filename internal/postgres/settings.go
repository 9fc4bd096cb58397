package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// in are the settings while the server has a role.
func (s Settings) in(role cluster.Role) Settings {
	v := s.ByRole[role]
	s.ByRole = nil
	if len(v.Parameters) > 0 {
		// What all members must agree on stays what it is without the role.
		s.Parameters = guc.Merge(s.Parameters, v.Parameters)
	}
	if len(v.HBA) > 0 {
		s.HBA = v.HBA
	}
	if len(v.Ident) > 0 {
		s.Ident = v.Ident
	}
	return s
}

// misplaced says what a role's settings have that cannot differ with the role.
func (s Settings) misplaced() []string {
	var warnings []string
	for _, role := range slices.Sorted(maps.Keys(s.ByRole)) {
		for _, name := range slices.Sorted(maps.Keys(s.ByRole[role].Parameters)) {
			if guc.Controlled(name) {
				warnings = append(warnings, fmt.Sprintf("parameter %s cannot differ with the role: what parameters_%s says of it is left out", name, role))
			}
		}
	}
	return warnings
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

// prepare makes new settings the wanted ones.
func (s *Server) prepare(ctx context.Context, settings Settings) error {
	s.mu.Lock()
	before := s.settings.Logins
	s.mu.Unlock()
	if settings.Superuser.Username == "" {
		settings.Logins = before
	}
	settings.Logins = settings.complete()
	if err := settings.check(); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	warnings := settings.misplaced()
	for _, role := range append([]cluster.Role{""}, slices.Sorted(maps.Keys(settings.ByRole))...) {
		_, more := s.plans(ctx, settings.in(role))
		for _, w := range more {
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
	}
	s.mu.Lock()
	news := !slices.Equal(warnings, s.warned)
	s.settings, s.warned = settings, warnings
	s.mu.Unlock()
	for _, w := range warnings {
		if news {
			s.log.WarnContext(ctx, "a configured parameter is not used as it stands", slog.String("why", w))
		}
	}
	_, _, err := s.wanted(ctx, s.current())
	return err
}

// plans says where the settings of a role go, and what is not used as it stands.
func (s *Server) plans(ctx context.Context, settings Settings) (guc.Plan, []string) {
	b := s.binaries()
	plan, warnings := guc.Prepare(settings.parameters(), s.endpoint(), b.Major)
	file, more := guc.Validate(b.Version, plan.File, s.listed(ctx))
	plan.File = file
	return plan, append(warnings, more...)
}

// listTimeout bounds the question which parameters there are; it takes milliseconds.
const listTimeout = 10 * time.Second

// listed says whether the server's programs know a parameter that our table does not. They are asked once, and only when
// there is such a parameter. Where they cannot be asked, it passes: the check of the whole configuration finds it.
func (s *Server) listed(ctx context.Context) func(name string) bool {
	return func(name string) bool {
		s.mu.Lock()
		known := s.known
		s.mu.Unlock()
		if known == nil {
			var err error
			if known, err = s.list(ctx); err != nil {
				s.log.WarnContext(ctx, "the server's programs do not tell which parameters there are", slog.Any("err", err))
				return true
			}
			s.mu.Lock()
			s.known = known
			s.mu.Unlock()
		}
		return known[name]
	}
}

// list asks the programs for the names of all parameters that a file may have.
func (s *Server) list(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	out, err := command{
		op: "list the parameters", path: s.binaries().Path("postgres"), args: []string{"--describe-config"}, env: []string{"LC_ALL=C"},
	}.run(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, "\t")
		known[strings.ToLower(name)] = true
	}
	return known, nil
}
