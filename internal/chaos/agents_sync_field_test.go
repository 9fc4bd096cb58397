package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// promised is what the dynamic configuration asks for.
type promised struct {
	mode   string // off, on or quorum
	strict bool
	nodes  int
}

func (p promised) String() string {
	text := fmt.Sprintf("%s, %d", p.mode, p.nodes)
	if p.strict {
		text += ", strict"
	}
	return text
}

func (p promised) patch() string {
	mode := fmt.Sprintf("%q", p.mode)
	if p.mode != "quorum" {
		mode = fmt.Sprint(p.mode == "on")
	}
	return fmt.Sprintf(`{"synchronous_mode": %s, "synchronous_mode_strict": %t, "synchronous_node_count": %d}`, mode, p.strict, p.nodes)
}

// syncField is a cluster in synchronous mode, with clients that write and never may lose a row.
type syncField struct {
	*Agents

	t       *testing.T
	rng     *rand.Rand
	clients *Clients
	leads   *leads
	want    promised
	// noSync are the members that must not be synchronous.
	noSync map[string]bool
	// loose says that the promise may not have its full strength: nobody but the leader may be able to lead.
	loose bool
	// lags is the standby that lags, if one does.
	lags  string
	total Account
	// What is dealt next: disturbances and kinds of promise in an order that is drawn.
	hand  []deed
	kinds []promised
}

const (
	syncMembers = 5
	syncClients = 8
	// wholeWithin bounds every wait for the full promise: a lease, a rewind and a new clone on a slow machine.
	wholeWithin = time.Minute
	slowly      = 5 * time.Second
)

// newSyncField starts everything and waits until the promise has its full strength.
func newSyncField(ctx context.Context, t *testing.T, rng *rand.Rand) *syncField {
	t.Helper()
	return openSyncField(ctx, t, rng, promised{mode: "quorum", nodes: 1}, agents(t, AgentsConfig{
		Members: syncMembers, EtcdMembers: 3, Dynamic: map[string]any{"synchronous_mode": "quorum", "primary_start_timeout": 0},
	}))
}

// openSyncField does so with agents of any kind, whose dynamic configuration promises that.
func openSyncField(ctx context.Context, t *testing.T, rng *rand.Rand, want promised, a *Agents) *syncField {
	t.Helper()
	f := &syncField{Agents: a, t: t, rng: rng, want: want, noSync: map[string]bool{}}
	t.Cleanup(f.keepLogs)
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.whole(ctx); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.leads, err = watchLeads(ctx, f.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.leads.close)
	if f.clients, err = StartClients(ctx, f.URL(), syncClients); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.clients.Stop)
	return f
}

// keepLogs copies what all processes printed to where go test -artifacts keeps it.
func (f *syncField) keepLogs() {
	for _, name := range append(f.Names(), f.EtcdNames()...) {
		text, err := os.ReadFile(filepath.Join(f.Dir(), name+".log"))
		if err == nil {
			err = os.WriteFile(filepath.Join(f.t.ArtifactDir(), name+".log"), text, 0o600)
		}
		if err != nil {
			f.t.Error(err)
		}
	}
}

// whole waits until one leads, all others stream, and the promise has its full strength.
func (f *syncField) whole(ctx context.Context) (Picture, error) {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	began, told := time.Now(), ""
	pic, err := f.Await(limited, func(pic Picture) error {
		why := f.Whole(pic)
		if why == nil {
			why = f.kept(limited, pic)
		}
		// What takes long is told with its reason.
		if took := time.Since(began); why != nil && took > slowly && why.Error() != told {
			told = why.Error()
			f.t.Logf("not whole after %.1f s: %s", took.Seconds(), told)
		}
		return why
	})
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, f.explain(ctx))
	}
	return pic, err
}

