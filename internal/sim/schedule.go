package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// draw makes the setup and the faults of a seed. One in four is mild: whatever happens is over before a lease could end,
// and then nobody may lose the lead. Some have one long fault, or none and a switchover, and say what has to come of it.
func draw(seed uint64) (Setup, []Fault) {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // a seed is what makes it repeatable
	d.setup = Setup{
		Members: []int{1, 2, 3, 3, 3, 3, 4, 5}[d.rng.IntN(8)], TTL: 30, LoopWait: 10, RetryTimeout: 10, PrimaryStartTimeout: 300,
		MaximumLag: 1 << 20, Drift: []int{0, 100, 500}[d.rng.IntN(3)], Rewind: d.rng.IntN(5) > 0, Clone: d.rng.IntN(4) > 0, LateStore: d.rng.IntN(2) == 0, Failsafe: d.rng.IntN(3) == 0,
		Watchdog: d.rng.IntN(4) == 0,
		Write:    []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second}[d.rng.IntN(3)],
	}
	if d.rng.IntN(2) == 0 {
		d.setup.TTL, d.setup.LoopWait, d.setup.RetryTimeout = 20, 1+d.rng.IntN(3), 3
	}
	if d.rng.IntN(4) == 0 {
		d.setup.PrimaryStartTimeout = 0
	}
	if d.rng.IntN(4) == 0 {
		d.setup.MaximumLag = 640 // ten writes
	}
	if d.setup.Members > 2 {
		d.tags()
	}
	d.at = 3*time.Second + d.upTo(5*time.Second)
	switch d.rng.IntN(16) {
	case 0, 1, 2, 3:
		d.mild()
	case 4:
		d.single()
	case 5:
		d.planned()
	default:
		d.wild()
	}
	return drawSync(seed, d.setup, d.faults)
}

// tags gives some members tags.
func (d *drawing) tags() {
	m, o := d.member(), d.member()
	switch d.rng.IntN(8) {
	case 0:
		d.setup.Tags = []string{m + ".nofailover=true"}
	case 1:
		d.setup.Tags = []string{m + ".failover_priority=2", o + ".failover_priority=3"}
	case 2:
		d.setup.Tags = []string{m + ".clonefrom=true", o + ".noloadbalance=true"}
	case 3:
		d.setup.Tags = []string{m + ".replicatefrom=" + o}
	}
}

// drawing is a schedule in the making.
type drawing struct {
	rng    *rand.Rand
	setup  Setup
	at     time.Duration
	faults []Fault
	// unguarded is until when an agent is killed or frozen, by member: its guard is spared meanwhile, because against the
	// end of both there is no defence but a watchdog.
	unguarded [maxMembers + 1]time.Duration
}

func (d *drawing) upTo(limit time.Duration) time.Duration {
	return time.Duration(d.rng.Int64N(int64(limit)))
}

func (d *drawing) member() string { return fmt.Sprintf("n%d", 1+d.rng.IntN(d.setup.Members)) }

// while is a length of time: often hardly any, sometimes longer than a lease lasts.
func (d *drawing) while() time.Duration {
	longest := []time.Duration{5 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second, 15 * time.Second, 60 * time.Second}
	return d.upTo(longest[d.rng.IntN(len(longest))]).Truncate(time.Millisecond)
}

func (d *drawing) add(f Fault) {
	f.At = d.at.Truncate(time.Millisecond)
	d.faults = append(d.faults, f)
}

// wild draws faults of every kind.
func (d *drawing) wild() {
	for range 2 + d.rng.IntN(10) {
		d.at += d.while()
		d.strike()
	}
}

// strike draws one fault of any kind.
func (d *drawing) strike() {
	switch n := d.rng.IntN(100); {
	case n < 40:
		d.process()
	case n < 65:
		d.network()
	case n < 80:
		d.add(d.server())
	default:
		d.add(d.operator())
	}
}

// process draws the end or the standstill of something.
func (d *drawing) process() {
	m, lasts := d.member(), d.while()
	what := []string{
		"kill-agent", "kill-agent", "freeze-agent", "freeze-agent", "stop-agent", "kill-server", "kill-server", "freeze-server",
		"kill-guard", "kill-host", "kill-host", "freeze-host", "trap-agent", "lose-data", "freeze-guard", "foreign-data", "suspend-host",
	}[d.rng.IntN(17)]
	f := Fault{What: what, Args: []string{m}, For: lasts}
	n, _ := strconv.Atoi(m[1:])
	switch what {
	case "kill-agent", "freeze-agent", "stop-agent", "kill-host", "freeze-host", "suspend-host":
		d.unguarded[n] = max(d.unguarded[n], d.at+lasts+time.Second)
	case "trap-agent":
		words := []string{"acquire", "promote", "start", "renew", "release", "adopt", "stop", "follow", "rewind", "history"}
		f.Args = append(f.Args, words[d.rng.IntN(len(words))])
		d.unguarded[n] = time.Hour
	case "kill-server", "lose-data", "foreign-data":
		f.For = 0
	case "freeze-guard":
		if d.at < d.unguarded[n] && !d.setup.Watchdog {
			f.What, f.For = "kill-server", 0
		}
		d.unguarded[n] = max(d.unguarded[n], d.at+lasts)
	case "kill-guard":
		if f.For = 0; d.at < d.unguarded[n] && !d.setup.Watchdog {
			f.What = "kill-server"
		}
		d.unguarded[n] = max(d.unguarded[n], d.at)
	}
	d.add(f)
}

