package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"
)

// agentMember is one member, whether its agent runs or not.
type agentMember struct {
	name    string
	address netip.Addr
	// file is its configuration as it was last edited.
	file map[string]any
	// kind is whose agent it has, nil for pgbaton.
	kind  *Kind
	agent *child
	// told is true once its agent was told to end.
	told bool
	// frozen is true from SIGSTOP to SIGCONT.
	frozen bool
}

// add makes the folder and the configuration file of a member.
func (a *Agents) add(name string, at netip.Addr) error {
	dynamic := map[string]any{"ttl": 20, "loop_wait": 1, "retry_timeout": 3}
	maps.Copy(dynamic, a.cfg.Dynamic)
	login := func(user string) map[string]any { return map[string]any{"username": user, "password": agentsPassword} }
	file := map[string]any{
		"scope": "postgresql-cluster", "namespace": "/service/", "name": name,
		"restapi": map[string]any{"listen": at.String() + ":8008", "connect_address": at.String() + ":8008"},
		"etcd":    map[string]any{"hosts": a.layout.EtcdEndpoints()},
		"bootstrap": map[string]any{
			"dcs": dynamic, "initdb": []any{"data-checksums", map[string]any{"encoding": "UTF8"}, map[string]any{"locale": "C"}},
		},
		"postgresql": map[string]any{
			"listen": at.String() + ":5432", "connect_address": at.String() + ":5432", "data_dir": filepath.Join(a.dir, name, "data"),
			"authentication": map[string]any{"superuser": login("postgres"), "replication": login("replicator"), "rewind": login("rewinder")},
			// A power cut is never played here, so nothing has to reach a disk.
			"parameters": map[string]any{"fsync": false, "shared_buffers": "16MB", "log_checkpoints": false},
		},
	}
	if a.secured != nil {
		a.secured.apply(file)
	}
	if a.cfg.Local != nil {
		a.cfg.Local(name, file)
	}
	a.members = append(a.members, &agentMember{name: name, address: at, file: file})
	if err := a.makeFolder(filepath.Join(a.dir, name)); err != nil {
		return err
	}
	return a.Edit(name, func(map[string]any) {})
}

// Set puts a value into a tree of sections, which are made where there are none.
func Set(tree map[string]any, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		section, ok := tree[name].(map[string]any)
		if !ok {
			section = map[string]any{}
			tree[name] = section
		}
		tree = section
	}
	tree[path[len(path)-1]] = value
}

// member finds a member by its name.
func (a *Agents) member(name string) (*agentMember, error) {
	for _, m := range a.members {
		if m.name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("there is no member %s", name)
}

// Edit changes the configuration file of a member. An agent that runs does not notice before SIGHUP.
func (a *Agents) Edit(name string, change func(file map[string]any)) error {
	m, err := a.member(name)
	if err != nil {
		return err
	}
	change(m.file)
	text, err := yaml.Marshal(m.file)
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", name, err)
	}
	return a.Write(name, string(text))
}

// Write replaces the configuration file of a member by any text.
func (a *Agents) Write(name, text string) error {
	path := a.File(name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return a.give(path)
}

// File is the path of a member's configuration file.
func (a *Agents) File(name string) string { return filepath.Join(a.dir, name, "agent.yml") }

// DataDir is the data directory of a member.
func (a *Agents) DataDir(name string) string { return filepath.Join(a.dir, name, "data") }

// Start starts the agents of the named members, of all where none is named. One whose server still runs finds it.
func (a *Agents) Start(names ...string) error {
	if len(names) == 0 {
		names = a.Names()
	}
	for _, name := range names {
		m, err := a.member(name)
		if err != nil {
			return err
		}
		if m.agent.lives() {
			return fmt.Errorf("the agent of %s runs", name)
		}
		if m.agent, err = a.start(m); err != nil {
			return err
		}
		m.told, m.frozen = false, false
	}
	return nil
}

// Signal sends a signal to the agent of a member: SIGSTOP and SIGCONT freeze and thaw it, SIGHUP has it read its file,
// SIGTERM has it leave. SIGKILL ends it as it is, its server goes on; it has ended when Signal returns.
func (a *Agents) Signal(name string, s syscall.Signal) error {
	m, err := a.member(name)
	if err != nil {
		return err
	}
	if !m.agent.lives() {
		return fmt.Errorf("signal %s: its agent does not run", name)
	}
	m.told = m.told || s == syscall.SIGKILL || s == syscall.SIGTERM || s == syscall.SIGINT
	m.frozen = s == syscall.SIGSTOP || m.frozen && s != syscall.SIGCONT
	if s == syscall.SIGKILL {
		return m.agent.kill()
	}
	if a.cfg.Contained {
		return a.signalContained(m, s)
	}
	return m.agent.process.Signal(s)
}

// signalContained signals the first process of a container.
func (a *Agents) signalContained(m *agentMember, s syscall.Signal) error {
	pid := strconv.Itoa(m.agent.process.Pid)
	text, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		return fmt.Errorf("look into the container of %s: %w", m.name, err)
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("look into the container of %s: %w", m.name, err)
	}
	return signalBelow(a.dir, s, first)
}

