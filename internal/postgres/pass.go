package postgres

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

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

// passFile names the password file where a login has a password.
func (s *Server) passFile(login Login) string {
	if login.Password == "" {
		return ""
	}
	return s.cfg.PgPassFile
}

// writePass writes what connections to another server prove themselves with: the password file, and the service file.
func (s *Server) writePass(up Upstream) error {
	if !up.Known() {
		return nil
	}
	logins := s.logins()
	var lines strings.Builder
	for _, login := range []Login{logins.Replication, logins.Rewind} {
		if login.Password != "" {
			lines.WriteString(passLines(up, login))
		}
	}
	if err := writeSecret(s.cfg.PgPassFile, lines.String()); err != nil {
		return fmt.Errorf("write the password file: %w", err)
	}
	return s.writeServices(logins)
}

// writeSecret writes a file that nobody else may read. One that others may read is disregarded by libpq, and should not be
// there.
func writeSecret(path, text string) error {
	if _, err := replaceFile(path, text, 0o600); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}

// A key file may be encrypted, and libpq takes the password of it from a connection string or a service file only (libpq,
// "The Connection Service File"). Strings are shown in argument lists, and PostgreSQL logs primary_conninfo when it changes.
func (s *Server) servicePath() string { return s.dir + ".service" }

// serviceEnv tells libpq of the service file.
func (s *Server) serviceEnv() string { return "PGSERVICEFILE=" + s.servicePath() }

// inEnvironment reports whether a process was started with an entry in its environment.
func inEnvironment(pid int, entry string) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && slices.Contains(strings.Split(string(env), "\x00"), entry)
}

// serviceOf names the section of the service file for a login that has an encrypted key; empty for others.
func serviceOf(login Login) string {
	if login.KeyPassword == "" {
		return ""
	}
	return "pgbaton " + login.Username
}

// writeServices writes the service file; where no key is encrypted there is none.
func (s *Server) writeServices(logins Logins) error {
	var text strings.Builder
	done := map[string]bool{}
	for _, login := range []Login{logins.Replication, logins.Rewind} {
		if name := serviceOf(login); name != "" && !done[name] {
			done[name] = true
			text.WriteString("[" + name + "]\n" + keyPassword + "=" + login.KeyPassword.Reveal() + "\n")
		}
	}
	if text.Len() == 0 && !exists(s.servicePath()) {
		return nil
	}
	if err := writeSecret(s.servicePath(), text.String()); err != nil {
		return fmt.Errorf("write the service file: %w", err)
	}
	return nil
}
