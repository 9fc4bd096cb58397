package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Login is a PostgreSQL role and its password.
type Login struct {
	Username string
	Password secret.Text
	// KeyPassword opens the key of the login's certificate (sslpassword).
	KeyPassword secret.Text
	// Options are further parameters of libpq for connections of the role: sslmode, sslcert and the like.
	Options map[string]string
}

// loginOptions are all that a login may have: what is not a name or password is a parameter of libpq.
func loginOptions() []string {
	return []string{
		"username", "password", "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslcrldir",
		"gssencmode", "channel_binding", "sslnegotiation",
	}
}

// loginsFile are the logins, in the section authentication or, in older files, without it.
type loginsFile struct {
	Superuser   loginFile `yaml:"superuser"`
	Replication loginFile `yaml:"replication"`
	Rewind      loginFile `yaml:"rewind"`
}

type loginFile struct {
	Username string            `yaml:"username"`
	Password secret.Text       `yaml:"password"`
	Options  map[string]string `yaml:",inline"`
}

func (f loginFile) login(otherwise string) Login {
	l := Login{Username: cmp.Or(f.Username, otherwise), Password: f.Password}
	for name, value := range f.Options {
		if value == "" || !slices.Contains(loginOptions(), name) {
			continue
		}
		if name == "sslpassword" {
			l.KeyPassword = secret.Text(value)
			continue
		}
		if l.Options == nil {
			l.Options = map[string]string{}
		}
		l.Options[name] = value
	}
	return l
}

// logins are who connects as whom. Without a login of its own, a rewind goes by the superuser's.
func (f postgresFile) logins() (superuser, replication, rewind Login) {
	auth := f.authentication()
	superuser, replication, rewind = auth.Superuser.login(defaultSuperuser), auth.Replication.login(defaultReplication), auth.Rewind.login("")
	if rewind.Username == "" {
		rewind = superuser
	}
	return superuser, replication, rewind
}

func (f postgresFile) authentication() loginsFile {
	if f.Authentication != nil {
		return *f.Authentication
	}
	older := loginsFile{Superuser: f.OlderSuperuser, Replication: f.OlderReplication}
	if f.OlderRewind != nil {
		older.Rewind = *f.OlderRewind
	}
	return older
}

// checkPasswords wants a password of each login that has no other proof, unless the file says who is let in how: the rules
// that are made where there are none ask for passwords. open says whether it does.
func (pg Postgres) checkPasswords(open bool) error {
	var problems []error
	for _, l := range []struct {
		path string
		Login
	}{{"superuser", pg.Superuser}, {"replication", pg.Replication}, {"rewind", pg.Rewind}} {
		same := l.path == "rewind" && pg.Rewind.Username == pg.Superuser.Username
		if l.Password != "" || open || same || l.Options["sslcert"] != "" || pg.Kerberos != "" {
			continue
		}
		problems = append(problems, fmt.Errorf("postgresql.authentication.%s.password is missing: set it or PATRONI_%s_PASSWORD, "+
			"or give postgresql.pg_hba if none is asked for", l.path, strings.ToUpper(l.path)))
	}
	return errors.Join(problems...)
}
