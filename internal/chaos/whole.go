package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// lookEvery is the pause between two looks: what is waited for shows in many places, and not all of them tell.
const lookEvery = 40 * time.Millisecond

// Await looks until the platform is whole and the condition holds, and returns that picture. The error of a wait in
// vain says what was missing last. A nil condition asks for nothing more.
func (p *Platform) Await(ctx context.Context, met func(Picture) error) (Picture, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	began := time.Now()
	for {
		pic, why := p.check(ctx, met)
		if why == nil {
			return pic, nil
		}
		p.tell(why)
		select {
		case <-ticker.C:
		case <-p.running.ended:
			return pic, p.endedEarly()
		case <-ctx.Done():
			return pic, fmt.Errorf("not whole after %s: %w (%s)", time.Since(began).Round(time.Second), why, pic)
		}
	}
}

// check takes a picture and says why it is not as wanted.
func (p *Platform) check(ctx context.Context, met func(Picture) error) (Picture, error) {
	pic, err := p.Look(ctx)
	if err != nil {
		return pic, err
	}
	if err := p.whole(pic); err != nil {
		return pic, err
	}
	if met != nil {
		if err := met(pic); err != nil {
			return pic, err
		}
	}
	for _, also := range []func(context.Context, Picture) error{p.agreed, p.routed, p.settled} {
		if err := also(ctx, pic); err != nil {
			return pic, err
		}
	}
	return pic, nil
}

// whole says why the platform is not whole: one leader, all others streaming, every part running.
func (p *Platform) whole(pic Picture) error {
	if err := orderly(pic); err != nil {
		return err
	}
	if n, want := len(pic.Members), p.instances-len(p.dark); n != want {
		return fmt.Errorf("%d of %d members are there", n, want)
	}
	if len(pic.Etcd) != etcdCount || pic.Proxy == 0 {
		return fmt.Errorf("%d etcd members run, HAProxy is process %d", len(pic.Etcd), pic.Proxy)
	}
	return nil
}

// orderly says why there is not one leader with all others streaming from it.
func orderly(pic Picture) error {
	if pic.Leader == "" {
		return errors.New("nobody holds the leader key")
	}
	leader, ok := pic.Member(pic.Leader)
	if !ok {
		return fmt.Errorf("%s holds the leader key and does not answer", pic.Leader)
	}
	if leader.State != cluster.StateRunning || leader.Role != cluster.RolePrimary {
		return fmt.Errorf("%s holds the leader key and is %s, %s", leader.Name, leader.Role, leader.State)
	}
	for _, m := range pic.Members {
		if m.Agent == 0 || m.Postmaster == 0 {
			return fmt.Errorf("a process of %s is missing", m.Name)
		}
	}
	for _, m := range pic.Followers() {
		if m.State != cluster.StateRunning || m.Role != cluster.RoleReplica || !m.Streaming {
			return fmt.Errorf("%s does not stream yet (%s)", m.Name, m.State)
		}
		if m.Timeline != leader.Timeline {
			return fmt.Errorf("%s is on timeline %d, the leader on %d", m.Name, m.Timeline, leader.Timeline)
		}
	}
	return nil
}

// agreed asks the leader for its picture of the cluster: exactly one leader must be in it, the holder of the key.
func (p *Platform) agreed(ctx context.Context, pic Picture) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	told, err := p.peers.Cluster(ctx, api(pic.Led().Address)+"/cluster")
	if err != nil {
		return fmt.Errorf("ask %s for the cluster: %w", pic.Leader, err)
	}
	leaders := 0
	for _, m := range told.Members {
		if m.Role == "leader" {
			leaders++
		}
	}
	if told.Leader != pic.Leader || leaders != 1 {
		return fmt.Errorf("GET /cluster of %s tells of %d leaders and names %q", pic.Leader, leaders, told.Leader)
	}
	return nil
}

// routed makes sure that the write URL leads to the leader, and the read URL to a replica where there is one.
func (p *Platform) routed(ctx context.Context, pic Picture) error {
	urls := p.URLs()
	at, err := serverBehind(ctx, urls.Write)
	if err != nil {
		return fmt.Errorf("ask for the server behind the write URL: %w", err)
	}
	if at != pic.Led().Address {
		return fmt.Errorf("the write URL leads to %s and not to %s", at, pic.Leader)
	}
	if at, err = serverBehind(ctx, urls.Read); err != nil {
		return fmt.Errorf("ask for the server behind the read URL: %w", err)
	}
	if at == pic.Led().Address && len(pic.Members) > 1 {
		return errors.New("the read URL leads to the leader although replicas stream")
	}
	return nil
}

// settled makes sure that the scheduler answers and has nothing under way.
func (p *Platform) settled(ctx context.Context, _ Picture) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	code, text, err := p.Send(ctx, http.MethodGet, p.URLs().Marathon+"/v2/deployments", "")
	if err != nil {
		return fmt.Errorf("ask the scheduler for deployments: %w", err)
	}
	if text = strings.TrimSpace(text); code != http.StatusOK || text != "[]" {
		return fmt.Errorf("a deployment is under way: %d %s", code, text)
	}
	return nil
}

// serverBehind connects and asks the server for its address.
func serverBehind(ctx context.Context, url string) (at string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	cfg, err := plainConfig(url)
	if err != nil {
		return "", err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, "select host(inet_server_addr())").Scan(&at)
	return at, err
}

// plainConfig reads a connection URL. Without TLS, which is not what is measured, a connection is one attempt. A URL that
// forbids TLS may name several servers.
func plainConfig(url string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the connection URL: %w", err)
	}
	if cfg.TLSConfig != nil {
		cfg.TLSConfig, cfg.Fallbacks = nil, nil
	}
	return cfg, nil
}
