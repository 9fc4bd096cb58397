package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// teller says how far the measurements are.
type teller struct {
	out    io.Writer
	began  time.Time
	prefix string // who is measured
	step   string
}

func (t *teller) line(words string) {
	fmt.Fprintf(t.out, "%5.0f s  %s  %-10s  %s\n", time.Since(t.began).Seconds(), t.prefix, t.step, words)
}

func (t *teller) begins(s step) { t.step = s.name }

// measured tells the figures of a step in the order of the metrics.
func (t *teller) measured(f figures) {
	var words []string
	for _, m := range metrics() {
		if v, ok := f[m.key]; ok {
			words = append(words, strings.TrimPrefix(m.title, "… ")+" "+m.unit.text(v)+m.unit.suffix())
		}
	}
	t.line(strings.Join(words, ", "))
}

// outputLines is how much of every process is shown after a failure.
const outputLines = 30

// failed tells an error with what every process printed last.
func (t *teller) failed(l *lab, err error) {
	t.line("failed: " + err.Error())
	for _, name := range l.Names() {
		fmt.Fprintf(t.out, "--- %s printed last:\n%s\n", name, l.Output(name, outputLines))
	}
}
