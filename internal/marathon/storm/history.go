package storm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// History is one history: who is there, and what happens.
type History struct {
	Seed   uint64 // of chance in the machines; the events say everything else
	Hosts  int
	Events []Event
}

// Event is one line of a history.
type Event struct {
	After time.Duration // since the one before
	Verb  string
	Args  []string
}

// String is the event as a line.
func (e Event) String() string {
	return strings.TrimRight(fmt.Sprintf("+%v %s %s", e.After, e.Verb, strings.Join(e.Args, " ")), " ")
}

// String is the history as [Parse] reads it.
func (h History) String() string {
	lines := []string{fmt.Sprintf("seed %d hosts %d", h.Seed, h.Hosts)}
	for _, e := range h.Events {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n") + "\n"
}

// Parse reads a history: a line "seed N hosts N", then one for each event. What begins with # is for people.
func Parse(text string) (History, error) {
	var h History
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(text), "\n"), func(line string) bool { return strings.HasPrefix(line, "#") })
	if _, err := fmt.Sscanf(lines[0], "seed %d hosts %d", &h.Seed, &h.Hosts); err != nil {
		return History{}, fmt.Errorf("read first line %q: %w", lines[0], err)
	}
	for _, line := range lines[1:] {
		e, err := parseEvent(line)
		if err != nil {
			return History{}, err
		}
		h.Events = append(h.Events, e)
	}
	return h, nil
}

func parseEvent(line string) (Event, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return Event{}, fmt.Errorf("line %q is not like +1s verb words", line)
	}
	after, err := time.ParseDuration(strings.TrimPrefix(words[0], "+"))
	if err != nil {
		return Event{}, fmt.Errorf("read time of %q: %w", line, err)
	}
	if verbs()[words[1]] == nil {
		return Event{}, fmt.Errorf("line %q: there is no verb %s", line, words[1])
	}
	return Event{After: after, Verb: words[1], Args: words[2:]}, nil
}

// arg is the n-th argument, empty when it is missing.
func (e Event) arg(n int) string {
	if n < len(e.Args) {
		return e.Args[n]
	}
	return ""
}

// number is the n-th argument as a number, 0 when it is none.
func (e Event) number(n int) int {
	v, err := strconv.Atoi(e.arg(n))
	if err != nil {
		return 0
	}
	return v
}

// has reports whether one of the arguments is the word.
func (e Event) has(word string) bool { return slices.Contains(e.Args, word) }

// Minimise makes a history smaller as long as it breaks the same rule. run says which rule a history breaks, if any.
func Minimise(h History, run func(History) string) History {
	rule := run(h)
	if rule == "" {
		return h
	}
	for smaller := true; smaller; {
		smaller = false
		for size := max(len(h.Events)/2, 1); size > 0; size /= 2 {
			for from := 0; from+size <= len(h.Events); {
				try := h
				try.Events = slices.Delete(slices.Clone(h.Events), from, from+size)
				if run(try) != rule {
					from += size
					continue
				}
				h, smaller = try, true
			}
		}
	}
	return h
}
