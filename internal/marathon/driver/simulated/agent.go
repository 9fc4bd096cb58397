package simulated

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// Members are the agents of all databases of a fleet, as a scheduler reaches them: by the address of their REST API.
type Members struct{ fleet *Fleet }

// Members are the agents of the fleet's databases.
func (f *Fleet) Members() Members { return Members{f} }

var errSilent = errors.New("the agent does not answer")

// Status is what one agent says of its member.
func (m Members) Status(ctx context.Context, apiURL string) (deploy.Member, error) {
	status, err := m.status(apiURL)
	if pause(ctx, m.fleet.cfg.Postgres.Answer) != nil { // it is of some moment ago when it arrives
		return deploy.Member{}, context.Cause(ctx)
	}
	return status, err
}

func (m Members) status(apiURL string) (deploy.Member, error) {
	f := m.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	t, c, err := f.agent(apiURL)
	if err != nil {
		return deploy.Member{}, err
	}
	id := t.spec.Instance
	member := deploy.Member{
		Name: memberName(t), Role: deploy.RoleReplica, State: serverState(t), Lag: c.lag[id], Timeline: c.timeline, Barred: c.barred[id],
		Paused: c.paused, Server: deploy.ServerUnknown, Empty: t.server == serverCloning,
	}
	if t.server == serverUp {
		member.Server, member.Streaming = deploy.ServerStandby, f.serves(c, t)
	}
	if id == c.leader && t.server == serverUp {
		member.Server = deploy.ServerPrimary
	}
	switch {
	case id == f.pictured(c):
		member.Role, member.Streaming, member.Synchronous = deploy.RoleLeader, false, c.synchronous
	case f.standsBy(c, t):
		member.Role = deploy.RoleSyncStandby
	}
	return member, nil
}

// agent finds the task whose agent listens there.
func (f *Fleet) agent(apiURL string) (*task, *cluster, error) {
	t := f.listener(strings.TrimPrefix(apiURL, "http://"))
	if t == nil || t.server == serverNone {
		return nil, nil, errSilent
	}
	c := f.cluster(t.spec.App.ID)
	if c.silent[t.spec.Instance] {
		return nil, nil, errSilent
	}
	return t, c, nil
}

// listener is the running task that listens on an address of the form host:port; nil when nobody does or can be reached.
func (f *Fleet) listener(address string) *task {
	ip, text, err := net.SplitHostPort(address)
	port, bad := strconv.Atoi(text)
	if err != nil || bad != nil {
		return nil
	}
	h := f.addresses[ip]
	if h == nil || h.lost() {
		return nil
	}
	for _, t := range h.tasks {
		if t.live() && !t.started.IsZero() && t.listens(port) {
			return t
		}
	}
	return nil
}

func (t *task) listens(port int) bool {
	for i, p := range t.spec.App.Ports() {
		if i < len(t.spec.Ports) && (t.spec.Ports[i] == port || t.spec.Ports[i] == 0 && p.ContainerPort == port) {
			return true
		}
	}
	return false
}

func memberName(t *task) string { return "member-" + t.host.Name }

func serverState(t *task) string {
	switch t.server {
	case serverUp:
		return deploy.StateRunning
	case serverCloning:
		return "creating replica"
	case serverNone, serverStarting:
		return "starting"
	}
	return ""
}

// standsBy reports whether commits wait for the member: for the first ones by host that stream.
func (f *Fleet) standsBy(c *cluster, t *task) bool {
	n := 0
	for _, other := range f.members(c) {
		if other.spec.Instance == c.leader || !f.serves(c, other) {
			continue
		}
		if n++; n > c.synchronous {
			return false
		}
		if other == t {
			return true
		}
	}
	return false
}

// Switchover hands the lead over, if the agents agree to it.
func (m Members) Switchover(ctx context.Context, apiURL, leader, candidate string) error {
	if err := m.mayPass(apiURL, leader, candidate); err != nil {
		return err
	}
	if err := pause(ctx, m.fleet.cfg.Postgres.Switchover); err != nil {
		return err
	}
	f := m.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	to, err := f.candidate(apiURL, leader, candidate)
	if err == nil {
		f.pass(f.cluster(to.spec.App.ID), to.spec.Instance)
	}
	return err
}

// Pause has the cluster of the agent left alone, or not any more.
func (m Members) Pause(_ context.Context, apiURL string, on bool) error {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	_, c, err := m.fleet.agent(apiURL)
	if err == nil {
		c.paused = on
	}
	return err
}

func (m Members) mayPass(apiURL, leader, candidate string) error {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	_, err := m.fleet.candidate(apiURL, leader, candidate)
	return err
}

// candidate is the member that is to lead, or why it cannot.
func (f *Fleet) candidate(apiURL, leader, candidate string) (*task, error) {
	t, c, err := f.agent(apiURL)
	switch {
	case err != nil:
		return nil, err
	case c.stubborn != "":
		return nil, errors.New(c.stubborn)
	case f.leading(c) == nil || memberName(f.leading(c)) != leader:
		return nil, fmt.Errorf("%s does not lead", leader)
	}
	for _, other := range f.members(c) {
		if memberName(other) != candidate {
			continue
		}
		if other == t || !f.serves(c, other) || c.barred[other.spec.Instance] != "" {
			break
		}
		return other, nil
	}
	return nil, fmt.Errorf("%s is no candidate", candidate)
}

// pause waits, in the time of the machines.
func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
