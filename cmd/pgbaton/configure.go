package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/configure"
)

// configureCommands are the commands about configuration files.
func configureCommands() []*cobra.Command {
	return []*cobra.Command{validateCommand(), generateCommand(), sampleCommand()}
}

func validateCommand() *cobra.Command {
	ignorePorts, show := false, false
	c := &cobra.Command{
		Use:   "validate-config [FILE|DIR]",
		Short: "Check a configuration, and whether it fits this machine",
		Long: `Every mistake is one line with its file, line and option. Beside the file itself it is
checked whether the ports are free, etcd answers, the programs of PostgreSQL are there
and fit the data directory, and certificates can be read. Nothing is printed and the exit
code is 0 when all is well. Without FILE the variables PATRONI_* are checked.`,
		Example: `  pgbaton validate-config /etc/patroni/postgres0.yml
  pgbaton validate-config --ignore-listen-port /etc/patroni   # a folder; beside a member that runs
  pgbaton validate-config --print postgres0.yml               # with the environment in it, secrets hidden`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runValidate(cmd.Context(), cmd.OutOrStdout(), argument(args), ignorePorts, show)
		},
	}
	c.Flags().BoolVarP(&ignorePorts, "ignore-listen-port", "i", false, "ports may be in use, by a member that runs")
	c.Flags().BoolVarP(&show, "print", "p", false, "print the configuration with the environment in it, secrets hidden")
	return c
}

func generateCommand() *cobra.Command {
	dsn := ""
	c := &cobra.Command{
		Use:   "generate-config [FILE]",
		Short: "Make the configuration that takes over a server that runs on this machine",
		Long: `The server is asked, as a superuser, for its settings, pg_hba.conf, pg_ident.conf, folders
and roles. Without --dsn the variables of libpq (PGHOST, PGUSER, …) say how to reach it.
A password is written only where --dsn or PGPASSWORD gives it; FIXME stands for what you
have to fill in. FILE is readable by its owner only; without FILE the text is printed.`,
		Example: `  pgbaton generate-config /etc/patroni/postgres0.yml
  pgbaton generate-config --dsn "host=/var/run/postgresql user=postgres"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runGenerate(cmd.Context(), cmd.OutOrStdout(), argument(args), dsn)
		},
	}
	c.Flags().StringVar(&dsn, "dsn", "", "how to reach the server, as libpq writes it")
	return c
}

func sampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "generate-sample-config [FILE]",
		Short: "Make a configuration to begin with",
		Long: `The file names this machine and the newest PostgreSQL on it, and takes in what the
variables PATRONI_* say. FIXME stands for what you have to fill in. FILE is readable by
its owner only; without FILE the text is printed.`,
		Example: "  pgbaton generate-sample-config postgres0.yml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runGenerateSample(cmd.Context(), cmd.OutOrStdout(), argument(args))
		},
	}
}

// argument is the one argument that may be left out.
func argument(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// runValidate checks a configuration, a file or folder or the environment. It writes nothing when all is well, unless the
// configuration is to be printed; the error has a line for each problem. Warnings go to standard error, as an agent that
// starts would log them.
func runValidate(ctx context.Context, out io.Writer, path string, ignorePorts, show bool) error {
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find out the name of this host: %w", err)
	}
	src := config.Source{Path: path, Env: processEnv(), Hostname: hostname}
	cfg, err := config.Load(src)
	if wrong, ok := errors.AsType[*config.InvalidError](err); ok {
		return problems(wrong.Source, wrong.Problems)
	}
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(os.Stderr, "Warning: "+w)
	}
	if found := configure.Check(ctx, cfg, configure.Options{IgnorePorts: ignorePorts}); len(found) > 0 {
		return problems(src.Name(), found)
	}
	if !show {
		return nil
	}
	text, err := config.Effective(src)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

// problems is an error with a line for each of several problems.
func problems(source string, all []string) error {
	text := fmt.Sprintf("%s has %d problems", source, len(all))
	if len(all) == 1 {
		text = source + " has a problem"
	}
	return errors.New(text + "\n" + source + ": " + strings.Join(all, "\n"+source+": "))
}

// runGenerate writes the configuration of a server that runs to a file; without a path, to out.
func runGenerate(ctx context.Context, out io.Writer, path, dsn string) error {
	text, err := configure.Running(ctx, dsn, processEnv())
	if err != nil {
		return err
	}
	return configure.Write(out, path, text)
}

// runGenerateSample writes a configuration to begin with to a file; without a path, to out.
func runGenerateSample(ctx context.Context, out io.Writer, path string) error {
	text, err := configure.Sample(ctx, processEnv())
	if err != nil {
		return err
	}
	return configure.Write(out, path, text)
}
