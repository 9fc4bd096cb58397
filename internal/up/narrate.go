package up

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Picture is the shared picture of the cluster, as it is and as it changes.
type Picture interface {
	Load(ctx context.Context) (cluster.Cluster, error)
	// Changes delivers a value when the picture may have changed.
	Changes(ctx context.Context) <-chan struct{}
}

// Narrator tells what becomes of the members.
type Narrator struct {
	picture Picture
	peers   *client.Client
	say     func(topic, text string)
	// wanted is how many members there are to be.
	wanted func() int

	leader string
	told   map[string]string
	ready  chan struct{}
}

// NewNarrator makes a narrator.
func NewNarrator(p Picture, peers *client.Client, wanted func() int, say func(topic, text string)) *Narrator {
	return &Narrator{picture: p, peers: peers, say: say, wanted: wanted, told: map[string]string{}, ready: make(chan struct{})}
}

// Ready is closed once one member leads and all others stream.
func (n *Narrator) Ready() <-chan struct{} { return n.ready }

// cloneEvery is how often the progress of a clone is asked for: nothing tells it by itself.
const cloneEvery = 500 * time.Millisecond

// Run tells until the context ends.
func (n *Narrator) Run(ctx context.Context) error {
	changes := n.picture.Changes(ctx)
	for ctx.Err() == nil {
		cloning := n.look(ctx)
		var again <-chan time.Time
		if cloning {
			timer := time.NewTimer(cloneEvery)
			again = timer.C
			defer timer.Stop() // at most one per half a second of a clone
		}
		select {
		case <-ctx.Done():
		case _, open := <-changes:
			if !open {
				return nil
			}
		case <-again:
		}
	}
	return nil
}

// look tells what changed and reports whether some member is being cloned.
func (n *Narrator) look(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := n.picture.Load(limited)
	if err != nil {
		return false
	}
	n.tellLeader(c)
	cloning := false
	for _, m := range c.Members {
		text := stateText(c, m)
		if m.State == cluster.StateCreatingReplica {
			cloning = true
			text = n.progress(limited, m, text)
		}
		if text != "" && n.told[m.Name] != text {
			n.told[m.Name] = text
			n.say("member", m.Name+" "+text)
		}
	}
	n.noteReady(c)
	return cloning
}

func (n *Narrator) tellLeader(c cluster.Cluster) {
	if c.Leader.Name == n.leader {
		return
	}
	if c.Leader.Name == "" {
		n.say("leader", n.leader+" no longer leads")
	} else {
		n.say("leader", c.Leader.Name+" holds the leader key")
	}
	n.leader = c.Leader.Name
}

// stateText is a member's state in words; empty for states that pass too quickly to be told.
func stateText(c cluster.Cluster, m cluster.Member) string {
	switch {
	case m.Running() && m.Role == cluster.RolePrimary && c.Leader.Name == m.Name:
		return fmt.Sprintf("is the primary on timeline %d", m.Timeline)
	case m.Streaming():
		return "streams from the leader"
	case m.State == cluster.StateInitializing:
		return "makes a new database cluster"
	case m.State == cluster.StateCreatingReplica:
		return "is being cloned"
	case m.State == cluster.StateStopped, m.State == cluster.StateCrashed, m.State == cluster.StateStartFailed:
		return "is " + string(m.State)
	}
	return ""
}

func (n *Narrator) progress(ctx context.Context, m cluster.Member, otherwise string) string {
	s, err := n.peers.Status(ctx, m.APIURL)
	if err != nil || s.Progress == "" {
		return otherwise
	}
	return "is being made: " + s.Progress
}

func (n *Narrator) noteReady(c cluster.Cluster) {
	m, led := c.LeaderMember()
	if !led || !m.Running() || m.Role != cluster.RolePrimary {
		return
	}
	streaming := 0
	for _, o := range c.Others(m.Name) {
		if o.Streaming() {
			streaming++
		}
	}
	if streaming+1 < n.wanted() {
		return
	}
	select {
	case <-n.ready:
	default:
		close(n.ready)
	}
}
