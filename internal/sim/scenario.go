package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A scenario is a run in words: one line with the setup, then one line for each fault (see Fault).
//
//	members=3 ttl=30 loop_wait=10 retry_timeout=10 write=100ms seed=7
//	5s freeze-agent leader for 60s
//	40s expect another

// Scenario reads a run: the setup as words, the faults as lines.
func Scenario(setup, faults string) (Run, error) {
	r := Run{Setup: Setup{
		Members: 3, TTL: 30, LoopWait: 10, RetryTimeout: 10, PrimaryStartTimeout: 300, MaximumLag: 1 << 20, Write: 100 * time.Millisecond,
		Rewind: true, Clone: true, LateStore: true, SyncNodes: 1, SyncLag: -1,
	}}
	for word := range strings.FieldsSeq(setup) {
		name, value, _ := strings.Cut(word, "=")
		if err := setWord(&r, name, value); err != nil {
			return Run{}, fmt.Errorf("read %q: %w", word, err)
		}
	}
	for line := range strings.Lines(faults) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f, err := ParseFault(line)
		if err != nil {
			return Run{}, err
		}
		r.Faults = append(r.Faults, f)
	}
	return r, nil
}

// String is the run as a scenario that Scenario reads.
func (r Run) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s seed=%d", r.Setup.line(), r.Seed)
	if r.Mutant != "" {
		out.WriteString(" mutant=" + r.Mutant)
	}
	for _, f := range r.Faults {
		out.WriteString("\n" + f.String())
	}
	return out.String()
}

// setWord changes one word of a scenario's setup.
func setWord(r *Run, name, value string) error {
	s := &r.Setup
	numbers := map[string]*int{
		"members": &s.Members, "ttl": &s.TTL, "loop_wait": &s.LoopWait, "retry_timeout": &s.RetryTimeout,
		"primary_start_timeout": &s.PrimaryStartTimeout, "maximum_lag": &s.MaximumLag, "drift": &s.Drift, "sync_nodes": &s.SyncNodes, "sync_lag": &s.SyncLag,
	}
	switches := map[string]*bool{
		"strict": &s.Strict, "rewind": &s.Rewind, "clone": &s.Clone, "failsafe": &s.Failsafe, "watchdog": &s.Watchdog, "late_store": &s.LateStore, "mild": &s.Mild, "planned": &s.Planned,
	}
	var err error
	switch {
	case numbers[name] != nil:
		*numbers[name], err = strconv.Atoi(value)
	case switches[name] != nil:
		*switches[name], err = strconv.ParseBool(value)
	case name == "write":
		s.Write, err = time.ParseDuration(value)
	case name == "length":
		s.Length, err = time.ParseDuration(value)
	case name == "sync":
		s.Sync = value
	case name == "tags":
		s.Tags = strings.Split(strings.ReplaceAll(value, ":", "="), ",")
	case name == "seed":
		r.Seed, err = strconv.ParseUint(value, 10, 64)
	case name == "mutant":
		r.Mutant = value
	default:
		err = errors.New("there is no setting of that name")
	}
	return err
}

// line is the setup in the words of a scenario.
func (s Setup) line() string {
	words := []string{
		fmt.Sprintf("members=%d ttl=%d loop_wait=%d retry_timeout=%d primary_start_timeout=%d maximum_lag=%d drift=%d write=%v", s.Members, s.TTL,
			s.LoopWait, s.RetryTimeout, s.PrimaryStartTimeout, s.MaximumLag, s.Drift, s.Write),
		fmt.Sprintf("rewind=%t clone=%t failsafe=%t late_store=%t", s.Rewind, s.Clone, s.Failsafe, s.LateStore),
	}
	if s.Sync != "" {
		words = append(words, s.syncWords())
	}
	if len(s.Tags) > 0 {
		words = append(words, "tags="+strings.ReplaceAll(strings.Join(s.Tags, ","), "=", ":"))
	}
	if s.Watchdog {
		words = append(words, "watchdog=true")
	}
	if s.Mild {
		words = append(words, "mild=true")
	}
	if s.Planned {
		words = append(words, "planned=true")
	}
	if s.Length > 0 {
		words = append(words, "length="+s.Length.String())
	}
	return strings.Join(words, " ")
}

// String says in a few words what came of a run.
func (o Outcome) String() string {
	if o.Broken != nil {
		return o.Broken.String()
	}
	return fmt.Sprintf("all rules held; the lead changed %s, %s; longest time without a write %v; %s lost of those that were acknowledged",
		times(o.Leaders), guarded(o.Stats.Guarded), o.Outage.Round(100*time.Millisecond), count(o.Stats.Lost, "write"))
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func guarded(n int) string {
	if n == 0 {
		return "no guard had to act"
	}
	return "guards acted " + times(n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
