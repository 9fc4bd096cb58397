package agent

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

// askTimeout is how long others get to answer. Whoever does not answer in that time is silent, not dead.
const askTimeout = time.Second

// askPeers asks the named members at once and keeps their answers.
func (a *Agent) askPeers(ctx context.Context, names []string) {
	answers := a.ask(ctx, a.seen.cluster, names)
	// The view holds the old map; it must not change under it.
	asked := maps.Clone(a.asked)
	maps.Copy(asked, answers)
	a.asked = asked
}

func (a *Agent) ask(ctx context.Context, c cluster.Cluster, names []string) map[string]ha.Peer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := map[string]ha.Peer{}
	for _, name := range names {
		m, known := c.Member(name)
		if !known {
			continue
		}
		wg.Go(func() {
			p := a.askPeer(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			answers[name] = p
		})
	}
	wg.Wait()
	return answers
}

func (a *Agent) askPeer(ctx context.Context, m cluster.Member) ha.Peer {
	s, err := a.peers.Status(ctx, m.APIURL)
	if err != nil {
		a.log.DebugContext(ctx, "no answer", slog.String("member", m.Name), slog.Any("err", err))
		return ha.Peer{At: time.Now()}
	}
	return ha.Peer{
		At: time.Now(), Reached: true, InRecovery: s.InRecovery(), State: s.State, Timeline: s.Timeline, Position: s.Position(),
		NoFailover: s.Tags.NoFailover(), WatchdogFailed: s.WatchdogFailed,
	}
}

// upstreamTimeout bounds a conversation with another server.
const upstreamTimeout = 2 * time.Second

// askUpstream asks a member's server for its timeline and where that came from.
func (a *Agent) askUpstream(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	u := ha.Upstream{Member: name}
	source, err := a.pg.IdentifySource(ctx, a.upstreamOf(name))
	if err == nil {
		u.SystemID, u.InRecovery, u.Timeline = source.SystemID, source.InRecovery, source.Timeline
		u.History, err = a.pg.TimelineHistory(ctx, a.upstreamOf(name), source.Timeline)
	}
	if err != nil {
		a.log.DebugContext(ctx, "the upstream did not answer", slog.String("member", name), slog.Any("err", err))
	}
	u.Reached, u.At = err == nil, time.Now()
	a.upstream = u
}

// upstreamOf is where a member's server is; the zero Upstream is nobody.
func (a *Agent) upstreamOf(name string) postgres.Upstream {
	m, known := a.seen.cluster.Member(name)
	if !known {
		return postgres.Upstream{}
	}
	host, port, ok := m.Endpoint()
	if !ok {
		return postgres.Upstream{}
	}
	return postgres.Upstream{Name: name, Host: host, Port: port}
}
