package ctl

import (
	"bufio"
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

// DCS is what the commands need of the store: the documents of one cluster. Writes happen only over the version that was
// read; kv.ErrConflict and kv.ErrHeld say that somebody else was faster.
type DCS interface {
	Load(ctx context.Context) (cluster.Cluster, error)
	// Watch reports changes since a picture was taken.
	Watch(ctx context.Context, after cluster.Version) <-chan dcs.Change
	WriteConfig(ctx context.Context, data map[string]any, old cluster.Version) error
	WriteFailover(ctx context.Context, f cluster.Failover, old cluster.Version) error
	// Remove deletes all documents of the cluster.
	Remove(ctx context.Context) error
	Close() error
}

// Env is where the commands run.
type Env struct {
	// Program is the name under which it was called, for the hints in errors.
	Program string
	// Version is that of Patroni whose commands these are.
	Version  string
	In       io.Reader
	Out, Err io.Writer
	// Vars is the environment.
	Vars map[string]string
	// Beside are variables that say how the cluster beside is reached, for when nothing else says which one is meant; may be
	// nil.
	Beside func() map[string]string
	// DefaultFile is read where no other configuration file is given; it may be missing.
	DefaultFile string
	// Open opens a cluster's documents.
	Open func(ctx context.Context, c config.Client) (DCS, error)
	// Scopes names the clusters of the namespace, for completion; may be nil.
	Scopes func(ctx context.Context, c config.Client) ([]string, error)
	// Peers makes of the section ctl what a client of members needs; nil for nothing.
	Peers func(c config.Ctl) (client.Options, error)
	// Check says what members would not take of a dynamic configuration, and what they would take but not act on; nil for
	// nothing.
	Check func(data map[string]any) (problems, warnings []string)
	// Connect opens a member's server for queries.
	Connect func(ctx context.Context, to Target) (Database, error)
	// Password reads a line that is not shown, until it is interrupted; nil reads one of In.
	Password func(interrupted <-chan struct{}) (string, error)
	Now      func() time.Time
	// Colour allows colours and marks for a terminal.
	Colour bool
	// Terminal: somebody looks at Out while the command runs.
	Terminal bool
	// Poll is how often a member is asked while something is waited for that only it can tell; zero is 2 s.
	Poll time.Duration
}

// dcsTimeout bounds the first word with the DCS, and each read of it.
const dcsTimeout = 5 * time.Second

// errSilent is the cause of giving up on a DCS.
var errSilent = fmt.Errorf("the DCS did not answer within %v", dcsTimeout)

// ErrAborted is returned when the operator ended the conversation.
var ErrAborted = errors.New("aborted")

// Install adds the operator commands to a program, and the options that stand before them.
func Install(root *cobra.Command, env Env) {
	t := &tool{env: env}
	root.TraverseChildren = true
	t.globalFlags(root, true)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return asKnown(err) })
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .HasAvailableSubCommands}}\n  {{.CommandPath}} [command]{{end}}", "", 1) + "\n")
	for _, c := range t.commands() {
		c.Example = strings.ReplaceAll(c.Example, "pgbaton ", env.Program+" ")
		c.Use, c.DisableFlagsInUseLine = withOptions(c.Use), true
		t.globalFlags(c, c.Name() != "query") // whose -c and -d are something else
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			t.interrupted = cmd.Context().Done()
			return run(cmd, args)
		}
		c.GroupID = groupOf(root)
		root.AddCommand(c)
	}
}

// withOptions says in the usage of a command that it takes options.
func withOptions(use string) string {
	name, rest, _ := strings.Cut(use, " ")
	return strings.TrimSpace(name + " [OPTIONS] " + rest)
}

// asKnown words what is wrong with the options as patronictl's users know it.
func asKnown(err error) error {
	if name, unknown := strings.CutPrefix(err.Error(), "unknown flag: "); unknown {
		return errors.New("No such option: " + name)
	}
	if _, name, unknown := strings.Cut(err.Error(), " in "); unknown && strings.HasPrefix(err.Error(), "unknown shorthand flag: ") {
		return errors.New("No such option: " + name)
	}
	return err
}

// Group is the name of the group of operator commands in a program's help.
const Group = "operator"

func groupOf(root *cobra.Command) string {
	if root.ContainsGroup(Group) {
		return Group
	}
	return ""
}

func (t *tool) commands() []*cobra.Command {
	return []*cobra.Command{
		t.listCommand(), t.topologyCommand(), t.historyCommand(), t.explainCommand(),
		t.manualCommand("switchover"), t.manualCommand("failover"), t.demoteClusterCommand(), t.promoteClusterCommand(),
		t.pauseCommand(true), t.pauseCommand(false), t.restartCommand(), t.reinitCommand(), t.reloadCommand(), t.flushCommand(),
		t.showConfigCommand(), t.editConfigCommand(), t.dsnCommand(), t.queryCommand(), t.removeCommand(), t.versionCommand(),
	}
}

// tool is one invocation.
type tool struct {
	env      Env
	file     string
	url      string
	insecure bool
	input    *bufio.Reader
	// beside is true once the configuration is that of the cluster beside, for want of another.
	beside bool
	// interrupted ends questions.
	interrupted <-chan struct{}
}

// session is an open cluster.
type session struct {
	DCS
	// scope is its name; group the number of its part when it is one of Citus, else empty.
	scope, group string
	client       *client.Client
	tool         *tool
}

// open finds the cluster: the one named, else the one of the configuration. group is the number of its part when it is one
// of Citus, else empty.
func (t *tool) open(ctx context.Context, named, group string) (*session, error) {
	cfg, err := t.config(named)
	if err != nil {
		return nil, err
	}
	peers, err := t.peers(cfg)
	if err != nil {
		return nil, err
	}
	s := &session{scope: cfg.Scope, group: group, client: peers, tool: t}
	if group != "" {
		cfg.Namespace, cfg.Scope = cfg.Namespace+"/"+cfg.Scope, group
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dcsTimeout, errSilent)
	defer cancel()
	if s.DCS, err = t.env.Open(ctx, cfg); err != nil {
		peers.Close()
		if t.beside {
			return nil, fmt.Errorf("nothing says which DCS to ask, and that of pgbaton up, which may not run, could not be opened: %w", err)
		}
		return nil, err
	}
	return s, nil
}

// load opens a cluster and reads its picture; the caller closes the session where there is no error.
func (t *tool) load(ctx context.Context, named, group string) (*session, cluster.Cluster, error) {
	s, err := t.open(ctx, named, group)
	if err != nil {
		return nil, cluster.Cluster{}, err
	}
	c, err := s.load(ctx)
	if err != nil {
		s.close()
		return nil, cluster.Cluster{}, err
	}
	return s, c, nil
}

// peers makes the client for members.
func (t *tool) peers(cfg config.Client) (*client.Client, error) {
	if t.env.Peers == nil {
		return client.New(cfg.Aliases, client.Options{}), nil
	}
	options, err := t.env.Peers(cfg.Ctl)
	if err != nil {
		return nil, fmt.Errorf("%w: check the section ctl of the configuration", err)
	}
	return client.New(cfg.Aliases, options), nil
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

// warn writes a line as patronictl logs a warning.
func (t *tool) warn(text string) {
	fmt.Fprintf(t.env.Err, "%s - WARNING - %s\n", t.env.Now().Format("2006-01-02 15:04:05,000"), text)
}
