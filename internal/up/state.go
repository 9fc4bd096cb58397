package up

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// State is the state directory of one `pgbaton up`, held by one process at a time.
//
//	lock            held while a pgbaton up runs; its content is the process number
//	secrets.json    the generated passwords, 0600
//	pgpass          the superuser's password for clients, 0600
//	env             the environment for commands
//	bin/pgbaton     the program that agents and etcd members run, so that a build does not change it under them
//	postgres.yml    the configuration file of the agents
//	etcd/ tasks/    what the etcd members and the tasks keep
//	haproxy/        HAProxy's configuration and sockets
//	run/            the sockets of the PostgreSQL servers, whose volumes have paths too long for one
type State struct {
	dir  string
	lock *os.File
	cred *syscall.Credential
}

// Passwords are generated once per state directory.
type Passwords struct {
	Superuser   secret.Text
	Replication secret.Text
}

// ErrRunning is returned when another process holds the state directory.
var ErrRunning = errors.New("pgbaton up runs already")

// OpenState makes the directory where needed and takes it. Servers run as cred, unless that is nil; they must be able to
// reach what is theirs.
func OpenState(dir string, cred *syscall.Credential) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the state directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // the servers' user passes through
		return nil, fmt.Errorf("open the state directory: %w; choose another with --state-dir", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the state directory: %w; choose another with --state-dir", err)
	}
	s := &State{dir: dir, lock: lock, cred: cred}
	if err := s.take(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// take locks the directory and writes down who holds it. The kernel lets go of the lock when the process ends, however
// it ends.
func (s *State) take() error {
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { //nolint:gosec // a descriptor is small
		holder, readErr := io.ReadAll(io.LimitReader(s.lock, 32))
		if readErr != nil || len(holder) == 0 {
			holder = []byte("unknown")
		}
		return fmt.Errorf("%w on %s (process %s): use that one, or another --state-dir", ErrRunning, s.dir, strings.TrimSpace(string(holder)))
	}
	if err := s.lock.Truncate(0); err != nil {
		return fmt.Errorf("take the state directory: %w", err)
	}
	if _, err := fmt.Fprintf(s.lock, "%d\n", os.Getpid()); err != nil {
		return fmt.Errorf("take the state directory: %w", err)
	}
	return nil
}

// Close lets go of the directory.
func (s *State) Close() error { return s.lock.Close() }

// Path is a path inside the directory.
func (s *State) Path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// EtcdNotes is the file of the keeper of the etcd members.
func (s *State) EtcdNotes() string { return s.Path(etcdNotes) }

// Folder makes a folder inside the directory that the servers' user can pass through.
func (s *State) Folder(name string) (string, error) {
	dir := s.Path(name)
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // the servers' user passes through
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	return dir, nil
}

// OwnFolder makes a folder inside the directory that belongs to the servers' user alone.
func (s *State) OwnFolder(name string) (string, error) {
	dir := s.Path(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	if s.cred == nil {
		return dir, nil
	}
	if err := os.Chown(dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	return dir, nil
}

// Passwords returns the passwords, generated at the first call ever.
func (s *State) Passwords() (Passwords, error) {
	path := s.Path("secrets.json")
	var doc struct{ Superuser, Replication string }
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		doc.Superuser, doc.Replication = rand.Text(), rand.Text()
		if text, err = json.Marshal(doc); err == nil {
			err = renameio.WriteFile(path, text, 0o600)
		}
	case err == nil:
		err = json.Unmarshal(text, &doc)
	}
	if err == nil && (doc.Superuser == "" || doc.Replication == "") {
		err = errors.New("a password is missing")
	}
	if err != nil {
		return Passwords{}, fmt.Errorf("passwords in %s: %w", path, err)
	}
	return Passwords{secret.Text(doc.Superuser), secret.Text(doc.Replication)}, nil
}

// WritePgPass writes the superuser's password for connections to the address, and returns the path.
func (s *State) WritePgPass(address string, p Passwords) (string, error) {
	path := s.Path("pgpass")
	line := address + ":*:*:postgres:" + p.Superuser.Reveal() + "\n"
	if err := renameio.WriteFile(path, []byte(line), 0o600); err != nil {
		return "", fmt.Errorf("write the pgpass file: %w", err)
	}
	return path, nil
}

// EnvFile is the path of the environment file of a state directory.
func EnvFile(dir string) string { return filepath.Join(dir, "env") }

// WriteEnv writes the environment file.
func (s *State) WriteEnv(vars map[string]string) error {
	var b strings.Builder
	b.WriteString("# The environment of this pgbaton up: load it with . " + EnvFile(s.dir) + "\n")
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(vars[name], "'", `'\''`))
	}
	if err := renameio.WriteFile(EnvFile(s.dir), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the environment file: %w", err)
	}
	return nil
}

// ReadEnv reads what WriteEnv wrote; no file gives no variables.
func ReadEnv(dir string) map[string]string {
	text, err := os.ReadFile(EnvFile(dir))
	if err != nil {
		return nil
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(line, "#") {
			quoted := strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'")
			vars[name] = strings.ReplaceAll(quoted, `'\''`, "'")
		}
	}
	return vars
}

// InstallProgram copies the running program into the state directory, where the servers' user can run it.
func (s *State) InstallProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the own program: %w", err)
	}
	if _, err := s.Folder("bin"); err != nil {
		return "", err
	}
	source, err := os.Open(filepath.Clean(self))
	if err != nil {
		return "", fmt.Errorf("copy the own program: %w", err)
	}
	defer source.Close() //nolint:errcheck // only read
	return s.install(source, s.Path("bin", "pgbaton"), 0o755)
}

// InstallConfig writes the agents' configuration file into the state directory, for nobody but the servers' user to
// read: it may hold passwords.
func (s *State) InstallConfig(text []byte) (string, error) {
	return s.install(bytes.NewReader(text), s.Path("postgres.yml"), 0o600)
}

// install writes a file that belongs to the servers' user, whole or not at all.
func (s *State) install(source io.Reader, path string, mode fs.FileMode) (string, error) {
	target, err := renameio.NewPendingFile(path, renameio.WithPermissions(mode))
	if err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	defer target.Cleanup() //nolint:errcheck // nothing is left of a file that failed
	if _, err := io.Copy(target, source); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	if s.cred != nil {
		if err := target.Chown(int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
	}
	if err := target.CloseAtomicallyReplace(); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}
