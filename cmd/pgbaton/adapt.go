package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
	"github.com/pgbaton/pgbaton/internal/marathon/run"
)

// picture gives the proxy the documents as the source it asks for.
type picture struct{ *dcs.Store }

// Watch delivers a value for every change.
func (p picture) Watch(ctx context.Context, after cluster.Version) <-chan struct{} {
	return signals(ctx, p.Store.Watch(ctx, after))
}

// narrated gives the narrator the documents as the picture it asks for.
type narrated struct{ picture }

// Changes delivers a value when the picture may have changed.
func (n narrated) Changes(ctx context.Context) <-chan struct{} { return n.Watch(ctx, 0) }

// signals turns changes into bare signals; those that nobody took yet stand for all that follow.
func signals(ctx context.Context, changes <-chan dcs.Change) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		for range changes {
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
			default:
			}
		}
	}()
	return out
}

// members lets the scheduler ask agents.
type members struct{ peers *client.Client }

func newMembers(peers *client.Client) members { return members{peers} }

// Status asks an agent who its member is. The member's lag is read off the cluster's picture, which any agent gives.
func (m members) Status(ctx context.Context, apiURL string) (deploy.Member, error) {
	s, err := m.peers.Status(ctx, apiURL+"/patroni")
	if err != nil {
		return deploy.Member{}, err
	}
	c, err := m.peers.Cluster(ctx, apiURL+"/cluster")
	if err != nil {
		return deploy.Member{}, err
	}
	out := deploy.Member{
		Name: s.Agent.Name, Role: deploy.RoleReplica, State: string(s.State), Lag: -1, Timeline: int(s.Timeline),
		Streaming: s.ReplicationState == cluster.ReplicationStreaming, ServerMajor: s.ServerVersion / 10000, Barred: barred(s),
		Empty: s.State == cluster.StateCreatingReplica || s.Role == cluster.RoleUninitialized && s.State == cluster.StateStopped,
	}
	if s.ServerVersion != 0 { // the server answered just now
		out.Server = deploy.ServerPrimary
		if s.InRecovery() {
			out.Server = deploy.ServerStandby
		}
	}
	for _, member := range c.Members {
		if member.Name != s.Agent.Name {
			continue
		}
		out.Role = deploy.Role(member.Role)
		if lag, known := member.Lag.(float64); known {
			out.Lag = int64(lag)
		}
	}
	return m.configured(ctx, apiURL, out)
}

// configured adds what the dynamic configuration of the cluster says: whether it is paused, and whom commits wait for.
// Before a cluster has a leader it may have none; a leader has one, or it is not known whether it may be stopped.
func (m members) configured(ctx context.Context, apiURL string, out deploy.Member) (deploy.Member, error) {
	a, err := m.peers.Send(ctx, http.MethodGet, apiURL+"/config", nil)
	if err != nil {
		return deploy.Member{}, err
	}
	leads := out.Role == deploy.RoleLeader || out.Role == deploy.RoleStandbyLeader
	var c cluster.Config
	if err := json.Unmarshal([]byte(a.Text), &c.Data); err != nil || a.Code != http.StatusOK {
		if leads {
			return deploy.Member{}, fmt.Errorf("read the cluster's configuration from %s: status %d", apiURL, a.Code)
		}
		return out, nil
	}
	now := c.Settings()
	out.Paused = now.Pause
	if leads && now.Sync() != cluster.SyncOff {
		out.Synchronous, out.Lenient = now.SynchronousNodes, !now.SynchronousStrict
	}
	return out, nil
}

// barred says why a member cannot be handed the lead, empty when it can.
func barred(s client.Status) string {
	switch {
	case s.Tags.NoFailover():
		return "its tag nofailover is set"
	case s.WatchdogFailed:
		return "its watchdog does not work"
	case s.Declines:
		return "its agent declines to lead"
	}
	return ""
}

// Switchover asks an agent to have the lead handed over.
func (m members) Switchover(ctx context.Context, apiURL, leader, candidate string) error {
	body := map[string]string{"leader": leader}
	if candidate != "" {
		body["candidate"] = candidate
	}
	a, err := m.peers.Send(ctx, http.MethodPost, apiURL+"/switchover", body)
	if err != nil {
		return err
	}
	if !a.OK() {
		return fmt.Errorf("switchover from %s to %s refused: %s", leader, candidate, a.Text)
	}
	return nil
}

// Pause asks an agent to have its cluster left alone, or not any more.
func (m members) Pause(ctx context.Context, apiURL string, on bool) error {
	body := map[string]any{"pause": nil} // removes it
	if on {
		body["pause"] = true
	}
	a, err := m.peers.Send(ctx, http.MethodPatch, apiURL+"/config", body)
	if err != nil {
		return err
	}
	if !a.OK() {
		return fmt.Errorf("the agent refuses: %s", a.Text)
	}
	return nil
}

// sentence is what a person is told of the scheduler's doings; empty for what passes by itself.
func sentence(e run.Event) string {
	switch e.Kind {
	case run.EventPlaced:
		return "an instance is placed on " + e.Text
	case run.EventRunning:
		return "the task on " + e.Host + " runs"
	case run.EventStopping:
		return "stopping the task on " + e.Host + ": " + e.Text
	case run.EventEnded:
		return "the task on " + e.Host + " ended: " + short(e.Text)
	case run.EventUnreachable:
		return e.Host + " is unreachable: " + short(e.Text)
	case run.EventWaiting:
		if strings.HasPrefix(e.Text, "waiting for it") {
			return ""
		}
		if _, again, ended := strings.Cut(e.Text, "; failure "); ended {
			return "the task on " + e.Host + ": failure " + again // the end itself was told
		}
		return short(e.Text)
	case run.EventHandover, run.EventStore, run.EventBreaker:
		return short(e.Text)
	case run.EventDeployment:
		return "deployment: " + short(e.Text)
	case run.EventUnhealthy, run.EventStranger, run.EventHost:
		return e.Host + ": " + short(e.Text)
	}
	return short(e.Text)
}

// short keeps a line a line: the beginning says what, the end of a log says why.
func short(text string) string {
	const most, head = 160, 60
	r := []rune(strings.Join(strings.Fields(text), " "))
	if len(r) <= most {
		return string(r)
	}
	return string(r[:head]) + " … " + string(r[len(r)-(most-head):])
}
