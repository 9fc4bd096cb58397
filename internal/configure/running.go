package configure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v4"
)

// Running makes the configuration that takes over a server that runs on this machine. dsn says how to reach it as a
// superuser; what it leaves out libpq's variables and files say. A password is in the result only where the dsn or
// PGPASSWORD gives it, everywhere else stands a blank. What the variables PATRONI_* of env say is in it.
func Running(ctx context.Context, dsn string, env map[string]string) ([]byte, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the dsn is none that libpq would take: give one as postgres://user@host:port/database or host=… port=…")
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the server that runs: %w; say with --dsn how to reach it as a superuser", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it was only read from
	s, err := ask(ctx, conn)
	if err != nil {
		return nil, err
	}
	s.login = loginOf(cfg, dsn, env)
	m := thisMachine()
	return render(whole(m, parts{scope: s.scope(), dynamic: s.dynamic(), postgresql: s.section(m)}), env)
}

// server is what a running server tells of itself.
type server struct {
	// set are the settings that its files, command line and environment make differ from what is built in, and those that
	// a cluster has to agree on.
	set         map[string]string
	hba, ident  []string
	bin         string
	replication string
	login       *yaml.Node
}

// questions are about settings. Those of a recovery belong to a role, not to a member.
const (
	settingsSQL = `SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings
 WHERE context <> 'internal' AND setting <> '(disabled)' AND category <> 'Write-Ahead Log / Recovery Target'
   AND source IN ('configuration file', 'command line', 'environment variable') AND setting IS DISTINCT FROM boot_val
    OR name = ANY ($1)`
	binSQL         = `SELECT setting FROM pg_catalog.pg_config WHERE name = 'BINDIR'`
	replicationSQL = `SELECT rolname FROM pg_catalog.pg_roles WHERE rolreplication AND rolcanlogin AND NOT rolsuper ORDER BY rolname LIMIT 1`
	fileSQL        = `SELECT pg_catalog.pg_read_file(pg_catalog.current_setting($1))`
)

// agreed are the settings that all members of a cluster have to agree on.
func agreed() []string {
	return []string{
		"hot_standby", "max_connections", "max_locks_per_transaction", "max_prepared_transactions", "max_replication_slots",
		"max_wal_senders", "max_worker_processes", "track_commit_timestamp", "wal_keep_segments", "wal_keep_size", "wal_level", "wal_log_hints",
	}
}

// checksums is no setting that can be given, but lets pg_rewind be used.
const checksums = "data_checksums"

// places are the settings that say where the server and its files are.
func places() []string {
	return []string{"cluster_name", "config_file", "data_directory", "hba_file", "ident_file", "listen_addresses", "port"}
}

func ask(ctx context.Context, conn *pgx.Conn) (server, error) {
	if conn.PgConn().ParameterStatus("is_superuser") != "on" {
		return server{}, fmt.Errorf("%s is no superuser, who alone sees all settings; give another one in --dsn or PGUSER", conn.Config().User)
	}
	s := server{set: map[string]string{}, replication: sampleReplication}
	rows, err := conn.Query(ctx, settingsSQL, slices.Concat(agreed(), places(), []string{checksums}))
	if err != nil {
		return server{}, fmt.Errorf("read the settings: %w", err)
	}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { s.set[name] = value; return nil }); err != nil {
		return server{}, fmt.Errorf("read the settings: %w", err)
	}
	if err := conn.QueryRow(ctx, binSQL).Scan(&s.bin); err != nil {
		return server{}, fmt.Errorf("ask for the folder of the programs: %w", err)
	}
	if err := conn.QueryRow(ctx, replicationSQL).Scan(&s.replication); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return server{}, fmt.Errorf("look for a role for replication: %w", err)
	}
	for setting, lines := range map[string]*[]string{"hba_file": &s.hba, "ident_file": &s.ident} {
		if s.set[setting] != s.ours(setting) {
			continue // it stays where it is, as a setting
		}
		var text string
		if err := conn.QueryRow(ctx, fileSQL, setting).Scan(&text); err != nil {
			return server{}, fmt.Errorf("read %s: %w", s.set[setting], err)
		}
		*lines = withoutComments(text)
	}
	return s, nil
}

// configDir is where postgresql.conf lies.
func (s server) configDir() string { return filepath.Dir(s.set["config_file"]) }