// others are the nodes that a member talks to.
func (d *drawing) other(m string) string {
	switch d.rng.IntN(6) {
	case 0, 1, 2:
		return "store"
	case 3:
		return "clients"
	}
	if o := d.member(); o != m {
		return o
	}
	return "store"
}

func (d *drawing) network() {
	m, lasts := d.member(), d.while()
	key := []string{"leader", "leader", "lease", "member", "status", "failover", "history", "initialize"}[d.rng.IntN(8)]
	switch d.rng.IntN(12) {
	case 0, 1:
		d.add(Fault{What: "cut", Args: []string{m, d.other(m)}, For: lasts})
	case 2:
		d.add(Fault{What: "cut-one-way", Args: []string{m, d.other(m)}, For: lasts})
	case 3:
		d.add(Fault{What: "cut-one-way", Args: []string{d.other(m), m}, For: lasts})
	case 4, 5:
		d.add(Fault{What: "isolate", Args: []string{m}, For: lasts})
	case 6:
		d.add(Fault{What: "slow", Args: []string{[]string{m, "store"}[d.rng.IntN(2)]}, For: lasts})
	case 7:
		d.add(Fault{What: "lose-request", Args: []string{m, key}})
	case 8:
		d.add(Fault{What: "lose-answer", Args: []string{m, key}})
	case 9:
		d.add(Fault{What: "late-request", Args: []string{m, key}})
	case 10:
		d.add(Fault{What: "store-down", For: lasts})
	case 11:
		d.add(d.wiping())
	}
}

// wiping draws the loss of documents. The leader key alone is not deleted: that takes the lock away from under a leader
// who may be cut off, and no program can stand that.
func (d *drawing) wiping() Fault {
	switch d.rng.IntN(4) {
	case 0:
		return Fault{What: "wipe"}
	case 1:
		return Fault{What: "replace-store"}
	}
	return Fault{What: "wipe-key", Args: []string{[]string{"config", "initialize", "history", "status", "failover", "members"}[d.rng.IntN(6)]}}
}

func (d *drawing) server() Fault {
	what := []string{"slow-disk", "silent", "unstarting", "unpromotable", "unrewindable", "unreadable", "lagging"}[d.rng.IntN(7)]
	return Fault{What: what, Args: []string{d.member()}, For: d.while()}
}

func (d *drawing) operator() Fault {
	m := d.member()
	switch d.rng.IntN(10) {
	case 9:
		return Fault{What: "pause", For: d.while()}
	case 0, 1:
		return Fault{What: "switchover"}
	case 2:
		return Fault{What: "switchover", Args: []string{m}}
	case 3:
		return Fault{What: "failover", Args: []string{m}}
	case 4:
		return Fault{What: "schedule", Args: []string{d.while().String(), m}}
	case 5:
		return Fault{What: "restart", Args: []string{m}}
	case 6:
		return Fault{What: "reinitialize", Args: []string{m}}
	case 7:
		name := []string{"ttl", "loop_wait"}[d.rng.IntN(2)]
		value := map[string]int{"ttl": 20 + d.rng.IntN(20), "loop_wait": 1 + d.rng.IntN(10)}[name]
		return Fault{What: "config", Args: []string{name, strconv.Itoa(value)}}
	}
	return []Fault{
		{What: "step-clock", Args: []string{m, []string{"-1h", "1h", "30s", "-30s"}[d.rng.IntN(4)]}},
		{What: "scale-down", Args: []string{m}, For: d.while()},
	}[d.rng.IntN(2)]
}

