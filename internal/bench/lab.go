package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/chaos"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// The dynamic configuration, which is the same for all subjects.
const (
	ttl          = 20 * time.Second
	loopWait     = time.Second
	retryTimeout = 3 * time.Second
)

// wholeWithin bounds every wait for a leader that all others stream from: longer than a lease, a rewind and a new clone
// take on a slow machine.
const wholeWithin = 2 * time.Minute

// lab are three members of a subject with an etcd, and a client that writes.
type lab struct {
	*chaos.Agents
	subject subject
	etcd    string // host:port
	eyes    *eyes
	writer  *chaos.Writer
	// leader is who led when all was whole last.
	leader string
}

// openLab starts etcd and nothing else yet. The lab must be closed in the end.
func openLab(ctx context.Context, s subject) (*lab, error) {
	account, err := peer.Servers()
	if err != nil {
		return nil, err
	}
	l := &lab{subject: s}
	l.Agents, err = chaos.OpenAgents(ctx, chaos.AgentsConfig{
		Program:    s.launch,
		Credential: account,
		Dynamic: map[string]any{
			"ttl": int(ttl.Seconds()), "loop_wait": int(loopWait.Seconds()), "retry_timeout": int(retryTimeout.Seconds()),
			"postgresql": map[string]any{"use_pg_rewind": true},
		},
		Local: func(_ string, file map[string]any) {
			l.etcd = firstEndpoint(file)
			s.adapt(file)
		},
	})
	if err != nil {
		return nil, err
	}
	l.eyes = open(l.Agents)
	return l, nil
}

// firstEndpoint is the address of the first etcd member in a configuration file.
func firstEndpoint(file map[string]any) string {
	section, _ := file["etcd"].(map[string]any)
	hosts, _ := section["hosts"].([]string)
	return strings.Join(hosts[:min(1, len(hosts))], "")
}

// close removes everything without a trace.
func (l *lab) close(ctx context.Context) error {
	if l.writer != nil {
		l.writer.Stop()
	}
	l.eyes.close(ctx)
	return l.Destroy(ctx)
}

// folder is where a member has everything of its own.
func (l *lab) folder(member string) string { return filepath.Join(l.Dir(), member) }

// address is the address of a member.
func (l *lab) address(member string) string {
	for _, p := range l.Places() {
		if p.Name == member {
			return p.Address.String()
		}
	}
	return ""
}

// whole waits until one server leads and all others stream from it.
func (l *lab) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wholeWithin)
	defer cancel()
	leader, err := l.eyes.whole(ctx)
	l.leader = leader
	return err
}

// settle waits for a steady state: all is whole, the loops of all agents have seen it, and the moment is none that a
// loop chose. That matters to a subject whose loop polls: what it takes depends on when in its loop something happens.
func (l *lab) settle(ctx context.Context) error {
	if err := l.whole(ctx); err != nil {
		return err
	}
	wait := time.NewTimer(4*loopWait + rand.N(loopWait)) //nolint:gosec // no secret
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return l.whole(ctx)
}

// write starts the client.
func (l *lab) write(ctx context.Context) (err error) {
	if l.writer == nil {
		l.writer, err = chaos.StartWriter(ctx, l.URL())
	}
	return err
}

// outage does something to the cluster, waits until the client writes and all is whole again, and returns the longest
// time in which the client had no acknowledgement.
func (l *lab) outage(ctx context.Context, deed func() error) (chaos.Gap, error) {
	if err := l.write(ctx); err != nil {
		return chaos.Gap{}, err
	}
	if err := l.settle(ctx); err != nil {
		return chaos.Gap{}, err
	}
	if err := l.writer.Written(ctx); err != nil {
		return chaos.Gap{}, err
	}
	began := time.Now()
	if err := deed(); err != nil {
		return chaos.Gap{}, err
	}
	// A session outlives its postmaster for a moment. Only a new one shows that the server is there again.
	l.eyes.close(ctx)
	if err := l.whole(ctx); err != nil {
		return chaos.Gap{}, err
	}
	if err := l.writer.Written(ctx); err != nil {
		return chaos.Gap{}, err
	}
	return l.writer.Outage(began), nil
}

// send sends JSON to the REST API of the leader.
func (l *lab) send(ctx context.Context, method, path, body string) error {
	code, text, err := l.Send(ctx, l.leader, method, path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if code != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, path, code, strings.TrimSpace(text))
	}
	return nil
}

// others are the members that do not lead.
func (l *lab) others() []string {
	var names []string
	for _, name := range l.Names() {
		if name != l.leader {
			names = append(names, name)
		}
	}
	return names
}

// killServer ends the postmaster of a member as a crash does. It is gone when killServer returns.
func (l *lab) killServer(member string) error {
	pid := l.Postmaster(member)
	if pid == 0 {
		return fmt.Errorf("kill the server of %s: none runs", member)
	}
	return killAll(l.folder(member), []running{{pid: pid}})
}
