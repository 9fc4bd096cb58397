package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// drawSync makes a drawn schedule one of a cluster in which commits may wait for standbys, for every second seed, and adds
// what happens to such clusters only. It has a source of chance of its own, so that the other seeds are what they were.
func drawSync(seed uint64, setup Setup, faults []Fault) (Setup, []Fault) {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, 3)), setup: setup, faults: faults} //nolint:gosec // a seed is what makes it repeatable
	if d.rng.IntN(2) == 0 || d.hopeless() {
		return setup, faults
	}
	d.setup.Sync = []string{"on", "on", "on", "quorum", "quorum", "quorum", "quorum", "off"}[d.rng.IntN(8)]
	d.setup.Strict = d.rng.IntN(4) == 0
	d.setup.SyncNodes = 1 + d.rng.IntN(3)/2
	d.setup.SyncLag = []int{-1, -1, 640, 1 << 20}[d.rng.IntN(4)]
	if len(d.setup.Tags) == 0 && d.setup.Members > 2 && !d.setup.Planned {
		d.syncTags()
	}
	switch {
	case d.setup.Planned || d.expects():
		d.setup.SyncLag = -1 // who lags is the point of some of them, and has to be able to lead
	case d.setup.Mild:
		d.syncFaults(d.mildSync)
	case d.setup.Members > 2 && d.rng.IntN(4) == 0:
		d.scattered()
	case d.setup.Members > 1 && d.rng.IntN(4) == 0:
		d.overtaken()
	default:
		d.syncFaults(d.syncFault)
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return int(a.At - b.At) })
	return d.setup, d.faults
}

// expects reports whether the schedule says what has to come of it.
func (d *drawing) expects() bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return f.What == "expect" })
}

// hopeless reports whether nobody is expected to lead, which depends on how far a standby is behind.
func (d *drawing) hopeless() bool {
	return slices.ContainsFunc(d.faults, func(f Fault) bool { return f.What == "expect" && f.Args[0] == "nobody" })
}

func (d *drawing) syncTags() {
	m, o := d.member(), d.member()
	switch d.rng.IntN(6) {
	case 0:
		d.setup.Tags = []string{m + ".nosync=true"}
	case 1:
		d.setup.Tags = []string{m + ".sync_priority=2", o + ".sync_priority=3"}
	case 2:
		d.setup.Tags = []string{m + ".nofailover=true", o + ".sync_priority=2"}
	}
}

// scattered draws a leader that is lost while each of the others may or may not have the last writes: one was cut off from
// it for a while, and one or two are gone as well for a part of the time.
func (d *drawing) scattered() {
	ttl := d.setup.ttl()
	d.faults = nil
	d.at = 5*time.Second + d.upTo(5*time.Second)
	d.add(Fault{What: "cut", Args: []string{"leader", []string{"standby", d.member()}[d.rng.IntN(2)]}, For: 20*time.Second + d.upTo(20*time.Second).Truncate(time.Millisecond)})
	d.at += d.upTo(15 * time.Second)
	for range 1 + d.rng.IntN(2) {
		what := []string{"kill-host", "isolate", "freeze-host", "kill-server", "stop-agent"}[d.rng.IntN(5)]
		d.add(Fault{What: what, Args: []string{d.member()}, For: ttl + d.upTo(ttl).Truncate(time.Millisecond)})
		d.at += d.upTo(time.Second)
	}
	d.add(Fault{What: []string{"kill-host", "isolate"}[d.rng.IntN(2)], Args: []string{"leader"}, For: ttl + d.upTo(2*ttl).Truncate(time.Millisecond)})
	for range d.rng.IntN(3) {
		d.at += d.upTo(ttl)
		d.add(d.syncFault())
	}
}

// overtaken draws a planned change of the leader that comes to nothing, while the promise that was made for it is still on
// its way.
func (d *drawing) overtaken() {
	d.faults = nil
	d.at = 5*time.Second + d.upTo(5*time.Second)
	if d.rng.IntN(2) == 0 {
		d.add(Fault{What: "kill-host", Args: []string{d.member()}, For: d.setup.ttl()})
	}
	d.at += d.upTo(2 * time.Second)
	d.add(Fault{What: "late-request", Args: []string{"leader", "sync"}})
	d.add(Fault{What: "switchover"})
	for range 1 + d.rng.IntN(2) {
		d.at += d.upTo(2 * time.Second)
		what := []string{"kill-host", "freeze-agent", "kill-server", "stop-agent"}[d.rng.IntN(4)]
		d.add(Fault{What: what, Args: []string{d.member()}, For: d.upTo(d.setup.ttl()).Truncate(time.Millisecond)})
	}
	d.at += d.upTo(5 * time.Second)
	d.add(d.syncSetting())
}

