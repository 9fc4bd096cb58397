package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

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

func main() { os.Exit(begin()) }

func execute(args []string) int {
	// The first signal ends the context and with it the program in good order; a second one is not caught.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	understood := false
	root := newRoot()
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
		Use:   "pgbaton",
		Short: "PostgreSQL, highly available, as one program",
		Long: `pgbaton keeps PostgreSQL available: agents elect a leader through etcd, start, clone,
promote and rewind their servers; a scheduler with Marathon's API places them;
HAProxy follows the leader.

Begin with:  pgbaton up        everything on this machine
             pgbaton list      who leads, who follows`,
		Version:       build,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("pgbaton {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(upCommand(), agentCommand(), etcdCommand(), hostCommand(), guardCommand())
	root.AddCommand(ctl.Commands(ctl.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Vars: operatorVars(), Open: openForOperator, Now: time.Now,
		Colour: terminal(os.Stdout),
	})...)
	return root
}

// newLog logs to standard error: for people on a terminal, one line of attributes elsewhere.
func newLog(level slog.Level) *slog.Logger {
	if terminal(os.Stderr) {
		return slog.New(tint.NewTextHandler(os.Stderr, &tint.Options{Level: level, TimeFormat: time.TimeOnly + ".000"}))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}

// processEnv is the environment of the process.
func processEnv() map[string]string { return config.ParseEnv(os.Environ()) }

// operatorVars is the environment for operator commands. Where it names no DCS, the environment file of the
// default state directory of `pgbaton up` fills it in, so that `pgbaton list` just works beside it.
func operatorVars() map[string]string {
	env := processEnv()
	for name := range env {
		if strings.HasPrefix(name, "PATRONI_") || strings.HasPrefix(name, "PATRONICTL_") {
			return env
		}
	}
	for name, value := range readEnvFile(defaultStateDir()) {
		if env[name] == "" {
			env[name] = value
		}
	}
	return env
}