// kept is why the promise does not have its full strength yet.
func (f *syncField) kept(ctx context.Context, pic Picture) error {
	p, err := f.promise(ctx)
	if err != nil {
		return err
	}
	if f.want.mode == "off" {
		if p.Made() {
			return fmt.Errorf("synchronous mode is off and %s is promised", p.JSON())
		}
		return nil
	}
	var able []string
	for _, m := range pic.Followers() {
		if !f.noSync[m.Name] {
			able = append(able, m.Name)
		}
	}
	n := min(f.want.nodes, len(able))
	voters, quorum := n, 0
	if f.want.mode == "quorum" {
		voters, quorum = len(able), len(able)-n
	}
	if p.Leader != pic.Leader || len(p.Voters) != voters || p.Quorum != quorum {
		return fmt.Errorf("%s is promised; it should be %s with %d voters of %v and a quorum of %d", p.JSON(), pic.Leader, voters, able, quorum)
	}
	if i := slices.IndexFunc(p.Voters, func(v string) bool { return !slices.Contains(able, v) }); i >= 0 {
		return fmt.Errorf("%s is promised and %s is not to be synchronous", p.JSON(), p.Voters[i])
	}
	const waitedFor = "select string_agg(application_name, ',' order by application_name) from pg_stat_replication where sync_state in ('sync', 'quorum')"
	return answers(ctx, f.Agents, pic.Leader, waitedFor, strings.Join(p.Voters, ","))
}

func (f *syncField) promise(ctx context.Context) (cluster.Sync, error) {
	text, err := f.Document(ctx, "sync")
	return cluster.ParseSync(text), err
}

// candidate draws one of the members that could be handed the lead: a voter that does not lag. For some milliseconds, while
// the promise moves from some standbys to others, there may be none: it is waited for.
func (f *syncField) candidate(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("nobody can be the candidate"))
	defer cancel()
	var able []string
	_, err := f.Await(limited, func(Picture) (err error) {
		if able, err = f.able(limited); err == nil && len(able) == 0 {
			err = errors.New("nobody can lead")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return anyOf(f, able), nil
}

// able are the voters that could lead now: one whose promotion failed stays out of races for a while.
func (f *syncField) able(ctx context.Context) ([]string, error) {
	p, err := f.promise(ctx)
	return slices.DeleteFunc(p.Voters, func(name string) bool {
		_, status, err := f.Send(ctx, name, http.MethodGet, "/patroni", "")
		return name == f.lags || err != nil || strings.Contains(status, "declines_lead")
	}), err
}

// written waits until so many rows are acknowledged.
func (f *syncField) written(ctx context.Context, rows int) error {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	err := f.clients.Written(limited, rows)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, f.explain(ctx))
	}
	return err
}

// explain is what all members say of their decisions, for a test that fails.
func (f *syncField) explain(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var out strings.Builder
	for _, key := range []string{"sync", "leader", "failover", "config"} {
		text, err := f.Document(ctx, key)
		fmt.Fprintf(&out, "/%s: %s %v\n", key, text, err)
	}
	for _, p := range f.Places() {
		url := "http://" + p.Address.String() + ":8008"
		for _, args := range [][]string{{"explain", "--url", url}, {"explain", "--url", url, "--history"}} {
			one, cancel := context.WithTimeout(ctx, answerWithin)
			cmd := exec.CommandContext(one, f.cfg.Program, args...)
			cmd.Env = environment()
			text, err := cmd.CombinedOutput()
			cancel()
			fmt.Fprintf(&out, "--- %s of %s: %v\n%s\n", strings.Join(args, " "), p.Name, err, last(string(text), 30))
		}
		one, cancel := context.WithTimeout(ctx, answerWithin)
		text, err := f.SQL(one, p.Name, `select format('recovery %s, names %s, senders %s', pg_is_in_recovery(), current_setting('synchronous_standby_names'),
			(select string_agg(format('%s %s %s %s', application_name, state, sync_state, flush_lsn), '; ') from pg_stat_replication))`)
		cancel()
		fmt.Fprintf(&out, "--- server of %s: %s %v\n", p.Name, text, err)
	}
	return out.String()
}

