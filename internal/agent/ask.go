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
		NoFailover: s.Tags.NoFailover(), Priority: s.Tags.FailoverPriority(), WatchdogFailed: s.WatchdogFailed,
		Declines: s.Declines,
	}
}

// upstreamTimeout bounds a conversation with another server.
const upstreamTimeout = 2 * time.Second

// askUpstream asks a server for its timeline and where that came from.
func (a *Agent) askUpstream(ctx context.Context, of ha.AskUpstream) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	u := ha.Upstream{Member: of.Member, Remote: of.Remote}
	up := a.upstreamOf(of.Member, of.Remote)
	source, err := a.pg.IdentifySource(ctx, up)
	if err == nil {
		u.SystemID, u.InRecovery, u.Timeline = source.SystemID, source.InRecovery, source.Timeline
		u.History, err = a.pg.TimelineHistory(ctx, up, source.Timeline)
	}
	if err != nil {
		a.log.DebugContext(ctx, "the upstream did not answer", slog.String("upstream", of.String()), slog.Any("err", err))
	}
	u.Reached, u.At = err == nil, time.Now()
	a.upstream = u
}

// upstreamOf is where a member's server is, or the source of the standby cluster; the zero Upstream is nobody. In a
// standby cluster all members restore from the same archive.
func (a *Agent) upstreamOf(name string, remote bool) postgres.Upstream {
	s := a.settings().Standby
	if remote {
		return postgres.Upstream{
			Name: "the remote", Host: s.Host, Ports: s.Port, Remote: true, Slot: s.PrimarySlotName,
			RestoreCommand: s.RestoreCommand, ArchiveCleanupCommand: s.ArchiveCleanupCommand, ApplyDelay: s.RecoveryMinApplyDelay,
			Feedback: a.feedback(),
		}
	}
	if name == "" {
		return postgres.Upstream{RestoreCommand: s.RestoreCommand, ArchiveCleanupCommand: s.ArchiveCleanupCommand}
	}
	m, known := a.seen.cluster.Member(name)
	if !known {
		return postgres.Upstream{}
	}
	host, port, ok := m.Endpoint()
	if !ok {
		return postgres.Upstream{}
	}
	return postgres.Upstream{
		Name: name, Host: host, Port: port, RestoreCommand: s.RestoreCommand, ArchiveCleanupCommand: s.ArchiveCleanupCommand,
		Slot: a.ownSlot(name, false), Feedback: a.feedback(),
	}
}
