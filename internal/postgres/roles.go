package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// rewindFunctions are what pg_rewind calls on its source (PostgreSQL documentation, pg_rewind, "Notes").
var rewindFunctions = []string{
	"pg_catalog.pg_ls_dir(text, boolean, boolean)",
	"pg_catalog.pg_stat_file(text, boolean)",
	"pg_catalog.pg_read_binary_file(text)",
	"pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)", //nolint:dupword // two arguments of one type
}

// roleStatements makes the roles of a new cluster that initdb has not made, one statement a line, as
// single-user mode reads them.
func roleStatements(l Logins) string {
	var lines []string
	replication, rewind := l.Replication, l.Rewind
	if replication.Username != l.Superuser.Username {
		lines = append(lines, createRole(replication, "REPLICATION"))
	}
	if rewind.Username != l.Superuser.Username {
		if rewind.Username != replication.Username {
			lines = append(lines, createRole(rewind, ""))
		}
		for _, f := range rewindFunctions {
			lines = append(lines, "GRANT EXECUTE ON FUNCTION "+f+" TO "+identifier(rewind.Username))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// restoredRoleStatements makes the roles of a cluster that was restored, which may have them already, perhaps with other
// passwords. Each statement is one line, as single-user mode reads them.
func restoredRoleStatements(l Logins) string {
	roles := []struct {
		Login
		attribute string
	}{{l.Superuser, "SUPERUSER"}, {l.Rewind, ""}, {l.Replication, "REPLICATION"}}
	var lines []string
	for _, r := range roles {
		if r.Username == l.Superuser.Username && r.attribute != "SUPERUSER" {
			continue
		}
		create := createRole(r.Login, r.attribute)
		alter := "ALTER" + strings.TrimPrefix(create, "CREATE")
		lines = append(lines, doBlock("IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = "+literal(secret.Text(r.Username))+") THEN "+
			alter+"; ELSE "+create+"; END IF;"))
	}
	if l.Rewind.Username != l.Superuser.Username {
		for _, f := range rewindFunctions {
			lines = append(lines, "GRANT EXECUTE ON FUNCTION "+f+" TO "+identifier(l.Rewind.Username))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// doBlock runs statements between two marks that do not occur in them.
func doBlock(body string) string {
	mark := "$do$"
	for strings.Contains(body, mark) {
		mark = "$" + strings.Trim(mark, "$") + "o$"
	}
	return "DO " + mark + "BEGIN " + body + " END" + mark
}

func createRole(login Login, attribute string) string {
	words := []string{"CREATE ROLE", identifier(login.Username), "LOGIN"}
	if attribute != "" {
		words = append(words, attribute)
	}
	if login.Password != "" {
		words = append(words, "PASSWORD", literal(login.Password))
	}
	return strings.Join(words, " ")
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a text for a server with standard_conforming_strings, which is the default.
func literal(text secret.Text) string {
	return "'" + strings.ReplaceAll(text.Reveal(), "'", "''") + "'"
}
