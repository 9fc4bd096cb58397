package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/clock"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// failsafe keeps apart what this member agrees to and what it does itself (rule S1): a primary that nobody can tell from
// a dead one, because the DCS is silent, counts on every member that agreed not to lead for a ttl.
//
//	a call comes first    the next decision knows of it; one under way that would lead is not carried out
//	the race comes first  calls are refused until a fresh picture shows that this member does not lead, and until no
//	                      server of it accepts writes, or is about to
type failsafe struct {
	mu sync.Mutex
	// leader is who last said that it goes on as the primary without the DCS, and heard is when it was agreed to.
	leader string
	heard  time.Time
	// calls counts agreements; seen is how many of them the decision under way knew of.
	calls, seen int
	// racing is true from the moment this member does something that can make it lead.
	racing bool
	// until is the end of what all others agreed to; zero when one of them refused since. asleep is how long the machine
	// had been suspended when they were asked: they count that time, and until does not.
	until  time.Time
	asleep time.Duration

	// asked is when this member asked the others; it belongs to the loop alone.
	asked time.Time
}

// The errors of actions that were not carried out.
var (
	errRefused = errors.New("refused")
	errAgreed  = fmt.Errorf("%w: this member agreed to another one that goes on as the primary without the DCS", errRefused)
)

// agree notes that another member goes on as the primary. It returns false when this one may lead itself.
func (f *failsafe) agree(leader string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.racing {
		return false
	}
	f.leader, f.heard = leader, now
	f.calls++
	return true
}

// race begins what can make this member lead. It returns false when another member was agreed to since the decision saw
// what it was made on.
func (f *failsafe) race() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls != f.seen {
		return false
	}
	f.racing = true
	return true
}

// look is what the next decision is to know.
func (f *failsafe) look() ha.Failsafe {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = f.calls
	return ha.Failsafe{Until: f.agreed(), Asked: f.asked, Leader: f.leader, Heard: f.heard}
}

// consent notes until when all others agreed, as they were asked when the machine had been suspended for so long.
func (f *failsafe) consent(until time.Time, asleep time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until, f.asleep = until, asleep
}

// consented is until when all others agreed.
func (f *failsafe) consented() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.agreed()
}

// agreed is the same with f.mu held.
func (f *failsafe) agreed() time.Time {
	if f.until.IsZero() {
		return time.Time{}
	}
	return f.until.Add(f.asleep - clock.Suspended())
}

// settle ends the race once a fresh picture shows another leader, or none, and nothing here accepts writes or is about
// to.
func (f *failsafe) settle(v ha.View) {
	if !v.Fresh || v.Cluster.Leader.Name == v.Self.Name || v.Server.Primary() || makesPrimary(v.Job.Job) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.racing = false
}

// makesPrimary reports whether a job ends with a server that accepts writes.
func makesPrimary(j ha.Job) bool { return j.Kind == ha.JobPromote || j.Primary }

// canLead reports whether an action can make this member the leader, or its server a primary.
func canLead(action ha.Action) bool {
	switch action := action.(type) {
	case ha.AcquireLeader, ha.AdoptLeader:
		return true
	case ha.StartJob:
		return makesPrimary(action.Job)
	case ha.RenewLease, ha.WriteStatus, ha.ReleaseLeader, ha.CreateInitialize, ha.WriteInitialize, ha.DeleteInitialize, ha.WriteConfig,
		ha.WriteHistory, ha.ClearFailover, ha.PromiseFailsafe, ha.WriteSync, ha.DeleteSync, ha.SetSyncNames, ha.EmitWAL, ha.AdmitClients, ha.AskFailsafe, ha.ActivateWatchdog, ha.DisableWatchdog,
		ha.AskPeers, ha.AskUpstream, ha.Refuse, ha.Exit:
	}
	return false
}

// lookTimeout bounds the look at the own server before another member is agreed to; that one does not wait long.
const lookTimeout = 500 * time.Millisecond

