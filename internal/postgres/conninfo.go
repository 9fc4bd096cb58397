package postgres

import "strings"

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

// passLines renders the lines of a pgpass file for all addresses of an upstream (libpq, "The Password File").
func passLines(up Upstream, login Login) string {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	var lines strings.Builder
	for _, at := range up.endpoints() {
		fields := []string{
			escape.Replace(at.host), at.port, "*",
			escape.Replace(login.Username), escape.Replace(login.Password.Reveal()),
		}
		lines.WriteString(strings.Join(fields, ":") + "\n")
	}
	return lines.String()
}

// primaryConninfo is how the server reaches the one it follows.
func (s *Server) primaryConninfo(up Upstream) string {
	where := up.pairs()
	return conninfo(
		pair{"dbname", database},
		pair{"user", s.cfg.Replication.Username},
		pair{"passfile", s.passFile(s.cfg.Replication)},
		where[0], where[1],
		pair{"application_name", s.applicationName(up)},
		pair{"target_session_attrs", up.attributes()},
	)
}

// applicationName is what the server calls itself: the member's name, by which synchronous_standby_names means it. The leader
// of a standby cluster is no standby of the remote's: a member there may have the same name, and commits would wait for the
// wrong server.
func (s *Server) applicationName(up Upstream) string {
	if up.Remote {
		return "standby cluster " + s.cfg.MemberName
	}
	return s.cfg.MemberName
}

// passFile names the password file where a login has a password.
func (s *Server) passFile(login Login) string {
	if login.Password == "" {
		return ""
	}
	return s.cfg.PgPassFile
}
