package sim

import (
	"maps"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// operatorKinds are what operators do.
func operatorKinds() map[string]kind {
	return map[string]kind{
		"switchover": {begin: func(w *world, f *Fault) { w.manual(true, f, "") }},
		"failover":   {args: 1, begin: func(w *world, f *Fault) { w.manual(false, f, "") }},
		"schedule": {args: 1, begin: func(w *world, f *Fault) {
			after, err := time.ParseDuration(f.Args[0])
			if err == nil {
				w.manual(true, &Fault{Args: f.Args[1:]}, w.wall().Add(after).Format(time.RFC3339Nano))
			}
		}},
		"restart":      on(func(m *member, _ *Fault) { m.ask(ha.RequestRestart) }, nil),
		"reinitialize": on(func(m *member, _ *Fault) { m.ask(ha.RequestReinitialize) }, nil),
		"config":       {args: 2, begin: configure},
		"retag":        {args: 3, begin: retag},
		"pause":        {begin: pause(true), end: pause(false)},
		"step-clock": {args: 2, begin: func(w *world, f *Fault) {
			if d, err := time.ParseDuration(f.Args[1]); err == nil {
				if m := w.member(f.Args[0]); m != nil {
					m.clock.step += d
				}
			}
		}},
		"scale-down": on((*member).leave, (*member).comeBack),
	}
}

func (m *member) ask(what ha.RequestKind) {
	if m.life == nil {
		return
	}
	if what == ha.RequestReinitialize && (ha.CheckReinitialize(m.name, m.w.store.now) != nil || m.w.leader() == nil) {
		return
	}
	m.life.ask(what)
}

// leave is the end of a member as a scheduler does it: its agent is told to end and not started again (S9).
func (m *member) leave(_ *Fault) {
	m.away = true
	m.tellToEnd()
}

// tellToEnd is SIGTERM to the agent.
func (m *member) tellToEnd() {
	if m.life != nil {
		m.life.leaving = true
		m.life.wakeAfter(0)
	}
}

func (m *member) comeBack(_ *Fault) {
	m.away = false
	if m.life == nil {
		m.start()
	}
}

// manual asks for a switchover from the leader, or a failover, to the member named, if any; as the REST API does, and
// only where that would not refuse.
func (w *world) manual(switchover bool, f *Fault, at string) {
	st := &w.store
	want := cluster.Failover{ScheduledAt: at}
	if switchover {
		want.Leader = st.now.Leader.Name
	}
	if len(f.Args) > 0 {
		want.Candidate = f.Args[0]
	}
	if st.down > 0 || ha.CheckManual(want.Kind(), want, st.now) != nil {
		return
	}
	if st.putFailover(want, st.now.Failover.Version) == nil {
		w.truth.asked = want.Candidate
	}
}

// pause turns pause on or off. An operator who cannot reach the store tries again.
func pause(on bool) func(w *world, f *Fault) {
	return func(w *world, f *Fault) {
		c := w.store.now.Config
		if w.store.down > 0 {
			if !on {
				w.faultsEnd = max(w.faultsEnd, w.now+int64(time.Second))
				w.at(w.now+int64(time.Second), func() { pause(on)(w, f) })
			}
			return
		}
		if c.Data == nil {
			c.Data = w.setup.dynamic() // wiped: operators write what they had
		}
		_ = w.store.putConfig(cluster.Patch(c.Data, map[string]any{"pause": on}), c.Version)
	}
}

// configure changes one option of the dynamic configuration.
func configure(w *world, f *Fault) {
	if w.store.down > 0 || w.store.now.Config.Data == nil {
		return
	}
	var value any = f.Args[1] // a word
	if n, err := strconv.Atoi(f.Args[1]); err == nil {
		value = n
		if f.Args[0] == "ttl" {
			w.setup.TTL = max(w.setup.TTL, n)
		}
	}
	data := cluster.Patch(w.store.now.Config.Data, map[string]any{f.Args[0]: value})
	_ = w.store.putConfig(data, w.store.now.Config.Version)
}

// retag changes a tag in the configuration file of a member, which its agent reads again.
func retag(w *world, f *Fault) {
	m := w.member(f.Args[0])
	if m == nil {
		return
	}
	tags := maps.Clone(m.tags)
	if tags == nil {
		tags = cluster.Tags{}
	}
	tags[f.Args[1]] = f.Args[2]
	m.tags = tags
	m.lookAgain()
}
