package ctl

import (
	"bufio"
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// prompt asks for a line; an empty answer takes the default.
func (t *tool) prompt(question, otherwise string) (string, error) {
	t.printf("%s [%s]: ", question, otherwise)
	answer, err := t.readLine()
	if err != nil {
		return "", err
	}
	return cmp.Or(answer, otherwise), nil
}

// demand asks for a line until there is one.
func (t *tool) demand(question string) (string, error) {
	for {
		t.printf("%s: ", question)
		answer, err := t.readLine()
		if err != nil || answer != "" {
			return answer, err
		}
	}
}

// confirm asks a question whose answer is no unless somebody says yes.
func (t *tool) confirm(question string) (bool, error) {
	for {
		t.printf("%s [y/N]: ", question)
		answer, err := t.readLine()
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "y", "yes":
			return true, nil
		case "n", "no", "":
			return false, nil
		}
		t.printf("Error: invalid input\n")
	}
}

// answer is a line that was typed, or none.
type answer struct {
	text string
	err  error
}

// readLine reads what is typed. Whoever interrupts instead, or ends the input, is done with the conversation.
func (t *tool) readLine() (string, error) {
	if t.input == nil {
		t.input = bufio.NewReader(t.env.In)
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := t.input.ReadString('\n')
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		if a.err == nil || a.text != "" {
			return strings.TrimSpace(a.text), nil
		}
	case <-t.interrupted:
	}
	t.printf("\n")
	return "", ErrAborted
}

// password asks for a line that is not shown while it is typed.
func (t *tool) password() (string, error) {
	t.printf("Password: ")
	if t.env.Password == nil {
		return t.readLine()
	}
	text, err := t.env.Password(t.interrupted)
	t.printf("\n")
	return text, err
}

// patience is how long something may take before a terminal says that it is waited for.
const patience = 2 * time.Second

// notice is a line at the bottom of a terminal while something is waited for. It is gone without a trace afterwards.
type notice struct {
	mu   sync.Mutex
	text string
	end  chan struct{}
	gone chan struct{}
}

// waiting begins a notice. Without a terminal there is none to see.
func (t *tool) waiting(text string) *notice {
	n := &notice{text: text, end: make(chan struct{}), gone: make(chan struct{})}
	if !t.env.Terminal {
		close(n.gone)
		return n
	}
	go n.show(t)
	return n
}

// say changes the text.
func (n *notice) say(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = text
}

// over ends the notice.
func (n *notice) over() {
	close(n.end)
	<-n.gone
}

func (n *notice) show(t *tool) {
	defer close(n.gone)
	began := time.Now()
	next := time.NewTimer(patience)
	defer next.Stop()
	shown := false
	for {
		select {
		case <-n.end:
			if shown {
				fmt.Fprint(t.env.Err, "\r\x1b[K")
			}
			return
		case <-next.C:
			n.mu.Lock()
			fmt.Fprintf(t.env.Err, "\r\x1b[K%s … %d s", n.text, int(time.Since(began).Seconds()))
			n.mu.Unlock()
			shown = true
			next.Reset(time.Second)
		}
	}
}
