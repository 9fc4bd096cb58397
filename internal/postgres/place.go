package postgres

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// The names of the configuration files. postgresql.auto.conf lies in the data directory always.
const (
	confName  = "postgresql.conf"
	autoName  = "postgresql.auto.conf"
	hbaName   = "pg_hba.conf"
	identName = "pg_ident.conf"
	// unheldName is the real pg_hba.conf while clients are kept out; see hold.
	unheldName = "pg_hba.unheld.conf"

	defaultBase = "postgresql"
)

// confFiles are the paths of the configuration files of a data directory.
type confFiles struct {
	dir string
	// conf is what an agent writes. base is what initdb or an administrator wrote; it is included first, so that ours wins.
	conf, base         string
	hba, unheld, ident string
}

// filesIn are the configuration files in a folder.
func filesIn(dir, base string) confFiles {
	base = cmp.Or(base, defaultBase)
	in := func(name string) string { return filepath.Join(dir, name) }
	return confFiles{
		dir: dir, conf: in(base + ".conf"), base: in(base + ".base.conf"), hba: in(hbaName), unheld: in(unheldName), ident: in(identName),
	}
}

// files are those that belong to a data directory, or to one that is not finished.
func (s *Server) files(dir string) confFiles {
	return filesIn(cmp.Or(s.cfg.ConfigDir, dir), s.cfg.ConfigBase)
}

// held reports whether clients are kept out.
func (f confFiles) held() bool { return exists(f.unheld) }

// hbaTarget is where the configured rules go: while clients are kept out, they are those of later.
func (f confFiles) hbaTarget() string {
	if f.held() {
		return f.unheld
	}
	return f.hba
}

// serverArgs begin a command line of postgres: which data, and which configuration.
func (s *Server) serverArgs(dir, conf string) []string {
	args := []string{"-D", dir, "--config-file=" + conf}
	if s.cfg.ConfigDir != "" {
		// An administrator's file, such as Debian's, may name a data directory itself, which would win over -D.
		args = append(args, "--data_directory="+dir)
	}
	return args
}

// makeConfDir makes the folder of configuration files that lie outside of the data directory.
func (s *Server) makeConfDir() error {
	if s.cfg.ConfigDir == "" {
		return nil
	}
	if err := os.MkdirAll(s.cfg.ConfigDir, 0o700); err != nil {
		return fmt.Errorf("make config_dir: %w", err)
	}
	return nil
}

// addPaths sets what depends on where the files lie, unless it is configured.
func (s *Server) addPaths(file guc.Settings) error {
	files := s.files(s.dir)
	paths := map[string]string{"hba_file": files.hba, "ident_file": files.ident}
	if _, set := file["unix_socket_directories"]; !set {
		dir, err := makeSocketDir(s.cfg.SocketDir, s.dir)
		if err != nil {
			return err
		}
		paths["unix_socket_directories"] = socketList(dir)
	}
	for name, path := range paths {
		configured, set := file[name]
		switch {
		case !set:
			file[name] = path
		case name != "unix_socket_directories" && !filepath.IsAbs(configured):
			file[name] = filepath.Join(files.dir, configured)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets = socketFolders(file["unix_socket_directories"])
	return nil
}
