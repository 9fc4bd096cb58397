package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// calm is how long clients may go without an acknowledgement while a standby is replaced: far more than it takes for
// commits to wait for another standby, and far less than a failover after a lost lease.
const calm = 6 * time.Second

// TestMigration replaces the agents of a cluster of Patroni by pgbaton's, one after the other, and back again, as
// docs/operate/migrate.md says: each on its data directory, with the same file, at the price of one switchover each way.
func TestMigration(t *testing.T) {
	three, four := kinds(t.Context(), t)
	for _, c := range []struct {
		patroni *Kind
		want    promised
	}{
		{three, promised{mode: "on", nodes: 1}},
		{four, promised{mode: "quorum", nodes: 1}},
	} {
		t.Run(c.patroni.Title, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
			defer cancel()
			f := newMixedField(ctx, t, seeded(t), c.patroni, []bool{true, true, true}, c.want)
			defer f.report(ctx)
			before := f.files()
			for _, to := range []*Kind{nil, c.patroni} {
				began, moved := time.Now(), f.leads.moved()
				if err := f.migrate(ctx, to); err != nil {
					t.Fatal(err)
				}
				if got := f.leads.moved() - moved; got != 1 {
					t.Errorf("to %s: the lead moved %d times, not once", titleOf(to), got)
				}
				t.Logf("to %s in %.1f s, no write for %d ms", titleOf(to), time.Since(began).Seconds(), f.clients.books.outage(began).Milliseconds())
				if err := f.unguarded(to); err != nil {
					t.Error(err)
				}
				if after := f.files(); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("the data directories were not adopted: %v became %v", before, after)
				}
			}
			if _, err := f.settled(ctx, true); err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", f.total)
		})
	}
}

// TestMigrationInPause replaces the agents while the cluster is paused: not even PostgreSQL is restarted, and nobody
// notices. Patroni 3 cannot be returned to this way in a synchronous mode, see mixedField.spared.
func TestMigrationInPause(t *testing.T) {
	_, four := kinds(t.Context(), t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	f := newMixedField(ctx, t, seeded(t), four, []bool{true, true, true}, promised{mode: "quorum", nodes: 1})
	defer f.report(ctx)
	for _, to := range []*Kind{nil, four} {
		began, moved, servers := time.Now(), f.leads.moved(), f.servers()
		if err := f.migrateInPause(ctx, to); err != nil {
			t.Fatal(err)
		}
		outage := f.clients.books.outage(began)
		t.Logf("to %s in %.1f s, no write for %d ms", titleOf(to), time.Since(began).Seconds(), outage.Milliseconds())
		if err := f.unguarded(to); err != nil {
			t.Error(err)
		}
		if f.leads.moved() != moved || fmt.Sprint(f.servers()) != fmt.Sprint(servers) || outage > calm {
			t.Errorf("to %s: the lead moved %d times, servers %v became %v, no write for %s",
				titleOf(to), f.leads.moved()-moved, servers, f.servers(), outage)
		}
	}
	if _, err := f.settled(ctx, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f.total)
}

func titleOf(k *Kind) string {
	if k == nil {
		return "pgbaton"
	}
	return k.Title
}

// unguarded says what guard was left beside a Patroni: it would end its server.
func (f *mixedField) unguarded(to *Kind) error {
	if to == nil {
		return nil
	}
	all, err := parts(f.Dir())
	for _, p := range all {
		if p.is(filepath.Base(f.cfg.Program), "guard") {
			err = errors.Join(err, fmt.Errorf("left beside Patroni: %s", p))
		}
	}
	return err
}

// files tell one data directory from another: a clone would have new ones.
func (f *mixedField) files() map[string]uint64 {
	all := map[string]uint64{}
	for _, name := range f.Names() {
		if info, err := os.Stat(filepath.Join(f.DataDir(name), "PG_VERSION")); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				all[name] = s.Ino
			}
		}
	}
	return all
}

// servers are the postmasters.
func (f *mixedField) servers() map[string]int {
	all := map[string]int{}
	for _, name := range f.Names() {
		all[name] = f.Postmaster(name)
	}
	return all
}

// migrate gives all members agents of another kind: the replicas first, then a switchover, then the former leader.
func (f *mixedField) migrate(ctx context.Context, to *Kind) error {
	pic, err := f.whole(ctx)
	if err != nil {
		return err
	}
	from := f.KindOf(pic.Leader)
	for _, name := range f.followers(pic) {
		if err := f.replace(ctx, name, to); err != nil {
			return err
		}
	}
	p, err := f.promise(ctx)
	if err != nil {
		return err
	}
	// By the tool of the program that is left behind, which its operator has at hand.
	if _, err := f.operate(ctx, from, "switchover", "--force", "--leader", pic.Leader, "--candidate", p.Voters[0]); err != nil {
		return err
	}
	if _, err := f.settled(ctx, false); err != nil {
		return err
	}
	return f.replace(ctx, pic.Leader, to)
}

// replace stops the agent of a replica, and its server with it, and starts the other one in its place.
func (f *mixedField) replace(ctx context.Context, name string, to *Kind) error {
	began := time.Now()
	if err := f.Leave(ctx, name); err != nil {
		return err
	}
	if err := errors.Join(f.As(name, to), f.Start(name)); err != nil {
		return err
	}
	if _, err := f.settled(ctx, false); err != nil {
		return fmt.Errorf("%s became %s: %w", name, titleOf(to), err)
	}
	outage := f.clients.books.outage(began)
	f.t.Logf("%s is %s after %.1f s, no write for %d ms", name, titleOf(to), time.Since(began).Seconds(), outage.Milliseconds())
	if outage > calm {
		return fmt.Errorf("%s became %s: no write for %s", name, titleOf(to), outage)
	}
	return nil
}

// migrateInPause does so without a restart of any server.
func (f *mixedField) migrateInPause(ctx context.Context, to *Kind) error {
	pic, err := f.whole(ctx)
	if err != nil {
		return err
	}
	if _, err := f.operate(ctx, f.KindOf(pic.Leader), "pause", "--wait"); err != nil {
		return err
	}
	for _, name := range append(f.followers(pic), pic.Leader) {
		if err := errors.Join(f.Leave(ctx, name), f.As(name, to), f.Start(name)); err != nil {
			return err
		}
		if err := f.reached(ctx, name, "/liveness", 200); err != nil {
			return err
		}
	}
	if _, err := f.settled(ctx, false); err != nil {
		return err
	}
	if _, err := f.operate(ctx, to, "resume", "--wait"); err != nil {
		return err
	}
	_, err = f.settled(ctx, false)
	return err
}
