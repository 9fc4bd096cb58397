package up

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Screen tells a person what happens, one line each: when, about what, and the sentence.
type Screen struct {
	out   io.Writer
	began time.Time

	mu    sync.Mutex
	clock bool
}

// NewScreen makes a screen; times count from now.
func NewScreen(out io.Writer) *Screen { return &Screen{out: out, began: time.Now()} }

// Clock shows the time of day from now on: what follows may be hours later.
func (s *Screen) Clock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = true
}

// Say prints one line.
func (s *Screen) Say(topic, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	when := fmt.Sprintf("%7.1fs", time.Since(s.began).Seconds())
	if s.clock {
		when = time.Now().Format(time.TimeOnly)
	}
	fmt.Fprintf(s.out, "%s  %-10s %s\n", when, topic, text)
}

// Print prints text as it is.
func (s *Screen) Print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(s.out, text)
}
