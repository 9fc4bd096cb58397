package postgres

// Program is a command of the operator's with its first arguments; empty for none.
type Program []string

// Option is one option of a program: a flag when Value is empty. One letter is a short option.
type Option struct{ Name, Value string }

// Method is a way to fill the data directory: the operator's program, or ours where there is none.
type Method struct {
	// Name is how the operator calls it, for messages.
	Name    string
	Program Program
	// Options are handed to the program as --name=value, and to pg_basebackup as they are.
	Options []Option
	// NoParams: the program is told nothing of the cluster and of the data directory.
	NoParams bool
	// NoLeader: a clone needs no running server for it.
	NoLeader bool
	// KeepData: what an earlier attempt of a clone left is the program's to go on with, rather than removed.
	KeepData bool
	// KeepRecovery: what the program wrote about recovery is used as it is.
	KeepRecovery bool
	// Recovery are the settings for the recovery of a new cluster, its target included.
	Recovery map[string]any
}

// baseBackupName is the name of our own way to make a clone.
const baseBackupName = "basebackup"

// cloneMethods are the ways to clone from an upstream.
func (s *Server) cloneMethods(up Upstream) []Method {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case up.Remote && len(s.settings.RemoteMethods) > 0:
		return s.settings.RemoteMethods
	case len(s.settings.CloneMethods) > 0:
		return s.settings.CloneMethods
	}
	return []Method{{Name: baseBackupName}}
}

// arguments are what a program is called with: its own options, then ours, as Patroni's methods expect them
// (Patroni documentation, "Building replicas"). All have their value in the same word.
func (m Method) arguments(ours ...Option) []string {
	args := append([]string{}, m.Program[1:]...)
	given := m.Options
	if !m.NoParams {
		given = append(append([]Option{}, given...), ours...)
	}
	for _, o := range given {
		args = append(args, "--"+o.Name+"="+o.Value)
	}
	return args
}