// Ended waits for the end of a member's agent, which it was told or which it has a reason for, and returns its exit code.
func (a *Agents) Ended(ctx context.Context, name string) (int, error) {
	m, err := a.member(name)
	if err != nil {
		return 0, err
	}
	if m.agent == nil {
		return 0, fmt.Errorf("the agent of %s was never started", name)
	}
	m.told = true
	code, err := m.agent.wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("the agent of %s: %w", name, err)
	}
	return code, nil
}

// Leave has the agents of the named members, of all where none is named, end as SIGTERM does, one after the other, and
// waits for each.
func (a *Agents) Leave(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		names = a.Names()
	}
	for _, name := range names {
		if err := a.Signal(name, syscall.SIGTERM); err != nil {
			return err
		}
		if code, err := a.Ended(ctx, name); err != nil || code != 0 {
			return errors.Join(err, fmt.Errorf("the agent of %s ended with exit code %d: %s", name, code, a.Output(name, 5)))
		}
	}
	return nil
}

// endedEarly says which agent ended though nobody told it to.
func (a *Agents) endedEarly() error {
	for _, m := range a.members {
		if m.agent != nil && !m.agent.lives() && !m.told {
			return fmt.Errorf("the agent of %s ended with exit code %d: %s", m.name, m.agent.code, a.Output(m.name, 5))
		}
	}
	return nil
}

// Postmaster is the process number of a member's server, zero when none runs.
func (a *Agents) Postmaster(name string) int {
	p, _ := postmasterOf(filepath.Join(a.DataDir(name), "postmaster.pid"))
	return p.pid
}

// SignalServer sends a signal to the postmaster of a member.
func (a *Agents) SignalServer(name string, s syscall.Signal) error {
	pid := a.Postmaster(name)
	if pid == 0 {
		return fmt.Errorf("signal the server of %s: none runs", name)
	}
	return signalBelow(a.dir, s, pid)
}

// Cut cuts the power of a member's host: its agent, its server and whatever else it has are killed. Start restores it.
func (a *Agents) Cut(ctx context.Context, name string) error {
	m, err := a.member(name)
	if err != nil {
		return err
	}
	m.told, m.frozen = true, false
	if err := killBelow(ctx, filepath.Join(a.dir, name)); err != nil {
		return err
	}
	_, err = a.Ended(ctx, name)
	return err
}

// SignalProcesses sends a signal to all processes of a member's server whose titles have the text, and returns how many
// these were. An empty text stands for all of them, the postmaster before those that it starts.
func (a *Agents) SignalProcesses(name, title string, s syscall.Signal) (int, error) {
	if title == "" {
		if err := a.SignalServer(name, s); err != nil {
			return 0, err
		}
	}
	all, err := parts(a.DataDir(name))
	if err != nil {
		return 0, err
	}
	count := 0
	for _, p := range all {
		if p.cwd != a.DataDir(name) || !strings.Contains(strings.Join(p.args, " "), title) {
			continue
		}
		if err := signalBelow(a.dir, s, p.pid); err == nil {
			count++
		} else if _, lives := lookAt(p.pid); lives {
			return count, err
		}
	}
	return count, nil
}