// last are the last lines of a text.
func last(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// audit compares the rows of the leader with what was acknowledged (rule S5).
func (f *syncField) audit(ctx context.Context, leader string, all bool) (err error) {
	conn, err := f.Connect(ctx, leader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	acc, err := f.clients.Audit(ctx, conn, all)
	if err != nil {
		return err
	}
	f.total.Lost += acc.Lost
	f.total.Unexpected += acc.Unexpected
	if all {
		f.total.Acknowledged, f.total.Unknown, f.total.Let = acc.Acknowledged, acc.Unknown, acc.Let
	}
	if acc.Lost+acc.Unexpected > 0 {
		return fmt.Errorf("on %s %d acknowledged rows are missing and %d are unexpected: %s\n%s",
			leader, acc.Lost, acc.Unexpected, strings.Join(acc.Examples, "; "), f.explain(ctx))
	}
	return nil
}

// anyOf draws one of several.
func anyOf[T any](f *syncField, all []T) T { return all[f.rng.IntN(len(all))] }

// shuffled are the names in an order that is drawn.
func (f *syncField) shuffled(names []string) []string {
	names = slices.Clone(names)
	f.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// followers are the names of the members that do not lead, in an order that is drawn.
func (f *syncField) followers(pic Picture) []string {
	var names []string
	for _, m := range pic.Followers() {
		names = append(names, m.Name)
	}
	return f.shuffled(names)
}

// led waits until somebody is the primary.
func (f *syncField) led(ctx context.Context) (Picture, error) {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	pic, err := f.Await(limited, func(pic Picture) error {
		if pic.Leader == "" || pic.Led().Role != cluster.RolePrimary || pic.Led().Postmaster == 0 {
			return fmt.Errorf("%q leads", pic.Leader)
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("nobody leads: %w\n%s", err, f.explain(ctx))
	}
	return pic, err
}

// other waits until another member than this one is the primary. Where nobody may be able to, it only gives them the time.
func (f *syncField) other(ctx context.Context, than string) error {
	within, was := wholeWithin, f.Postmaster(than)
	if f.loose {
		within = frozenTTL + takesOver
	}
	limited, cancel := context.WithTimeoutCause(ctx, within, errors.New("too long"))
	defer cancel()
	_, err := f.Await(limited, func(pic Picture) error {
		if m := pic.Led(); f.loose && m.Name == than && m.Role == cluster.RolePrimary && m.Postmaster != 0 && m.Postmaster != was {
			return nil // it was the only one that could
		}
		if pic.Leader == "" || pic.Leader == than || pic.Led().Role != cluster.RolePrimary {
			return fmt.Errorf("%q leads", pic.Leader)
		}
		return nil
	})
	if f.loose && ctx.Err() == nil {
		return nil
	}
	if err != nil {
		err = fmt.Errorf("nobody but %s leads: %w\n%s", than, err, f.explain(ctx))
	}
	return err
}

// configure patches the dynamic configuration.
func (f *syncField) configure(ctx context.Context, patch string) error {
	pic, err := f.Look(ctx)
	if err != nil {
		return err
	}
	if len(pic.Members) == 0 {
		return errors.New("no agent answers")
	}
	return f.Configure(ctx, anyOf(f, pic.Members).Name, patch)
}

// set asks for another kind of synchronous replication.
func (f *syncField) set(ctx context.Context, want promised) error {
	if err := f.configure(ctx, want.patch()); err != nil {
		return err
	}
	f.want = want
	return nil
}

// tag gives a member tags, by its file and SIGHUP.
func (f *syncField) tag(name string, noSync bool, priority int) error {
	err := f.Edit(name, func(file map[string]any) {
		Set(file, noSync, "tags", "nosync")
		Set(file, priority, "tags", "sync_priority")
	})
	f.noSync[name] = noSync
	return errors.Join(err, f.Signal(name, syscall.SIGHUP))
}

// switchover asks the leader to hand over, to somebody or to anybody.
func (f *syncField) switchover(ctx context.Context, leader, candidate string) error {
	body := fmt.Sprintf(`{"leader": %q, "candidate": %q}`, leader, candidate)
	if candidate == "" {
		body = fmt.Sprintf(`{"leader": %q}`, leader)
	}
	code, text, err := f.Send(ctx, leader, http.MethodPost, "/switchover", body)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("POST /switchover %s: %d %s\n%s", body, code, text, f.explain(ctx))
	}
	return err
}

// pass lets time pass in which something stays broken: how long that is, is what is tried.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