// single draws one fault of the leader that lasts: another member has to lead within ttl + 2 s, whatever is still broken.
func (d *drawing) single() {
	d.setup.Members, d.setup.Tags, d.setup.Failsafe, d.setup.MaximumLag = max(3, d.setup.Members), nil, false, 1<<20
	switch d.rng.IntN(5) {
	case 4:
		d.behind()
		return
	case 0:
		d.older()
		return
	case 1:
		d.twins()
		return
	case 2:
		// One standby has less than the others when the leader dies.
		d.add(Fault{What: "lagging", Args: []string{"standby"}, For: 3 * d.setup.ttl()})
		d.at += 3 * time.Second
	}
	what := []string{"freeze-agent", "kill-agent", "kill-host", "freeze-host", "isolate", "stop-agent"}[d.rng.IntN(6)]
	d.add(Fault{What: what, Args: []string{"leader"}, For: 3 * d.setup.ttl()})
	d.at += d.setup.ttl() + leaderWithin + settling
	d.add(Fault{What: "expect", Args: []string{"another"}})
}

// older draws the return of a former leader of two members while its successor is away: it must not lead.
func (d *drawing) older() {
	ttl := d.setup.ttl()
	d.setup.Members = 2
	d.add(Fault{What: "isolate", Args: []string{"leader"}, For: ttl + 25*time.Second})
	d.at += ttl + 10*time.Second
	d.add(Fault{What: "kill-host", Args: []string{"leader"}, For: 3 * ttl})
	d.at += 2*ttl + 15*time.Second
	d.add(Fault{What: "expect", Args: []string{"nobody"}})
}

// behind draws the end of a leader whose only standby has not received anything for a while: it must not lead.
func (d *drawing) behind() {
	d.setup.Members, d.setup.MaximumLag = 2, 640
	d.add(Fault{What: "cut", Args: []string{"leader", "standby"}, For: time.Minute})
	d.at += 40 * time.Second
	d.add(Fault{What: "kill-host", Args: []string{"leader"}, For: 2 * d.setup.ttl()})
	d.at += d.setup.ttl() + 10*time.Second
	d.add(Fault{What: "expect", Args: []string{"nobody"}})
}

// twins draws two promotions one after the other, the first of which is cut off before it can say so.
func (d *drawing) twins() {
	ttl := d.setup.ttl()
	d.setup.Clone = true
	for i := range d.setup.Members {
		d.add(Fault{What: "trap-agent", Args: []string{fmt.Sprintf("n%d", i+1), "history"}, For: ttl + 10*time.Second})
	}
	d.at += time.Second
	d.add(Fault{What: "kill-host", Args: []string{"leader"}, For: 4 * ttl})
}

// settling is what a member that took the key needs until it accepts writes, and a second for the others' first answers.
const settling = 3 * time.Second

// planned draws switchovers in good health: each is over within seconds, and no write is lost, even if the standbys have
// seconds of WAL to receive.
func (d *drawing) planned() {
	d.setup.Members, d.setup.Tags, d.setup.Planned, d.setup.MaximumLag = max(2, d.setup.Members), nil, true, 1<<20
	if d.rng.IntN(2) == 0 {
		for i := range d.setup.Members {
			d.add(Fault{What: "lagging", Args: []string{fmt.Sprintf("n%d", i+1)}, For: 20 * time.Second})
		}
		d.at += 3 * time.Second
	}
	f, whom := Fault{What: "switchover"}, "another"
	if d.rng.IntN(2) == 0 {
		f.Args, whom = []string{"standby"}, "asked"
	}
	d.add(f)
	d.at += 8 * time.Second
	d.add(Fault{What: "expect", Args: []string{whom}})
}

// mild draws faults that one lease outlives.
func (d *drawing) mild() {
	d.setup.Mild = true
	d.setup.TTL, d.setup.LoopWait, d.setup.RetryTimeout, d.setup.PrimaryStartTimeout = 30, 10, 10, 300
	d.setup.Members = max(d.setup.Members, 2)
	d.at += 10 * time.Second
	for range 2 + d.rng.IntN(5) {
		lasts := d.upTo(8 * time.Second).Truncate(time.Millisecond)
		m := d.member()
		switch d.rng.IntN(9) {
		case 0:
			d.add(Fault{What: "store-down", For: lasts})
		case 1:
			d.add(Fault{What: "cut", Args: []string{m, "store"}, For: lasts})
		case 2:
			d.add(Fault{What: "freeze-agent", Args: []string{m}, For: lasts})
		case 3:
			d.add(Fault{What: "kill-agent", Args: []string{m}, For: lasts})
		case 4:
			d.add(Fault{What: "isolate", Args: []string{m}, For: lasts})
		case 5:
			d.add(Fault{What: "kill-guard", Args: []string{m}})
		case 6:
			d.add(Fault{What: []string{"lose-answer", "lose-request"}[d.rng.IntN(2)], Args: []string{m, "lease"}})
		case 7:
			d.add(Fault{What: "silent", Args: []string{m}, For: lasts})
		case 8:
			d.add(Fault{What: "freeze-host", Args: []string{m}, For: lasts})
		}
		d.at += lasts + 35*time.Second // everybody has renewed again
	}
}
