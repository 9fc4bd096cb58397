package main

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/ctl"
)

// build is the version, set by the linker.
var build = "dev"

// The exit codes.
const (
	exitOK = iota
	exitFailure
	exitUsage
)

// execute runs the program of that name, as a shell does.
func execute(name string, args []string) int {
	ctx, release := untilEnded()
	defer release()
	understood := false
	root := named(name)
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, ctl.ErrAborted):
		fmt.Fprintln(os.Stderr, "Aborted!")
	case !understood:
		fmt.Fprintf(os.Stderr, "Usage: %s\nTry '%s --help' for help.\n\nError: %s\n", cmd.UseLine(), cmd.CommandPath(), err)
		return exitUsage
	default:
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
	}
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "pgbaton [OPTIONS] COMMAND [ARGS]...",
		Short: "PostgreSQL, highly available, as one program",
		Long: `pgbaton keeps PostgreSQL available: agents elect a leader through etcd, start, clone,
promote and rewind their servers; a scheduler with Marathon's API places them;
HAProxy follows the leader.

Begin with:  pgbaton up        everything on this machine
             pgbaton list      who leads, who follows`,
		Version: build,
	}
	root.SetVersionTemplate("pgbaton {{.Version}} (compatible with Patroni " + agent.Version + ")\n")
	root.AddGroup(&cobra.Group{ID: "programs", Title: "Programs:"}, &cobra.Group{ID: "scheduler", Title: "Apps, hosts and volumes of the scheduler:"}, &cobra.Group{ID: ctl.Group, Title: "Operator commands, as those of patronictl:"})
	programs := []*cobra.Command{upCommand(), agentCommand(), schedulerCommand(), proxyCommand(), etcdCommand(), guardCommand()}
	for _, c := range append(programs, configureCommands()...) {
		c.GroupID = "programs"
		root.AddCommand(c)
	}
	ctl.Schedule(root, operatorEnv("pgbaton"), "scheduler")
	operate(root, "pgbaton")
	return root
}

// operate makes a program of the operator commands, beside what it has already.
func operate(root *cobra.Command, name string) {
	root.SilenceErrors, root.SilenceUsage, root.DisableFlagsInUseLine = true, true, true
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("No such command '%s'.", args[0]) //nolint:staticcheck,revive // as patronictl's users know it
		}
		return nil
	}
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	ctl.Install(root, operatorEnv(name))
}

// operatorEnv is where operator commands run.
func operatorEnv(name string) ctl.Env {
	return ctl.Env{
		Program: name, Version: compatible, In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Vars: processEnv(), Beside: func() map[string]string { return readEnvFile(defaultStateDir()) }, DefaultFile: operatorFile(),
		Open: openForOperator, Scopes: scopes, Peers: peerOptions, Connect: connect, Check: config.CheckDynamic, Password: readPassword,
		Now: time.Now, Colour: terminal(os.Stdout), Terminal: isTerminal(os.Stdout) && isTerminal(os.Stderr),
	}
}

// operatorFile is the configuration file of operator commands where no other one is named.
func operatorFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "patroni", "patronictl.yaml")
}

// newLog logs to standard error: for people on a terminal, one line of attributes elsewhere.
func newLog(level slog.Leveler) *slog.Logger {
	if terminal(os.Stderr) {
		return slog.New(tint.NewTextHandler(os.Stderr, &tint.Options{Level: level, TimeFormat: time.TimeOnly + ".000"}))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// terminal reports whether colours are wanted.
func terminal(f *os.File) bool { return isTerminal(f) && os.Getenv("NO_COLOR") == "" }

// isTerminal reports whether somebody looks at a file.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS) //nolint:gosec // a descriptor is small
	return err == nil
}

// readPassword reads a line from standard input that a terminal does not show.
func readPassword(interrupted <-chan struct{}) (string, error) {
	fd := int(os.Stdin.Fd()) //nolint:gosec // a descriptor is small
	if before, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		quiet := *before
		quiet.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
			return "", fmt.Errorf("ask for the password: %w", err)
		}
		defer unix.IoctlSetTermios(fd, unix.TCSETS, before) //nolint:errcheck // it was as it was
	}
	lines := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err == nil || line != "" {
			lines <- strings.TrimRight(line, "\r\n")
		}
		close(lines)
	}()
	select {
	case line, typed := <-lines:
		if typed {
			return line, nil
		}
	case <-interrupted:
	}
	return "", ctl.ErrAborted
}

// processEnv is the environment of the process.
func processEnv() map[string]string { return config.ParseEnv(os.Environ()) }
