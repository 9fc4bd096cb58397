package chaos

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// site is one of two clusters that follow each other, each with an etcd of its own.
type site struct {
	*Agents

	t *testing.T
	// slot is the slot that it follows the other site by.
	slot string
}

// openSite opens a site of two members. Its quorum is its own: no commit waits for the other site.
func openSite(t *testing.T, prefix string, dynamic map[string]any) *site {
	t.Helper()
	Set(dynamic, "quorum", "synchronous_mode")
	return &site{t: t, slot: "site_" + prefix, Agents: agents(t, AgentsConfig{Members: 2, Prefix: prefix, Dynamic: dynamic})}
}

// hosts are the addresses of its members, as another site follows them.
func (s *site) hosts() string {
	var all []string
	for _, p := range s.Places() {
		all = append(all, p.Address.String())
	}
	return strings.Join(all, ",")
}

// behind is the section standby_cluster that makes this site follow the other one.
func (s *site) behind(other *site) map[string]any {
	return map[string]any{"host": other.hosts(), "port": 5432, "primary_slot_name": s.slot}
}

// demote makes this site a standby cluster of the other one, promote a cluster of its own, as an operator does it.
func (s *site) demote(ctx context.Context, other *site) {
	s.t.Helper()
	s.typed(ctx, "demote-cluster", "--force", "--host", other.hosts(), "--port", "5432", "--primary-slot-name", s.slot)
}

func (s *site) promote(ctx context.Context) string {
	s.t.Helper()
	s.typed(ctx, "promote-cluster", "--force")
	return await(ctx, s.t, s.Agents, s.Whole).Leader
}