// syncFaults strews some faults over the schedule.
func (d *drawing) syncFaults(fault func() Fault) {
	last := 10 * time.Second
	for _, f := range d.faults {
		last = max(last, f.At)
	}
	d.faults = slices.Clone(d.faults)
	for range d.rng.IntN(7) {
		d.at = 3*time.Second + d.upTo(last+5*time.Second)
		d.add(fault())
	}
}

// mildSync are faults that take the lead from nobody.
func (d *drawing) mildSync() Fault {
	if d.rng.IntN(2) == 0 {
		return d.syncSetting()
	}
	return d.lostSync()
}

// lostSync draws what goes wrong with a step of the leader's.
func (d *drawing) lostSync() Fault {
	what := []string{"lose-request", "lose-answer", "late-request"}[d.rng.IntN(3)]
	return Fault{What: what, Args: []string{"leader", []string{"sync", "names", "wal", "admit"}[d.rng.IntN(10)*3/10]}}
}

// lateSync draws a promise that is on its way while the leader changes its mind, its server or its life.
func (d *drawing) lateSync() Fault {
	d.add(Fault{What: "late-request", Args: []string{"leader", "sync"}})
	d.add([]Fault{
		{What: "switchover"},
		{What: "kill-server", Args: []string{"standby"}},
		{What: "config", Args: []string{"synchronous_mode", []string{"on", "quorum"}[d.rng.IntN(2)]}},
		{What: "config", Args: []string{"synchronous_node_count", strconv.Itoa(1 + d.rng.IntN(2))}},
	}[d.rng.IntN(4)])
	d.at += d.upTo(5 * time.Second)
	if d.rng.IntN(2) == 0 {
		return d.syncSetting()
	}
	return Fault{What: []string{"kill-agent", "kill-server", "kill-host"}[d.rng.IntN(3)], Args: []string{"leader"}, For: d.upTo(time.Second).Truncate(time.Millisecond)}
}

// syncSetting draws a change of the configuration.
func (d *drawing) syncSetting() Fault {
	set := func(name, value string) Fault { return Fault{What: "config", Args: []string{name, value}} }
	switch d.rng.IntN(6) {
	case 0, 1:
		return set("synchronous_mode", []string{"off", "on", "quorum"}[d.rng.IntN(3)])
	case 2:
		return set("synchronous_mode_strict", strconv.FormatBool(d.rng.IntN(2) == 0))
	case 3:
		return set("maximum_lag_on_syncnode", []string{"-1", "640", "100000"}[d.rng.IntN(3)])
	}
	return set("synchronous_node_count", strconv.Itoa(1+d.rng.IntN(2)))
}

// syncFault draws one fault of those that a synchronous cluster is sensitive to.
func (d *drawing) syncFault() Fault {
	m, while := d.member(), d.while()
	switch d.rng.IntN(14) {
	case 0, 1, 2:
		return d.syncSetting()
	case 3:
		return d.lostSync()
	case 4:
		return d.lateSync()
	case 5:
		return Fault{What: "retag", Args: []string{m, "nosync", strconv.FormatBool(d.rng.IntN(2) == 0)}}
	case 6:
		return Fault{What: "restart", Args: []string{[]string{m, "standby"}[d.rng.IntN(2)]}}
	case 7:
		return Fault{What: "failover", Args: []string{m}}
	case 8:
		return Fault{What: "switchover", Args: []string{m}}
	case 9:
		return Fault{What: "kill-host", Args: []string{[]string{"leader", "standby"}[d.rng.IntN(2)]}, For: while}
	case 10:
		return Fault{What: "cut", Args: []string{"leader", "standby"}, For: while}
	case 11:
		return Fault{What: "kill-server", Args: []string{[]string{"leader", "leader", "standby"}[d.rng.IntN(3)]}}
	case 12:
		return Fault{What: "trap-agent", Args: []string{[]string{m, "leader"}[d.rng.IntN(2)], []string{"sync", "names", "wal", "admit"}[d.rng.IntN(10)*3/10]}, For: while}
	}
	if d.rng.IntN(2) == 0 {
		return Fault{What: "lagging", Args: []string{m}, For: while}
	}
	// A server that is slow to take on whom its commits wait for, just when that changes.
	d.add(Fault{What: "slow-disk", Args: []string{"leader"}, For: 5*time.Second + while})
	d.add(Fault{What: "cut", Args: []string{"leader", "standby"}, For: 3 * time.Second})
	return Fault{What: "config", Args: []string{"synchronous_mode", []string{"on", "quorum"}[d.rng.IntN(2)]}}
}

// syncWords are the settings of synchronous replication in the words of a scenario.
func (s Setup) syncWords() string {
	return fmt.Sprintf("sync=%s strict=%t sync_nodes=%d sync_lag=%d", s.Sync, s.Strict, s.SyncNodes, s.SyncLag)
}
