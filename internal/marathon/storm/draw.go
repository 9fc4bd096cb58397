package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Draw is the history of a seed.
func Draw(seed uint64) History {
	d := dealer{rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // chance, not secrecy
	h := History{Seed: seed, Hosts: 4 + d.IntN(3)}
	apps := d.apps()
	for _, name := range apps {
		h.Events = append(h.Events, Event{Verb: "create", Args: []string{name, fmt.Sprint(1 + d.IntN(4))}})
	}
	h.Events = append(h.Events, Event{After: 30 * time.Second, Verb: "wait"})
	rough := 1 + d.IntN(3) // how much goes wrong, out of four
	for range 20 + d.IntN(40) {
		e := Event{After: d.pause()}
		if d.IntN(4) < rough {
			e.Verb, e.Args = d.trouble(h.Hosts, apps)
		} else {
			e.Verb, e.Args = d.wish(h.Hosts, apps)
		}
		h.Events = append(h.Events, e)
	}
	return succeeded(blinded(h, apps))
}

// succeeded is the history in which, in every third one, schedulers freeze in the middle of something, others take over, and
// the frozen ones are woken later. It draws by itself, so that the others stay as they are.
func succeeded(h History) History {
	d := dealer{rand.New(rand.NewPCG(h.Seed, 13))} //nolint:gosec // as above
	if d.IntN(3) > 0 {
		return h
	}
	for range 1 + d.IntN(3) {
		at := len(h.Events)/4 + d.IntN(len(h.Events)*3/4)
		freeze := Event{After: d.pause(), Verb: "supplant", Args: []string{fmt.Sprint(d.IntN(40))}}
		h.Events = slices.Insert(h.Events, at, freeze)
		h.Events = slices.Insert(h.Events, at+1+d.IntN(len(h.Events)-at), Event{After: d.pause(), Verb: "wake"})
	}
	return h
}

// blinded is the history in which the scheduler cannot ask tasks how they are for some minutes, in every other one with an
// app that has a health check. It draws by itself, so that the others stay as they are.
func blinded(h History, apps []string) History {
	d := dealer{rand.New(rand.NewPCG(h.Seed, 11))} //nolint:gosec // as above
	if !slices.Contains(apps, "checked") || d.IntN(2) == 0 {
		return h
	}
	first := len(apps) + 1 // when everything runs
	from := first + d.IntN(len(h.Events)-first)
	h.Events = slices.Insert(h.Events, from,
		Event{Verb: "blind"}, Event{After: time.Duration(100+d.IntN(200)) * time.Second, Verb: "wait"}, Event{Verb: "sees"})
	return h
}

// dealer draws.
type dealer struct{ *rand.Rand }

// pause is how long nothing happens: mostly seconds, sometimes no time at all or minutes.
func (d dealer) pause() time.Duration {
	switch d.IntN(10) {
	case 0, 1, 2:
		return time.Duration(d.IntN(300)) * time.Millisecond
	case 3:
		return time.Duration(30+d.IntN(120)) * time.Second
	}
	return time.Duration(300+d.IntN(6000)) * time.Millisecond
}

// apps are two or three, the database among them more often than not.
func (d dealer) apps() []string {
	names := []string{"web", "spread", "careful", "resident", "checked"}
	d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	chosen := names[:1+d.IntN(2)]
	if d.IntN(5) > 0 {
		chosen = append(chosen, "pg")
	}
	return slices.Clone(chosen)
}

func (d dealer) host(hosts int) string { return fmt.Sprintf("node%d", 1+d.IntN(hosts)) }

func (d dealer) pick(list ...string) string { return list[d.IntN(len(list))] }

func (d dealer) maybe(word string) []string {
	if d.IntN(3) == 0 {
		return []string{word}
	}
	return nil
}

// wish is one thing that people do.
func (d dealer) wish(hosts int, apps []string) (string, []string) {
	a := d.pick(apps...)
	switch d.IntN(16) {
	case 0, 1, 2, 3:
		return "scale", append([]string{a, fmt.Sprint(d.IntN(6))}, d.maybe("force")...)
	case 4, 5, 6:
		return "update", append([]string{a, fmt.Sprint(d.IntN(1000))}, d.maybe("force")...)
	case 7:
		return "restart", append([]string{a}, d.maybe("force")...)
	case 8, 9:
		return "kill", slices.Concat([]string{a, fmt.Sprint(d.IntN(5))}, d.maybe("scale"), d.maybe("wipe"), d.maybe("force"))
	case 10:
		return "delete", append([]string{a}, d.maybe("wipe")...)
	case 11:
		return "create", []string{a, fmt.Sprint(1 + d.IntN(4))}
	case 12, 13:
		return d.pick("drain", "undrain"), []string{d.host(hosts)}
	case 14:
		return "cancel", append([]string{fmt.Sprint(d.IntN(3))}, d.maybe("force")...)
	}
	return "lead", []string{d.host(hosts)}
}

// trouble is one thing that goes wrong, or is over.
func (d dealer) trouble(hosts int, apps []string) (string, []string) {
	switch d.IntN(20) {
	case 0, 1, 2:
		return "die", []string{d.host(hosts), d.pick(apps...)}
	case 3:
		return "host-off", []string{d.host(hosts)}
	case 4, 5:
		return "host-on", []string{d.host(hosts)}
	case 6:
		return "cut", []string{d.host(hosts)}
	case 7, 8:
		return "heal", []string{d.host(hosts)}
	case 9:
		return d.pick("store-off", "store-on", "store-on"), nil
	case 10:
		return "lose-answer", []string{d.pick("instances", "definitions")}
	case 11:
		return d.pick("driver-off", "driver-on", "driver-on"), nil
	case 12, 13:
		return "weather", []string{d.pick("fine", "late", "foul", "refusing")}
	case 14, 15:
		return "crash", nil
	case 16:
		return d.pick("sick", "well", "well"), []string{d.pick(apps...), fmt.Sprint(d.IntN(5))}
	case 17:
		return d.pick("broken", "sound", "sound"), nil
	case 18:
		return d.pick("silent", "talkative"), []string{d.host(hosts)}
	}
	return d.pick("stubborn", "willing", "willing"), nil
}
