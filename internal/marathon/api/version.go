package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

func (s *Server) listVersions(path string) handler {
	return func(r *http.Request) (answer, error) {
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		versions, err := s.History.Versions(r.Context(), a.ID)
		if err != nil {
			return answer{}, err
		}
		return ok(map[string][]app.Timestamp{"versions": append([]app.Timestamp{}, versions...)})
	}
}

// showVersion answers with the bare definition, as Marathon does.
func (s *Server) showVersion(path, text string) handler {
	return func(r *http.Request) (answer, error) {
		a, err := s.find(path)
		if err != nil {
			return answer{}, err
		}
		version, err := app.ParseTimestamp(text)
		if err != nil {
			return answer{}, refuse(http.StatusUnprocessableEntity, "%s", err)
		}
		then, err := s.version(r.Context(), a.ID, version)
		if err != nil {
			return answer{}, err
		}
		return ok(then)
	}
}

// version is an app as it was. Without a history there is only the present.
func (s *Server) version(ctx context.Context, id app.ID, version app.Timestamp) (app.App, error) {
	present, there := s.Scheduler.App(id)
	switch {
	case !there:
		return app.App{}, &app.UnknownAppError{ID: id}
	case present.Version == version:
		return present, nil
	case s.History == nil:
		return app.App{}, &app.UnknownAppError{ID: id, Version: version}
	}
	then, kept, err := s.History.Version(ctx, id, version)
	switch {
	case err != nil:
		return app.App{}, err
	case !kept:
		return app.App{}, &app.UnknownAppError{ID: id, Version: version}
	}
	return then, nil
}

// sameMajor refuses a definition with another major version of PostgreSQL: its servers would not start on the data there
// is, and a rolling restart would take down one member after the other.
func sameMajor(old, next app.App) error {
	before, known := app.PostgresMajor(old)
	after, said := app.PostgresMajor(next)
	if !old.IsPostgres() || !next.IsPostgres() || !known || !said || before == after || next.Labels[app.MajorUpgradeLabel] == strconv.Itoa(after) {
		return nil
	}
	return refuse(http.StatusUnprocessableEntity, "%s runs PostgreSQL %d, and the definition asks for %d: servers of another major version "+
		"do not start on the data there is. Upgrade the data first (pg_upgrade, or a second cluster and logical replication), "+
		"then say so with the label %s=%d", next.ID, before, after, app.MajorUpgradeLabel, after)
}