// Agree answers a member that wants to go on as the primary without the DCS. The bool is false when this one leads, or
// may at any moment; else it promises not to for a ttl, and says how far its own WAL reaches, zero when that is unknown.
func (a *Agent) Agree(ctx context.Context, leader string) (wal.LSN, bool) {
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	// The picture of the last tick does not know of a server that an operator promoted since.
	st := a.pg.Status(look)
	if leader == a.cfg.Name || a.Snapshot().Leading || comesUpAsPrimary(st) {
		return 0, false
	}
	if !a.failsafe.agree(leader, time.Now()) {
		return 0, false
	}
	a.Wake()
	return max(st.Received, st.Replayed), true
}

// comesUpAsPrimary reports whether the server accepts writes, or will once it is up.
func comesUpAsPrimary(st postgres.Status) bool {
	if st.Process == postgres.ProcessNone {
		return false
	}
	if st.Answers {
		return !st.InRecovery
	}
	return !st.Standby
}

const (
	// consentTimeout is how long a member gets to answer, and consentTries how often it is asked while it is silent. An
	// agreement that is lost on the way binds whoever gave it and helps nobody, so asking again is safe.
	consentTimeout = 2 * time.Second
	consentTries   = 2
	// leastConsent is what the members get when there is no time left.
	leastConsent = 100 * time.Millisecond
)

// askFailsafe asks all members at once whether this one may go on as the primary without the DCS.
func (a *Agent) askFailsafe(ctx context.Context, v ha.View, members map[string]string) error {
	sent, asleep := time.Now(), clock.Suspended()
	a.failsafe.asked = sent
	ctx, cancel := context.WithTimeout(ctx, max(a.ends(v).Sub(sent), leastConsent))
	defer cancel()
	call := client.FailsafeCall{Name: a.cfg.Name, ConnURL: a.cfg.ConnURL, APIURL: a.cfg.APIURL}
	call.Slots = a.slotStatus(v).Positions
	answers := make(chan error, len(members))
	for name, apiURL := range members {
		go func() { answers <- a.consent(ctx, name, apiURL, call) }()
	}
	var errs []error
	for range members {
		errs = append(errs, <-answers)
	}
	err := errors.Join(errs...)
	switch {
	case err == nil:
		a.failsafe.consent(sent.Add(v.Settings.TTL), asleep)
	case errors.Is(err, errRefused):
		a.failsafe.consent(time.Time{}, 0)
	}
	return err
}

// consent asks one member. errRefused says that it leads, or may; any other error that nobody knows (rule S7).
func (a *Agent) consent(ctx context.Context, name, apiURL string, call client.FailsafeCall) error {
	var silence error
	for range consentTries {
		answer, err := a.callFailsafe(ctx, apiURL, call)
		switch {
		case err != nil:
			a.log.DebugContext(ctx, "no answer", slog.String("member", name), slog.Any("err", err))
			silence = fmt.Errorf("%s does not answer: %w", name, err)
			continue
		case answer.Code == http.StatusOK && answer.Text == client.FailsafeAccepted:
			a.slots.hear(name, answer.Position)
			return nil
		case answer.Code == http.StatusInternalServerError:
			return fmt.Errorf("%w by %s: %s", errRefused, name, answer.Text)
		}
		return fmt.Errorf("%s does not agree: %d %s", name, answer.Code, answer.Text)
	}
	return silence
}

func (a *Agent) callFailsafe(ctx context.Context, apiURL string, call client.FailsafeCall) (client.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, consentTimeout)
	defer cancel()
	return a.peers.Failsafe(ctx, apiURL, call)
}

// ends is when a server that accepts writes has to be stopped: before the lease ends, or what the members agreed to while
// the DCS is silent.
func (a *Agent) ends(v ha.View) time.Time { return a.writeDeadline(v.Fresh).Add(-a.margin()) }

// writeDeadline is when somebody else may win. A job may ask for it beside the loop.
func (a *Agent) writeDeadline(fresh bool) time.Time {
	deadline := a.dcs.Lease().Deadline
	if until := a.failsafe.consented(); !fresh && until.After(deadline) {
		deadline = until
	}
	return a.bounded(deadline)
}

// failsafeActive reports whether this member relies on the others without the DCS, or promised one of them not to lead.
func (a *Agent) failsafeActive(v ha.View, now time.Time) bool {
	agreed := v.Failsafe.Leader != "" && now.Sub(v.Failsafe.Heard) < v.Settings.TTL
	return agreed || !v.Fresh && now.Before(a.failsafe.consented())
}
