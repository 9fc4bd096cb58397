package agent_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/postgres"
)

// told changes a running server that answers.
func (l *life) told(ctx context.Context, do func(s *server) error) error {
	if err := l.pause(ctx, time.Millisecond); err != nil {
		return err
	}
	return l.change(func(s *server) error {
		if s.process != postgres.ProcessRunning || s.silent {
			return postgres.ErrNotRunning
		}
		return do(s)
	})
}

// SetSyncNames implements agent.Postgres.
func (l *life) SetSyncNames(ctx context.Context, n postgres.SyncNames) error {
	return l.told(ctx, func(s *server) error {
		s.names = n
		return nil
	})
}

// EmitWAL implements agent.Postgres.
func (l *life) EmitWAL(ctx context.Context) error {
	return l.told(ctx, func(s *server) error {
		if s.recovery {
			return postgres.ErrNotRunning
		}
		s.end += recordSize
		return nil
	})
}

// AdmitClients implements agent.Postgres.
func (l *life) AdmitClients(ctx context.Context) error {
	return l.told(ctx, func(s *server) error {
		s.held = false
		return nil
	})
}

// synchronous begins a cluster of three in that mode and waits for the whole promise.
func (b *lab) synchronous(mode string, full string) *host {
	b.t.Helper()
	b.dynamic["synchronous_mode"] = mode
	leader := b.start("n1", "n2", "n3")
	b.promised(leader.name + " " + full)
	return leader
}

// promised waits until the sync key says so: the leader, the quorum, and how many voters.
func (b *lab) promised(want string) time.Duration {
	b.t.Helper()
	return b.await(30*time.Second, "the promise "+want, func() bool {
		p := b.picture().Sync
		return fmt.Sprintf("%s %d of %d", p.Leader, p.Quorum, len(p.Voters)) == want
	})
}

func TestThePromiseFollowsWhoStreams(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.synchronous("quorum", "1 of 2")
		if names := leader.see().names.Text; !strings.HasPrefix(names, "ANY 1 (") {
			t.Errorf("commits wait for %q", names)
		}
		b.followers()[0].lose()
		b.promised(leader.name + " 0 of 1")
		time.Sleep(time.Minute)
		b.followers()[1].lose()
		b.promised(leader.name + " 0 of 0")
		if names := leader.see().names; names.Text != "" || !names.Managed {
			t.Errorf("commits wait for %+v", names)
		}
	})
}

// The promise goes with the lead, before the promotion, and does not hold it up.
func TestSwitchoverInSynchronousMode(t *testing.T) {
	for mode, full := range map[string]string{"on": "0 of 1", "quorum": "1 of 2"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.synchronous(mode, full)
				b.write(7 * time.Millisecond)
				time.Sleep(5 * time.Second)
				began := time.Now()
				code, text := leader.post("/switchover", fmt.Sprintf(`{"leader": %q}`, leader.name))
				if code != http.StatusOK || b.leader() == leader {
					t.Errorf("the answer is %d %s", code, text)
				}
				if p := b.picture().Sync; p.Leader != b.leader().name {
					t.Errorf("%s leads by the promise of %s", b.leader().name, p.Leader)
				}
				outage := b.outage(began)
				t.Logf("writes were impossible for %v", outage)
				if outage > shutdownTime+promoteTime+70*time.Millisecond {
					t.Errorf("writes were impossible for %v", outage)
				}
				t.Logf("the promise is whole after %v", b.promised(b.leader().name+" "+full))
			})
		})
	}
}

// Two of three hosts are lost: the one that is left may lack what the lost standby acknowledged.
func TestNobodyLeadsWithoutTheOthersWord(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.synchronous("quorum", "1 of 2")
		others := b.followers()
		leader.lose()
		others[0].lose()
		time.Sleep(5 * time.Minute)
		if b.led() {
			t.Error("somebody leads who may lack acknowledged commits")
		}
		others[0].start()
		b.await(time.Minute, "one of two leads", b.led)
	})
}

// A synchronous standby that is restarted on purpose is released first.
func TestASynchronousStandbyIsReleasedBeforeItsRestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.synchronous("on", "0 of 1")
		sync := b.hosts[b.picture().Sync.Voters[0]]
		began := time.Now()
		if code, text := sync.post("/restart", ""); code != http.StatusOK {
			t.Errorf("the answer is %d %s", code, text)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the restart took %v", took)
		}
		if p := b.picture().Sync; p.Names(sync.name) || len(p.Voters) != 1 || p.Leader != leader.name {
			t.Errorf("after its release the promise is %+v", p)
		}
		b.await(10*time.Second, "all is well again", b.healthy)
		if m, _ := b.picture().Member(sync.name); m.Tags.NoSync() {
			t.Error("it still asks to be none")
		}
	})
}
