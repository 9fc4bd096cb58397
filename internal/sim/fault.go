package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Fault is one thing that happens to a cluster from outside: a failure, or an operator's action.
type Fault struct {
	// At is when it begins, For how long it lasts; zero for one that is over at once.
	At, For time.Duration
	// What is the kind, Args say what it happens to.
	What string
	Args []string
}

// String is the fault as it stands in a scenario file.
func (f Fault) String() string {
	words := append([]string{f.At.String(), f.What}, f.Args...)
	if f.For > 0 {
		words = append(words, "for", f.For.String())
	}
	return strings.Join(words, " ")
}

// ParseFault reads one line of a scenario file: when, what, to whom, "for" how long.
func ParseFault(line string) (Fault, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return Fault{}, fmt.Errorf("read fault %q: it needs a time and a kind", line)
	}
	at, err := time.ParseDuration(words[0])
	if err != nil {
		return Fault{}, fmt.Errorf("read fault %q: %w", line, err)
	}
	f := Fault{At: at, What: words[1], Args: words[2:]}
	if i := slices.Index(f.Args, "for"); i >= 0 && i+1 < len(f.Args) {
		if f.For, err = time.ParseDuration(f.Args[i+1]); err != nil {
			return Fault{}, fmt.Errorf("read fault %q: %w", line, err)
		}
		f.Args = f.Args[:i]
	}
	kind, known := kinds()[f.What]
	switch {
	case !known:
		return Fault{}, fmt.Errorf("read fault %q: there is no fault %q", line, f.What)
	case len(f.Args) < kind.args:
		return Fault{}, fmt.Errorf("read fault %q: %q needs %d words after it", line, f.What, kind.args)
	}
	return f, nil
}

// kind is what a fault does: begin, and at its end end, when it has one.
type kind struct {
	args       int
	begin, end func(w *world, f *Fault)
}

// inject plans the faults of a run.
func (w *world) inject(faults []Fault) {
	all := kinds()
	for i := range faults {
		f := &faults[i]
		k := all[f.What]
		w.faultsEnd = max(w.faultsEnd, int64(f.At+f.For))
		w.at(int64(f.At), func() {
			f.Args = w.resolve(f.Args)
			w.note(nil, "fault", strings.Join(append([]string{f.What}, f.Args...), " ")+forText(f.For))
			w.clients.burst()
			k.begin(w, f)
			w.touched = true
			w.clients.burst()
		})
		if k.end != nil {
			w.at(int64(f.At+f.For), func() {
				w.note(nil, "fault", strings.Join(append([]string{f.What}, f.Args...), " ")+" is over")
				k.end(w, f)
				w.touched = true
			})
		}
	}
}

// resolve puts names in place of "leader" and "standby", which stand for whoever is that when the fault begins.
func (w *world) resolve(args []string) []string {
	leader := w.member(w.store.now.Leader.Name)
	args = slices.Clone(args)
	for i, a := range args {
		switch {
		case leader == nil:
		case a == "leader":
			args[i] = leader.name
		case a == "standby":
			for _, m := range w.members {
				if p := &w.store.now.Sync; w.synchronous() && len(p.Voters) > 0 && !p.Names(m.name) {
					continue
				}
				if m != leader && m.server.streaming {
					args[i] = m.name
					break
				}
			}
		}
	}
	return args
}

func forText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " for " + d.String()
}

// on makes a kind of what happens to one member, named by the first word.
func on(begin, end func(m *member, f *Fault)) kind {
	apply := func(do func(m *member, f *Fault)) func(*world, *Fault) {
		if do == nil {
			return nil
		}
		return func(w *world, f *Fault) {
			if m := w.member(f.Args[0]); m != nil {
				do(m, f)
			}
		}
	}
	return kind{args: 1, begin: apply(begin), end: apply(end)}
}

// counted makes a kind that counts a condition of one member's server up and down.
func counted(field func(s *server) *int) kind {
	add := func(by int) func(m *member, _ *Fault) {
		return func(m *member, _ *Fault) {
			*field(&m.server) += by
			m.server.changed()
		}
	}
	return on(add(1), add(-1))
}

// expect is no fault: it says what has to hold at that time. "leader" somebody leads, "leader n2" n2 does, "another" somebody
// else than at the beginning does, "same" the one from the beginning does, "asked" whom
// an operator last named does, "nobody" nobody does.
func expect(w *world, f *Fault) {
	leader := w.leader()
	var good bool
	switch f.Args[0] {
	case "leader":
		good = leader != nil && (len(f.Args) < 2 || leader.name == f.Args[1])
	case "another":
		good = leader != nil && leader != w.truth.first
	case "same":
		good = leader != nil && leader == w.truth.first
	case "asked":
		good = leader != nil && leader.name == w.truth.asked
	case "nobody":
		good = leader == nil
	default:
		good = leader != nil && leader.name == f.Args[0]
	}
	if !good {
		w.violate("liveness", "expected %s; %s", strings.Join(f.Args, " "), w.describe())
	}
}

// kinds are all faults by name.
func kinds() map[string]kind {
	all := map[string]kind{
		"expect":       {args: 1, begin: expect},
		"slow-disk":    counted(func(s *server) *int { return &s.slow }),
		"silent":       counted(func(s *server) *int { return &s.silent }),
		"unstarting":   counted(func(s *server) *int { return &s.unstarting }),
		"unpromotable": counted(func(s *server) *int { return &s.unpromoted }),
		"unrewindable": counted(func(s *server) *int { return &s.unrewinding }),
		"unreadable":   counted(func(s *server) *int { return &s.unreadable }),
		"lagging":      counted(func(s *server) *int { return &s.lagging }),
	}
	maps.Copy(all, processKinds())
	maps.Copy(all, networkKinds())
	maps.Copy(all, operatorKinds())
	return all
}
