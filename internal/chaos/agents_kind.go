package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Kind is another program than pgbaton that members may be agents of: a version of Patroni.
type Kind struct {
	// Title is its name with its version, such as "Patroni 3.0.2".
	Title string
	// Daemon is the program that becomes the agent with a configuration file as its argument, Ctl the operator's.
	Daemon, Ctl string
}

// Latest reports whether it is of the generation that pgbaton speaks like, 4.1.
func (k *Kind) Latest() bool {
	version := strings.TrimPrefix(k.Title, "Patroni ")
	return k.Quorum() && !strings.HasPrefix(version, "4.0")
}

// Quorum reports whether it has quorum commit, which came with 4.0.
func (k *Kind) Quorum() bool {
	major := strings.TrimPrefix(k.Title, "Patroni ")
	return len(major) > 1 && major[0] >= '4'
}

// Patroni finds this system's Patroni, Patroni4 the one that scripts/install-peers.sh lays beside it.
func Patroni(ctx context.Context) (*Kind, error) { return findKind(ctx, "patroni", "patronictl") }

// Patroni4 is the newer one.
func Patroni4(ctx context.Context) (*Kind, error) { return findKind(ctx, "patroni4", "patronictl4") }

func findKind(ctx context.Context, daemon, ctl string) (*Kind, error) {
	d, err := Beside(daemon)
	if err != nil {
		return nil, err
	}
	c, err := Beside(ctl)
	if err != nil {
		return nil, err
	}
	output, err := exec.CommandContext(ctx, d, "--version").Output() //nolint:gosec // the program to test with
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", d, err)
	}
	words := strings.Fields(string(output))
	if len(words) < 2 {
		return nil, fmt.Errorf("ask %s for its version: %q is no answer", d, output)
	}
	return &Kind{Title: "Patroni " + words[1], Daemon: d, Ctl: c}, nil
}

// Beside finds a program in the PATH, or where scripts/install-peers.sh lays what it unpacks beside the system.
func Beside(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	path := filepath.Join(cmp.Or(os.Getenv("PGBATON_PEERS"), "/var/cache/pgbaton"), "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed: run scripts/install-peers.sh", name)
	}
	return path, nil
}

// As says whose agent a member has from its next start on; nil stands for pgbaton.
func (a *Agents) As(name string, k *Kind) error {
	m, err := a.member(name)
	if err != nil {
		return err
	}
	if m.agent.lives() {
		return fmt.Errorf("the agent of %s runs", name)
	}
	m.kind = k
	return nil
}

// KindOf is whose agent a member has, nil for pgbaton.
func (a *Agents) KindOf(name string) *Kind {
	m, err := a.member(name)
	if err != nil {
		return nil
	}
	return m.kind
}

// start starts the agent of one member.
func (a *Agents) start(m *agentMember) (*child, error) {
	switch {
	case m.kind != nil:
		return a.runAs(a.cfg.Credential, m.name, a.cfg.Env, m.kind.Daemon, a.File(m.name))
	case a.cfg.Contained:
		return a.contain(m.name, a.cfg.Env, "agent", a.File(m.name))
	default:
		return a.run(m.name, a.cfg.Env, "agent", a.File(m.name))
	}
}

// Ctl runs a command of the operator with the configuration file of a member: the one of a Patroni, or pgbaton's where
// the kind is nil. It returns standard output and the exit code; the error has what was printed on standard error.
func (a *Agents) Ctl(ctx context.Context, k *Kind, member string, args ...string) (string, int, error) {
	return a.CtlAnswering(ctx, "", k, member, args...)
}

// CtlAnswering answers what the command asks with a text.
func (a *Agents) CtlAnswering(ctx context.Context, answer string, k *Kind, member string, args ...string) (string, int, error) {
	program := a.cfg.Program
	if k != nil {
		program = k.Ctl
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-c", a.File(member)}, args...)...) //nolint:gosec // the program to test
	cmd.Dir, cmd.Env = a.dir, append(append(environment(), a.cfg.Env...), "PGPASSWORD="+agentsPassword)
	cmd.Stdin = strings.NewReader(answer)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	output, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(output), cmd.ProcessState.ExitCode(), err
}

// complete says what old versions of Patroni say in other words, or only through their leader: Patroni 3.0 calls a primary
// master, and does not tell of a replica that it streams.
func (a *Agents) complete(ctx context.Context, pic *Picture) {
	silent := false
	for i := range pic.Members {
		m := &pic.Members[i]
		if m.Role == "master" {
			m.Role = cluster.RolePrimary
		}
		silent = silent || m.Name != pic.Leader && !m.Streaming && a.KindOf(m.Name) != nil
	}
	if !silent || pic.Leader == "" {
		return
	}
	streaming, err := a.streaming(ctx, pic.Leader)
	if err != nil {
		return // nothing is known, so nothing is said
	}
	for i := range pic.Members {
		pic.Members[i].Streaming = pic.Members[i].Streaming || streaming[pic.Members[i].Name]
	}
}

// streaming are the members that the leader says stream from it.
func (a *Agents) streaming(ctx context.Context, leader string) (map[string]bool, error) {
	_, text, err := a.Send(ctx, leader, http.MethodGet, "/patroni", "")
	if err != nil {
		return nil, err
	}
	var status struct {
		Replication []struct {
			Application string `json:"application_name"`
			State       string `json:"state"`
		} `json:"replication"`
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return nil, errors.New("the leader's status is no JSON")
	}
	found := map[string]bool{}
	for _, r := range status.Replication {
		found[r.Application] = found[r.Application] || r.State == "streaming"
	}
	return found, nil
}
