package deploy

import (
	"slices"
	"time"
)

// Contact is what the scheduler has heard of a task over its own network, whatever that was: a connection that is taken is
// enough. Zero for a task that it does not ask.
type Contact struct {
	Heard  time.Time // when it last was, zero for never
	Missed time.Time // when it last was not, zero for never
	// Early means that the task ran before it was asked first: others may have heard it where this scheduler never has.
	Early bool
}

// Next is the contact after one more question.
func (c Contact) Next(heard bool, now time.Time) Contact {
	if heard {
		c.Heard = now
		return c
	}
	c.Missed = now
	return c
}

// ears are what the scheduler hears of the running tasks of which it expects to hear. A task counts as heard when another
// one on its host is: the way there is open.
type ears struct {
	heard []time.Time // when each was, oldest first
	mute  []time.Time // the same of those that were asked since and did not answer
	hosts []int       // on how many hosts the first of these are: hosts[n] for n of them
}

// hearing is how many tasks were heard in some time, or asked and not heard since it began.
type hearing struct{ heard, silent, unasked, hosts int }

func newEars(s *State) ears {
	last, newest := s.lastHeard()
	others := !newest.IsZero() || s.early()
	var expected, mute []*Instance
	for n := range s.Instances {
		if i := &s.Instances[n]; i.running() && s.expected(i, newest, others) {
			expected = append(expected, i)
		}
	}
	slices.SortFunc(expected, func(a, b *Instance) int { return last[a.Host].Compare(last[b.Host]) })
	for _, i := range expected {
		if s.Health[i.ID].Contact.Missed.After(last[i.Host]) {
			mute = append(mute, i)
		}
	}
	e := ears{hosts: make([]int, 1, len(mute)+1)}
	for _, i := range expected {
		e.heard = append(e.heard, last[i.Host])
	}
	seen := map[string]bool{}
	for _, i := range mute {
		seen[i.Host] = true
		e.mute, e.hosts = append(e.mute, last[i.Host]), append(e.hosts, len(seen))
	}
	return e
}

// lastHeard is when anything was heard on each host, and anywhere.
func (s *State) lastHeard() (last map[string]time.Time, newest time.Time) {
	last = map[string]time.Time{}
	for n := range s.Instances {
		i := &s.Instances[n]
		at := s.Health[i.ID].Contact.Heard
		if at.After(last[i.Host]) {
			last[i.Host] = at
		}
		if at.After(newest) {
			newest = at
		}
	}
	return last, newest
}

// early reports whether any task ran before it was asked.
func (s *State) early() bool {
	return slices.ContainsFunc(s.Instances, func(i Instance) bool { return i.running() && s.Health[i.ID].Contact.Early })
}

// expected reports whether the silence of a task says anything. One that has never answered may just be broken, unless it
// ran before it was asked, or began after the last of the others was heard: its first answer is worth waiting for. Where
// nobody is known to have been heard ever, not even by another scheduler, there are no others.
func (s *State) expected(i *Instance, newest time.Time, others bool) bool {
	c := s.Health[i.ID].Contact
	asked := !c.Missed.IsZero() || slices.ContainsFunc(s.Apps[i.App].HealthChecks, ProbedHere)
	return c.Early || !c.Heard.IsZero() || others && asked && i.StartedAt.Time().After(newest)
}

// before is how many of the times are.
func before(times []time.Time, at time.Time) int {
	n, _ := slices.BinarySearchFunc(times, at, time.Time.Compare)
	return n
}

// between counts who was heard in a time, both ends included. Who was heard only later or was not asked is neither heard nor
// silent.
func (e ears) between(since, until time.Time) hearing {
	silent := before(e.mute, since)
	h := hearing{heard: before(e.heard, until.Add(1)) - before(e.heard, since), silent: silent, hosts: e.hosts[silent]}
	h.unasked = len(e.heard) - h.heard - h.silent
	return h
}

// own reports whether a check fails by the task's own silence: no other is asked, or, before its last question was in vain, as
// many others were heard as are silent.
func (e ears) own(h Health, now time.Time) bool {
	all, meanwhile := e.between(h.Mute, now), e.between(h.Mute, h.Contact.Missed)
	return len(e.heard) < 2 || !all.cutOff() && meanwhile.heard >= max(1, meanwhile.silent)
}

// cutOff reports whether the silence is rather the scheduler's fault than that of the tasks: more of them are silent than
// answer. Where only those of one host are and others answer, it is the host's.
func (h hearing) cutOff() bool {
	return h.silent > h.heard && (h.heard == 0 || h.hosts > 1)
}
