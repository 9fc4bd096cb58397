package postgres

import (
	"strconv"
	"strings"
)

// pair is one keyword of a libpq connection string.
type pair struct{ keyword, value string }

// conninfo renders a connection string for libpq. No password is ever among the pairs: connection
// strings appear in argument lists, views and logs.
func conninfo(pairs ...pair) string {
	var words []string
	for _, p := range pairs {
		if p.value != "" {
			words = append(words, p.keyword+"="+quoteConninfo(p.value))
		}
	}
	return strings.Join(words, " ")
}

// quoteConninfo quotes a value where it has to be (libpq, "Keyword/Value Connection Strings").
func quoteConninfo(v string) string {
	if !strings.ContainsAny(v, " \t\n'\\=") {
		return v
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// passLine renders one line of a pgpass file (libpq, "The Password File").
func passLine(up Upstream, login Login) string {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	fields := []string{
		escape.Replace(up.Host), strconv.Itoa(up.Port), "*",
		escape.Replace(login.Username), escape.Replace(login.Password.Reveal()),
	}
	return strings.Join(fields, ":") + "\n"
}

// primaryConninfo is how the server reaches the one it follows.
func (s *Server) primaryConninfo(up Upstream) string {
	return conninfo(
		pair{"dbname", database},
		pair{"user", s.cfg.Replication.Username},
		pair{"passfile", s.passFile(s.cfg.Replication)},
		pair{"host", up.Host},
		pair{"port", strconv.Itoa(up.Port)},
		pair{"application_name", s.cfg.MemberName},
	)
}

// passFile names the password file where a login has a password.
func (s *Server) passFile(login Login) string {
	if login.Password == "" {
		return ""
	}
	return s.cfg.PgPassFile
}
