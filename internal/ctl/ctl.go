package ctl

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/dcs"
)

// DCS is what the commands need of the store: the picture of one cluster.
type DCS interface {
	Load(ctx context.Context) (cluster.Cluster, error)
	// Watch reports changes since a picture was taken.
	Watch(ctx context.Context, after cluster.Version) <-chan dcs.Change
	Close() error
}

// Env is where the commands run.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Vars is the environment.
	Vars map[string]string
	// Open opens a cluster's documents.
	Open func(ctx context.Context, c config.Client) (DCS, error)
	Now  func() time.Time
	// Colour allows colours and marks for a terminal.
	Colour bool
	// Poll is how often a member is asked while something is waited for that only it can tell; zero is 2 s.
	Poll time.Duration
}

// dcsTimeout bounds the first word with the DCS, and each read of it.
const dcsTimeout = 5 * time.Second

// errSilent is the cause of giving up on a DCS.
var errSilent = fmt.Errorf("the DCS did not answer within %v", dcsTimeout)

// ErrAborted is returned when the operator said no.
var ErrAborted = errors.New("aborted")

// Commands are the operator commands, to be added to the program's root.
func Commands(env Env) []*cobra.Command {
	t := &tool{env: env}
	cmds := []*cobra.Command{
		t.listCommand(), t.historyCommand(), t.explainCommand(), t.manualCommand("switchover"), t.manualCommand("failover"),
		t.demoteClusterCommand(), t.promoteClusterCommand(), t.pauseCommand(true), t.pauseCommand(false), t.restartCommand(), t.reinitCommand(), t.reloadCommand(), t.flushCommand(),
	}
	for _, c := range cmds {
		c.Flags().StringVarP(&t.file, "config-file", "c", cmp.Or(env.Vars["PATRONICTL_CONFIG_FILE"], env.Vars["PGBATON_CONFIG_FILE"]),
			"configuration file that names the cluster and its DCS; without one, the PATRONI_* environment does")
	}
	return cmds
}

// tool is one invocation.
type tool struct {
	env   Env
	file  string
	input *bufio.Reader
}

// session is an open cluster.
type session struct {
	DCS
	scope  string
	client *client.Client
}

// open finds the cluster: the one named, else the one of the configuration.
func (t *tool) open(ctx context.Context, named string) (*session, error) {
	vars := t.env.Vars
	cfg, err := config.LoadClient(config.Source{Path: t.file, Env: vars})
	if err != nil {
		return nil, fmt.Errorf("%w. Give a configuration with -c FILE, or set PATRONI_SCOPE and PATRONI_ETCD_HOSTS; "+
			"for a cluster of pgbaton up, load its environment first: . STATE_DIR/env", err)
	}
	cfg.Scope = cmp.Or(named, cfg.Scope)
	if cfg.Scope == "" {
		return nil, errors.New("no cluster was named: give its name, or a configuration with -c FILE")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dcsTimeout, errSilent)
	defer cancel()
	store, err := t.env.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &session{DCS: store, scope: cfg.Scope, client: client.New(cfg.Aliases)}, nil
}

func (s *session) close() {
	s.client.Close()
	s.Close() //nolint:errcheck // a reader has nothing to lose when its connection closes badly
}

// load reads the picture within a bound.
func (s *session) load(ctx context.Context) (cluster.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, dcsTimeout)
	defer cancel()
	c, err := s.Load(ctx)
	if err != nil {
		return c, fmt.Errorf("read cluster %s from the DCS: %w", s.scope, err)
	}
	return c, nil
}

// await loads the picture after every change until it satisfies, or the context ends.
func (s *session) await(ctx context.Context, c cluster.Cluster, enough func(cluster.Cluster) bool) {
	changes := s.Watch(ctx, c.Revision)
	for !enough(c) {
		if _, more := <-changes; !more {
			return
		}
		if next, err := s.load(ctx); err == nil {
			c = next
		}
	}
}

func (t *tool) printf(format string, args ...any) { fmt.Fprintf(t.env.Out, format, args...) }

// prompt asks for a line; an empty answer takes the default.
func (t *tool) prompt(question, otherwise string) (string, error) {
	t.printf("%s [%s]: ", question, otherwise)
	answer, err := t.readLine()
	if err != nil {
		return "", err
	}
	return cmp.Or(answer, otherwise), nil
}

// confirm asks a question whose answer is no unless somebody says yes.
func (t *tool) confirm(question string) error {
	t.printf("%s [y/N]: ", question)
	answer, err := t.readLine()
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer == "y" || answer == "yes" {
		return nil
	}
	return ErrAborted
}

func (t *tool) readLine() (string, error) {
	if t.input == nil {
		t.input = bufio.NewReader(t.env.In)
	}
	answer, err := t.input.ReadString('\n')
	if err != nil && answer == "" {
		t.printf("\n")
		return "", ErrAborted
	}
	return strings.TrimSpace(answer), nil
}
