package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leaveLimit is how long nobody's commit may be acknowledged while a member leaves as it was asked to.
const leaveLimit = time.Second

// TestSynchronousStandbyLeaves asks the agents of synchronous standbys, and of the leader, to end while clients write: commits
// go on at once with whoever is left, however long loop_wait is, and no acknowledged row is lost.
func TestSynchronousStandbyLeaves(t *testing.T) {
	for _, mode := range []string{"on", "quorum"} {
		for _, loopWait := range []int{10, 1} {
			t.Run(fmt.Sprintf("%s, loop_wait %d", mode, loopWait), func(t *testing.T) { standbyLeaves(t, mode, loopWait) })
		}
	}
}

func standbyLeaves(t *testing.T, mode string, loopWait int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	dynamic := map[string]any{"synchronous_mode": mode, "loop_wait": loopWait}
	if mode == "on" {
		dynamic["synchronous_mode"] = true
	}
	f := openSyncField(ctx, t, seeded(t), promised{mode: mode, nodes: 1}, agents(t, AgentsConfig{Members: 3, Dynamic: dynamic}))
	var out strings.Builder
	defer func() { t.Logf("%s, loop_wait %d\n%s", mode, loopWait, out.String()) }()
	for _, who := range []string{"standby", "leader", "standby"} {
		if err := f.memberLeaves(ctx, who, &out); err != nil {
			t.Fatal(err)
		}
	}
}

// memberLeaves has the leader, or a standby that commits wait for, leave and return.
func (f *syncField) memberLeaves(ctx context.Context, who string, out *strings.Builder) error {
	pic, err := f.whole(ctx)
	if err != nil {
		return err
	}
	name := pic.Leader
	if who == "standby" {
		p, err := f.promise(ctx)
		if err != nil {
			return err
		}
		name = anyOf(f, p.Voters)
	}
	if err := f.written(ctx, 100); err != nil {
		return err
	}
	began := time.Now()
	if err := f.Signal(name, syscall.SIGTERM); err != nil {
		return err
	}
	if _, err := f.Ended(ctx, name); err != nil {
		return err
	}
	gone := time.Since(began)
	if _, err := f.Await(ctx, func(pic Picture) error { return f.left(ctx, pic, name) }); err != nil {
		return err
	}
	if err := f.written(ctx, 100); err != nil {
		return err
	}
	outage := f.clients.books.outage(began)
	fmt.Fprintf(out, "%-8s %s: gone after %5d ms, no write for %4d ms\n", who, name, gone.Milliseconds(), outage.Milliseconds())
	if outage > leaveLimit {
		f.t.Errorf("the %s %s left, and no write was acknowledged for %s", who, name, outage)
	}
	if err := f.Start(name); err != nil {
		return err
	}
	if pic, err = f.whole(ctx); err != nil {
		return err
	}
	return f.audit(ctx, pic.Leader, true)
}

// left is why the others do not do without a member that left.
func (f *syncField) left(ctx context.Context, pic Picture, name string) error {
	p, err := f.promise(ctx)
	switch {
	case err != nil:
		return err
	case pic.Leader == "" || pic.Leader == name:
		return fmt.Errorf("the leader is %q", pic.Leader)
	case slices.Contains(p.Voters, name) || p.Leader != pic.Leader:
		return fmt.Errorf("%s is promised, and %s left", p.JSON(), name)
	}
	return f.Whole(pic)
}
