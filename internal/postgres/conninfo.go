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

// keyPassword is libpq's word for the password of a key.
const keyPassword = "sslpassword"

// loginOption is a parameter of libpq that a login may have.
type loginOption struct {
	keyword string
	// since is the first major version of libpq that knows it; an older one refuses the whole string.
	since int
	// own: our own connections know it too. They do not speak GSSAPI, and no lists of revoked certificates are asked.
	own bool
}

// loginOptions are in the order in which they are written. The password of a key is in none of these strings; see
// servicePath.
func loginOptions() []loginOption {
	return []loginOption{
		{"sslmode", 0, true},
		{"sslcert", 0, true},
		{"sslkey", 0, true},
		{"sslrootcert", 0, true},
		{"sslcrl", 0, false},
		{"sslcrldir", 14, false},
		{"gssencmode", 12, false},
		{"channel_binding", 13, true},
		{"sslnegotiation", 17, true},
	}
}

// options are a login's for the programs of a major version.
func (l Login) options(major int) []pair {
	var all []pair
	for _, o := range loginOptions() {
		if major >= o.since {
			all = append(all, pair{o.keyword, l.Options[o.keyword]})
		}
	}
	if major >= keyPasswordSince {
		all = append(all, pair{"service", serviceOf(l)})
	}
	return all
}

// keyPasswordSince is the first version of libpq with encrypted keys.
const keyPasswordSince = 13

// ownOptions are a login's for our own connections. That string stays inside of this process.
func (l Login) ownOptions() []pair {
	all := []pair{{keyPassword, l.KeyPassword.Reveal()}}
	for _, o := range loginOptions() {
		if o.own {
			all = append(all, pair{o.keyword, l.Options[o.keyword]})
		}
	}
	if l.Options["sslmode"] == "" {
		all = append(all, pair{"sslmode", "prefer"})
	}
	return all
}

// reachPairs are the parts of a connection string that say where another server is, and who asks.
func (s *Server) reachPairs(up Upstream, login Login) []pair {
	pairs := []pair{{"dbname", s.database()}, {"user", login.Username}, {"passfile", s.passFile(login)}}
	pairs = append(pairs, up.pairs()...)
	pairs = append(pairs, login.options(s.binaries().Major)...)
	return append(pairs, pair{"krbsrvname", s.cfg.Kerberos}, pair{"target_session_attrs", up.attributes()})
}

// primaryConninfo is how the server reaches the one it follows. A running one that somebody else has started does not know
// of the service file; the password of a key stands in its configuration until it was restarted.
func (s *Server) primaryConninfo(up Upstream) string {
	login := s.logins().Replication
	pairs := append(s.reachPairs(up, login), pair{"application_name", s.applicationName(up)})
	if pm := s.postmaster(); pm != nil && serviceOf(login) != "" && !inEnvironment(pm.PID(), s.serviceEnv()) {
		for i := range pairs {
			if pairs[i].keyword == "service" {
				pairs[i] = pair{keyPassword, login.KeyPassword.Reveal()}
			}
		}
	}
	return conninfo(pairs...)
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

// methodConninfo is the connection string that an operator's programs get; the password is in the file that PGPASSFILE
// names.
func (s *Server) methodConninfo(up Upstream) string {
	login := s.logins().Replication
	login.Password = ""
	return conninfo(s.reachPairs(up, login)...)
}

// sourceConninfo is how PostgreSQL's programs reach another server. They notice within half a minute that
// its host is gone, instead of waiting for the network's own patience.
func (s *Server) sourceConninfo(up Upstream, login Login) string {
	return conninfo(append(
		s.reachPairs(up, login),
		pair{"connect_timeout", "3"},
		pair{"keepalives_idle", "10"},
		pair{"keepalives_interval", "5"},
		pair{"keepalives_count", "4"},
		pair{"application_name", s.cfg.MemberName},
	)...)
}