// typed runs an operator command, and fails the test unless it says that it succeeded.
func (s *site) typed(ctx context.Context, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, s.cfg.Program, append(args, "-c", s.File(s.Names()[0]))...) //nolint:gosec // the program under test
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "cluster is successfully") {
		s.t.Fatalf("pgbaton %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// follows waits until the site is a whole standby cluster: its leader streams by its slot, and its replica streams.
func (s *site) follows(ctx context.Context, other *site, primary string) string {
	s.t.Helper()
	return await(ctx, s.t, s.Agents, func(pic Picture) error {
		if err := standbys(s.Agents, pic); err != nil {
			return err
		}
		for _, name := range s.Names() {
			if err := answers(ctx, s.Agents, name, "select status from pg_stat_wal_receiver", "streaming"); err != nil {
				return err
			}
		}
		return answers(ctx, other.Agents, primary, "select active from pg_replication_slots where slot_name = '"+s.slot+"'", "t")
	}).Leader
}

// standbys is why a site is none of standbys alone.
func standbys(a *Agents, pic Picture) error {
	if pic.Leader == "" {
		return errors.New("nobody leads")
	}
	return errors.Join(Role(pic.Leader, cluster.RoleStandbyLeader)(pic), Role(other(a, pic.Leader), cluster.RoleReplica)(pic))
}

// shutdown is where the last primary of a site ended: its server is down, or a standby since.
func (s *site) shutdown(ctx context.Context, leader string) wal.LSN {
	s.t.Helper()
	var at wal.LSN
	until(ctx, s.t, s.Agents, func() error {
		state, position, err := control(ctx, s.DataDir(leader))
		if err == nil && state == "in production" {
			err = errors.New("the primary runs")
		}
		at = position
		return err
	})
	return at
}

// control is what pg_controldata says of a data directory: the state, and where the last checkpoint is.
func control(ctx context.Context, data string) (state string, checkpoint wal.LSN, err error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_controldata")
	if err != nil || len(found) == 0 {
		return "", 0, errors.Join(err, errors.New("there is no pg_controldata"))
	}
	text, err := exec.CommandContext(ctx, found[len(found)-1], data).Output() //nolint:gosec // PostgreSQL's own
	if err != nil {
		return "", 0, fmt.Errorf("read the control file: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); name {
		case "Database cluster state":
			state = value
		case "Latest checkpoint location":
			checkpoint, err = wal.ParseLSN(value)
		}
	}
	return state, checkpoint, err
}

// received waits until a standby has replayed more than the position.
func (s *site) received(ctx context.Context, member string, at wal.LSN) {
	s.t.Helper()
	question := fmt.Sprintf("select pg_last_wal_replay_lsn() > '%s'", at)
	until(ctx, s.t, s.Agents, func() error { return answers(ctx, s.Agents, member, question, "t") })
}

// keepsEverything audits a site's primary.
func (s *site) keepsEverything(ctx context.Context, clients *Clients, leader string) {
	s.t.Helper()
	conn, err := s.Connect(ctx, leader)
	if err != nil {
		s.t.Fatal(err)
	}
	acc, err := clients.Audit(ctx, conn, true)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("%s: %+v", leader, acc)
	if acc.Lost+acc.Unexpected > 0 {
		s.t.Fatalf("%s: %d rows lost, %d unexpected: %v", leader, acc.Lost, acc.Unexpected, acc.Examples)
	}
}

// slots has a site keep WAL for the other one.
func slots(other string) map[string]any {
	return map[string]any{"slots": map[string]any{other: map[string]any{"type": "physical"}}}
}

// TestSites has a second site follow the first, moves the primary there and back without losing a row, and then loses the
// first site for good measure. It comes back as what it was, and nobody follows it, until it is told to follow the second.
func TestSites(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	a := openSite(t, "a", slots("site_b"))
	leaderA := running(ctx, t, a.Agents).Leader
	dynamic := slots("site_a")
	b := openSite(t, "b", dynamic)
	for _, name := range b.Names() {
		edit(t, b.Agents, name, func(file map[string]any) { Set(file, b.behind(a), "bootstrap", "dcs", "standby_cluster") })
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	leaderB := b.follows(ctx, a, leaderA)
	clients, err := StartClients(ctx, both(a, b), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Stop()

	leaderA, leaderB = switchSites(ctx, clients, a, leaderA, b, leaderB)
	leaderB, leaderA = switchSites(ctx, clients, b, leaderB, a, leaderA)
	clients.Stop()
	b.keepsEverythingFrom(ctx, a, leaderA, leaderB)
	a.keepsEverything(ctx, clients, leaderA)

	lostSite(ctx, a, leaderA, b, leaderB)
}

// both is how a client finds the primary of two sites.
func both(a, b *site) string {
	return "postgres://postgres:" + agentsPassword + "@" + strings.ReplaceAll(a.hosts()+","+b.hosts(), ",", ":5432,") +
		":5432/postgres?sslmode=disable&target_session_attrs=read-write"
}

// switchSites moves the primary from one site to another, as planned, and returns who leads them then.
func switchSites(ctx context.Context, clients *Clients, from *site, old string, to *site, next string) (follower, leader string) {
	from.t.Helper()
	if err := clients.Written(ctx, 100); err != nil {
		from.t.Fatal(err)
	}
	began := time.Now()
	from.demote(ctx, to)
	end := from.shutdown(ctx, old)
	to.received(ctx, next, end)
	leader = to.promote(ctx)
	if err := clients.Written(ctx, 100); err != nil {
		from.t.Fatal(err)
	}
	to.t.Logf("from %s to %s: no write for %s", old, leader, clients.books.outage(began).Round(time.Millisecond))
	to.keepsEverything(ctx, clients, leader)
	return from.follows(ctx, to, leader), leader
}

// keepsEverythingFrom waits until this site has replayed all that the other one's primary has.
func (s *site) keepsEverythingFrom(ctx context.Context, other *site, primary, standby string) {
	s.t.Helper()
	rows := ask(ctx, s.t, other.Agents, primary, "select count(*) from "+clientTable)
	until(ctx, s.t, s.Agents, func() error {
		return answers(ctx, s.Agents, standby, "select count(*) from "+clientTable, rows)
	})
}

// lostSite kills all of a site, and promotes the other one.
func lostSite(ctx context.Context, a *site, leaderA string, b *site, leaderB string) {
	t := b.t
	t.Helper()
	ask(ctx, t, a.Agents, leaderA, "create table t (id int); insert into t values (1)")
	until(ctx, t, b.Agents, func() error { return answers(ctx, b.Agents, leaderB, "select count(*) from t", "1") })
	for _, name := range a.Names() {
		if err := a.Cut(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	leaderB = b.promote(ctx)
	ask(ctx, t, b.Agents, leaderB, "insert into t values (2)")

	// The first site knows nothing of it: it goes on where it was, and must be kept from clients by whoever promoted. Its
	// leader comes first, and goes on leading: with another one it would begin a timeline of the same number as the other
	// site did, which nobody can tell apart (docs/operate/sites.md).
	if err := a.Start(leaderA); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, a.Agents, Role(leaderA, cluster.RolePrimary))
	for _, name := range a.Names() {
		if name == leaderA {
			continue
		}
		if err := a.Start(name); err != nil {
			t.Fatal(err)
		}
	}
	leaderA = await(ctx, t, a.Agents, a.Whole).Leader
	ask(ctx, t, a.Agents, leaderA, "insert into t values (3)")
	const remote = "select count(*) from pg_stat_replication where application_name not in ('b1', 'b2')"
	if got := ask(ctx, t, b.Agents, leaderB, remote); got != "0" {
		t.Errorf("%s members of the lost site stream from %s", got, leaderB)
	}
	for _, name := range b.Names() {
		if got := ask(ctx, t, b.Agents, name, "select string_agg(id::text, ' ' order by id) from t"); got != "1 2" {
			t.Errorf("%s has the rows %s", name, got)
		}
	}

	a.demote(ctx, b)
	a.follows(ctx, b, leaderB)
	for _, name := range a.Names() {
		until(ctx, t, a.Agents, func() error {
			return answers(ctx, a.Agents, name, "select string_agg(id::text, ' ' order by id) from t", "1 2")
		})
	}
	ask(ctx, t, b.Agents, leaderB, "insert into t values (4)")
	for _, name := range a.Names() {
		until(ctx, t, a.Agents, func() error { return answers(ctx, a.Agents, name, "select count(*) from t", "3") })
	}
}
