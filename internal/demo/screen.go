package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// screen prints for a person: with colours and a moving line on a terminal, plainly elsewhere.
type screen struct {
	out      io.Writer
	terminal bool // lines may be written over
	colour   bool
	acts     int

	mu      sync.Mutex
	waiting string
}

// The attributes of a terminal (ECMA-48).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{out: f, terminal: terminal, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

func (s *screen) paint(attribute, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

// headline begins an act.
func (s *screen) headline(title string) {
	s.acts++
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, fmt.Sprintf("%d. %s", s.acts, title)))
}

// text prints a paragraph, unless it is empty.
func (s *screen) text(words string) {
	if words != "" {
		fmt.Fprintln(s.out, words)
	}
}

// said prints one line with what it is about in front.
func (s *screen) said(topic, words string) {
	colour := map[string]string{"did": cyan, "saw": green, "client": green}[topic]
	fmt.Fprintf(s.out, "   %s %s\n", s.paint(colour, fmt.Sprintf("%-7s", topic)), words)
}

func (s *screen) complain(words string) { fmt.Fprintf(s.out, "\n%s\n", s.paint(red, words)) }

// waitFor notes what is waited for; progress shows it.
func (s *screen) waitFor(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = what
}

// The pauses between two lines of progress.
const (
	overwriteEvery = 200 * time.Millisecond
	lineEvery      = 10 * time.Second
)

// progress shows how long it takes and what is waited for, until the returned function is called: on a line that is
// written over, or a line of its own now and then.
func (s *screen) progress() (stop func()) {
	s.waitFor("")
	every := lineEvery
	if s.terminal {
		every = overwriteEvery
	}
	ended, done := make(chan struct{}), sync.WaitGroup{}
	began := time.Now()
	done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.showWait(time.Since(began))
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		done.Wait()
		if s.terminal {
			fmt.Fprint(s.out, "\r\x1b[K")
		}
	}
}

// widest is how much of a line is used, so that it can be written over.
const widest = 100

func (s *screen) showWait(since time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := []rune(fmt.Sprintf("   … %2.0f s  %s", since.Seconds(), s.waiting))
	text := s.paint(dim, string(line[:min(len(line), widest)]))
	if s.terminal {
		fmt.Fprint(s.out, "\r\x1b[K"+text)
		return
	}
	fmt.Fprintln(s.out, text)
}

// table prints the measured outages.
func (s *screen) table(results []performed) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, "What a client noticed"))
	w := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "event\twrite outage\tlost acknowledged writes\tPatroni 4.1.4, default settings")
	fmt.Fprintln(w, strings.Repeat("-", 5)+"\t"+strings.Repeat("-", 12)+"\t"+strings.Repeat("-", 24)+"\t"+strings.Repeat("-", 31))
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", r.title, seconds(r.Outage), r.Lost, r.patroni)
	}
	w.Flush() //nolint:errcheck // a terminal that is gone needs no table
	fmt.Fprintln(s.out, "\nPatroni's figures are of earlier measurements with Patroni 4.1.4, three members on one machine; they are not of this run.\n"+
		"* not its defaults: loop_wait 1, ttl 20, retry_timeout 3. Here, as in Patroni's defaults, ttl is 30 and loop_wait 10.\n"+
		"Two servers never accepted writes at once.")
}
