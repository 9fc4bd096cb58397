package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/agent"
)

// One program has three names. Called through a link named patroni or patronictl it takes the arguments of that program, so
// that units, scripts and habits stay as they are.

// compatible is the version that programs read which ask for Patroni's. What follows the plus says who answers; it counts for
// nothing when versions are compared (PEP 440, Semantic Versioning).
const compatible = agent.Version + "+pgbaton"

// named is the program for the name that it was called by.
func named(path string) *cobra.Command {
	switch filepath.Base(path) {
	case "patroni":
		return patroniCommand()
	case "patronictl":
		return patronictlCommand()
	}
	return newRoot()
}

func patronictlCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "patronictl [OPTIONS] COMMAND [ARGS]...",
		Short: "Look at clusters of PostgreSQL, and change them",
		Long: `The operator commands of pgbaton ` + build + `, which is what patronictl is a link to here.
They work with members of Patroni and of pgbaton alike.`,
	}
	operate(root, "patronictl")
	return root
}

// patroniOptions are the arguments of patroni.
type patroniOptions struct {
	version, validate, ignoreListen, print bool
	generate, sample                       bool
	dsn                                    string
}

func patroniCommand() *cobra.Command {
	var o patroniOptions
	c := &cobra.Command{
		Use:   "patroni [OPTIONS] [CONFIGFILE]",
		Short: "Run beside one PostgreSQL server and keep its cluster led",
		Long: `The agent of pgbaton ` + build + `, which is what patroni is a link to here.
Without a file, the configuration is that of the environment: PATRONI_CONFIGURATION and
the other PATRONI_* variables. PostgreSQL refuses root, so run it as an unprivileged user.`,
		Example: `  patroni /etc/patroni/postgres0.yml
  patroni --validate-config /etc/patroni/postgres0.yml
  patroni --generate-config --dsn 'host=127.0.0.1 user=postgres' postgres0.yml`,
		Args:          func(_ *cobra.Command, args []string) error { return o.check(args) },
		SilenceErrors: true, SilenceUsage: true, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			return runPatroni(cmd.Context(), path, o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.version, "version", false, "print the version")
	f.BoolVar(&o.validate, "validate-config", false, "check the configuration file and end")
	f.BoolVarP(&o.ignoreListen, "ignore-listen-port", "i", false, "with --validate-config: let ports be in use")
	f.BoolVarP(&o.print, "print", "p", false, "with --validate-config: print the configuration with that of the environment")
	f.BoolVar(&o.generate, "generate-config", false, "write a configuration for the server that runs here")
	f.BoolVar(&o.sample, "generate-sample-config", false, "write a configuration to begin with")
	f.StringVar(&o.dsn, "dsn", "", "with --generate-config: how to connect to the server as a superuser")
	f.BoolVarP(new(bool), "help", "h", false, "show this help")
	return c
}

// check says what does not go together.
func (o patroniOptions) check(args []string) error {
	deeds := 0
	for _, wanted := range []bool{o.validate, o.generate, o.sample} {
		if wanted {
			deeds++
		}
	}
	switch {
	case len(args) > 1:
		return fmt.Errorf("unrecognized arguments: %s", strings.Join(args[1:], " "))
	case deeds > 1:
		return errors.New("choose one of --validate-config, --generate-config and --generate-sample-config")
	case o.dsn != "" && !o.generate:
		return errors.New("--dsn belongs to --generate-config: add that, or leave it out")
	case (o.ignoreListen || o.print) && !o.validate:
		return errors.New("--ignore-listen-port and --print belong to --validate-config: add that, or leave them out")
	}
	return nil
}

func runPatroni(ctx context.Context, path string, o patroniOptions) error {
	switch {
	case o.version:
		fmt.Fprintf(os.Stdout, "patroni %s\n", compatible)
		return nil
	case o.validate:
		return runValidate(ctx, os.Stdout, path, o.ignoreListen, o.print)
	case o.sample:
		return runGenerateSample(ctx, os.Stdout, path)
	case o.generate:
		return runGenerate(ctx, os.Stdout, path, o.dsn)
	}
	return runAgent(ctx, path, false)
}
