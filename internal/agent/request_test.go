package agent_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
)

func TestRestartOfTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		began, incarnation := time.Now(), leader.see().incarnation
		if code, text := leader.post("/restart", ""); code != http.StatusOK || text != "restarted successfully" {
			t.Errorf("the answer is %d %s", code, text)
		}
		b.await(time.Second, "all is as before", b.healthy)
		time.Sleep(time.Minute)
		// One process ended and one began.
		if n := leader.see().incarnation - incarnation; n != 2 {
			t.Errorf("%d ends and starts, want 2: the server was restarted not exactly once", n)
		}
		if b.leader() != leader || b.count().promotions != 0 {
			t.Error("the lead changed")
		}
		t.Logf("writes were impossible for %v", b.outage(began))
	})
}

func TestRestartOfAReplica(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		replica := b.followers()[0]
		incarnation := replica.see().incarnation
		if code, text := replica.post("/restart", ""); code != http.StatusOK {
			t.Errorf("the answer is %d %s", code, text)
		}
		b.await(2*time.Second, "it streams again", b.healthy)
		if n := replica.see().incarnation - incarnation; n != 2 {
			t.Errorf("%d ends and starts, want 2", n)
		}
	})
}

// A former primary that is down must not be made one again by a restart: another member leads (rule S4).
func TestRestartOfAFormerPrimary(t *testing.T) {
	bubble(t, func(_ *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		leader.kill()
		leader.crash()
		b.await(ttl+2*time.Second, "another member leads", b.ledByAnother(leader))
		leader.start()
		for range 100 {
			leader.life.agent.Queue(ha.Request{Kind: ha.RequestRestart})
			time.Sleep(3 * time.Millisecond)
		}
		b.await(10*time.Second, "all stream", b.healthy)
	})
}

// The restart of a server that does not start again is answered, too.
func TestRestartThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2", "n3")
		leader.fault("does not start any more", func() { leader.server.unstarting = true })
		if code, text := leader.post("/restart", ""); code != http.StatusServiceUnavailable || text != "restart failed" {
			t.Errorf("the answer is %d %s", code, text)
		}
		b.await(5*time.Second, "another member leads", b.ledByAnother(leader))
	})
}

func TestRestartWithoutAServer(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		n1 := b.host("n1")
		n1.tags = map[string]any{"nofailover": true}
		n1.start()
		time.Sleep(time.Second)
		err := n1.life.agent.Request(t.Context(), ha.Request{Kind: ha.RequestRestart})
		if err == nil || err.Error() != "there is no server to restart" {
			t.Errorf("the answer is %v", err)
		}
	})
}

// Whatever comes between a request and its end, whoever asked gets an answer.
func TestARequestIsAnsweredWhateverHappens(t *testing.T) {
	for name, happens := range map[string]func(b *lab, h *host){
		"the agent leaves":          func(_ *lab, h *host) { h.life.leave() },
		"the server crashes":        func(_ *lab, h *host) { h.crash() },
		"it is cut off for long":    func(_ *lab, h *host) { h.isolate(); time.Sleep(time.Minute); h.heal() },
		"it is to be reinitialized": func(_ *lab, h *host) { h.life.agent.Queue(ha.Request{Kind: ha.RequestReinitialize}) },
	} {
		for who, pick := range map[string]func(b *lab) *host{"leader": (*lab).leader, "replica": func(b *lab) *host { return b.followers()[0] }} {
			for after := time.Duration(0); after < 100*time.Millisecond; after += 12 * time.Millisecond {
				t.Run(who+" "+name+" after "+after.String(), func(t *testing.T) {
					bubble(t, func(t *testing.T, b *lab) {
						b.start("n1", "n2", "n3")
						h, answer := pick(b), make(chan error, 1)
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
						defer cancel()
						go func() { answer <- h.life.agent.Request(ctx, ha.Request{Kind: ha.RequestRestart}) }()
						time.Sleep(after)
						happens(b, h)
						if err := <-answer; errors.Is(err, context.DeadlineExceeded) {
							t.Error("the request was never answered")
						}
						time.Sleep(ttl)
						if h.life.alive() {
							b.await(10*time.Second, "one leader, all others streaming", b.healthy)
						}
					})
				})
			}
		}
	}
}

func TestReinitializeAReplica(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		b.start("n1", "n2", "n3")
		replica := b.followers()[0]
		if code, text := replica.post("/reinitialize", ""); code != http.StatusOK || text != "reinitialize started" {
			t.Errorf("the answer is %d %s", code, text)
		}
		// A second request while the first is under way is refused, unless it is forced.
		time.Sleep(copyStep)
		if code, text := replica.post("/reinitialize", ""); code != http.StatusServiceUnavailable {
			t.Errorf("the second answer is %d %s", code, text)
		}
		if s := replica.snapshot(); s.State != "creating replica" || s.Progress == "" {
			t.Errorf("it shows %s, %s", s.State, s.Progress)
		}
		b.await(2*time.Second, "it streams", b.healthy)
		if len(replica.see().kept) != 0 {
			t.Errorf("the old data were kept: %v", replica.see().kept)
		}
	})
}

func TestReinitializeTheLeaderIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		if code, text := leader.post("/reinitialize", ""); code != http.StatusServiceUnavailable {
			t.Errorf("the answer is %d %s", code, text)
		}
		err := leader.life.agent.Request(t.Context(), ha.Request{Kind: ha.RequestReinitialize})
		if want := "only a replica of a cluster that has a leader can be reinitialized"; err == nil || err.Error() != want {
			t.Errorf("the answer is %v, want %s", err, want)
		}
		if leader.see().data != postgres.DataCluster {
			t.Error("the leader's data are gone")
		}
	})
}

// Whoever stops waiting takes the request back.
func TestARequestIsTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		leader := b.start("n1", "n2")
		leader.cutDCS()
		time.Sleep(5 * time.Second)
		incarnation := leader.see().incarnation
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, agent.ErrDropped)
		defer cancel()
		if err := leader.life.agent.Request(ctx, ha.Request{Kind: ha.RequestRestart}); !errors.Is(err, agent.ErrDropped) {
			t.Errorf("the answer is %v", err)
		}
		leader.heal()
		time.Sleep(time.Minute)
		if leader.see().incarnation != incarnation {
			t.Error("the server was restarted although nobody waits for it")
		}
	})
}
