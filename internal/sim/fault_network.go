package sim

import (
	"strconv"
	"strings"
	"time"
)

// networkKinds are faults of the network and of the store.
func networkKinds() map[string]kind {
	both := func(by int) func(w *world, f *Fault) {
		return func(w *world, f *Fault) {
			a, b := w.node(f.Args[0]), w.node(f.Args[1])
			w.cut(a, b, by)
			w.cut(b, a, by)
		}
	}
	one := func(by int) func(w *world, f *Fault) {
		return func(w *world, f *Fault) { w.cut(w.node(f.Args[0]), w.node(f.Args[1]), by) }
	}
	slow := func(by time.Duration) func(w *world, f *Fault) {
		return func(w *world, f *Fault) { w.net.delay[w.node(f.Args[0])] += by }
	}
	return map[string]kind{
		"cut":         {args: 2, begin: both(1), end: both(-1)},
		"cut-one-way": {args: 2, begin: one(1), end: one(-1)},
		"isolate": on(func(m *member, _ *Fault) { m.w.isolate(m, 1) },
			func(m *member, _ *Fault) { m.w.isolate(m, -1) }),
		"slow":         {args: 1, begin: slow(time.Second), end: slow(-time.Second)},
		"lose-request": kindOfCall(loseRequest),
		"lose-answer":  kindOfCall(loseAnswer),
		"late-request": kindOfCall(lateRequest),
		"store-down": {
			begin: func(w *world, _ *Fault) { w.store.lose() },
			end:   func(w *world, _ *Fault) { w.store.mend() },
		},
		"wipe":          {begin: func(w *world, _ *Fault) { w.wipe("", false) }},
		"wipe-key":      {args: 1, begin: func(w *world, f *Fault) { w.wipe(f.Args[0], false) }},
		"replace-store": {begin: func(w *world, _ *Fault) { w.wipe("", true) }},
	}
}

// wipe deletes documents.
func (w *world) wipe(key string, leases bool) { w.store.wipe(key, leases) }

func kindOfCall(what callFault) kind {
	return kind{args: 2, begin: func(w *world, f *Fault) {
		if m := w.member(f.Args[0]); m != nil && m.life != nil {
			m.life.losing = append(m.life.losing, writeFault{f.Args[1], what})
		}
	}}
}

// node is the place of a name in the network.
func (w *world) node(name string) int {
	switch name {
	case "store":
		return storeNode
	case "clients":
		return clientNode
	}
	n, err := strconv.Atoi(strings.TrimPrefix(name, "n"))
	if err != nil || n < 1 || n > maxMembers {
		return clientNode
	}
	return n - 1
}