// ours is where an agent writes a file.
func (s server) ours(setting string) string {
	return filepath.Join(s.configDir(), map[string]string{"hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}[setting])
}

// withoutComments are the lines that say something, with those that are continued in the next one made whole.
func withoutComments(text string) []string {
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

var scopeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (s server) scope() string {
	if name := s.set["cluster_name"]; scopeForm.MatchString(name) {
		return name
	}
	return sampleScope
}

// dynamic is what all members shall have in common.
func (s server) dynamic() *yaml.Node {
	common := section()
	for _, name := range s.names(func(name string) bool { return !local(name) }) {
		common.Content = append(common.Content, section(name, s.set[name]).Content...)
	}
	rewinds := s.set["wal_log_hints"] == "on" || s.set[checksums] == "on"
	return times("postgresql", section("use_pg_rewind", rewinds, "use_slots", true, "parameters", common))
}

// section is what is this member's own.
func (s server) section(m machine) *yaml.Node {
	listen := s.set["listen_addresses"]
	if listen == "" {
		listen = "localhost"
	}
	dir, base := any(nil), any(nil)
	if s.configDir() != s.set["data_directory"] {
		dir = s.configDir()
	}
	if name := strings.TrimSuffix(filepath.Base(s.set["config_file"]), ".conf"); name != "postgresql" {
		base = name
	}
	host, _, _ := strings.Cut(m.at(0), ":0")
	return section(
		"listen", strings.ReplaceAll(listen, " ", "")+":"+s.set["port"], "connect_address", host+":"+s.set["port"],
		"data_dir", s.set["data_directory"], "config_dir", dir, "config_base_name", base, "bin_dir", s.bin,
		"authentication", section("superuser", s.login, "replication", section("username", s.replication, "password", blank)),
		"parameters", filled(s.own()), "recovery_conf", filled(s.recovery()), "pg_hba", listed(s.hba), "pg_ident", listed(s.ident),
	)
}

// own are the parameters that depend on this machine, or that nobody should be able to change from afar since they are
// commands.
func (s server) own() *yaml.Node {
	own := section()
	for _, name := range s.names(local) {
		moved := (name == "hba_file" || name == "ident_file") && s.set[name] != s.ours(name)
		if recovers(name) || slices.Contains(places(), name) && !moved {
			continue
		}
		own.Content = append(own.Content, section(name, s.set[name]).Content...)
	}
	return own
}

func (s server) recovery() *yaml.Node {
	recovery := section()
	for _, name := range s.names(recovers) {
		recovery.Content = append(recovery.Content, section(name, s.set[name]).Content...)
	}
	return recovery
}

// names are those of settings of one kind, without those that an agent makes itself: whom the server follows is not part
// of a configuration, and may have a password in it.
func (s server) names(wanted func(string) bool) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.set)) {
		if !slices.Contains([]string{"primary_conninfo", "primary_slot_name", checksums}, name) && wanted(name) {
			all = append(all, name)
		}
	}
	return all
}

func recovers(name string) bool {
	return slices.Contains([]string{"restore_command", "archive_cleanup_command", "recovery_end_command", "recovery_min_apply_delay"}, name)
}

// local reports whether a setting is one of a machine: a place, a file, a command.
func local(name string) bool {
	return recovers(name) || slices.Contains(places(), name) || strings.HasSuffix(name, "_command") || strings.HasSuffix(name, "_file") ||
		strings.HasSuffix(name, "_directory") || strings.HasSuffix(name, "_directories")
}

// filled is a section, or nil for one without anything in it.
func filled(s *yaml.Node) any {
	if len(s.Content) == 0 {
		return nil
	}
	return s
}

func listed(lines []string) any {
	if len(lines) == 0 {
		return nil
	}
	return lines
}

// loginOf is who connected. What libpq's variables and the dsn say of TLS goes with it.
func loginOf(cfg *pgx.ConnConfig, dsn string, env map[string]string) *yaml.Node {
	word := blank
	if given := cfg.Password; given != "" && (given == env["PGPASSWORD"] || given == inDSN(dsn, "password")) {
		word = given
	}
	login := section("username", cfg.User, "password", word)
	for _, option := range []string{"sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "gssencmode"} {
		if value := cmp.Or(inDSN(dsn, option), env["PG"+strings.ToUpper(option)]); value != "" {
			login.Content = append(login.Content, section(option, value).Content...)
		}
	}
	return login
}

var keyword = regexp.MustCompile(`(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)`)

// inDSN is a keyword of a connection string or address; empty where it does not stand there.
func inDSN(dsn, name string) string {
	if strings.Contains(dsn, "://") {
		u, err := url.Parse(dsn)
		if err != nil {
			return ""
		}
		if name == "password" && u.User != nil {
			word, _ := u.User.Password()
			return word
		}
		return u.Query().Get(name)
	}
	for _, found := range keyword.FindAllStringSubmatch(dsn, -1) {
		if found[1] == name {
			return strings.NewReplacer(`\'`, "'", `\\`, `\`).Replace(strings.Trim(found[2], "'"))
		}
	}
	return ""
}
