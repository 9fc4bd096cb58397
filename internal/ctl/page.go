package ctl

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/ha"
)

// page collects the lines of an explanation.
type page struct {
	strings.Builder

	colour bool
	now    time.Time
}

// The colours, which only a terminal gets.
const (
	bold  = "1"
	faint = "2"
	green = "32"
	red   = "31"
)

func (p *page) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *page) line(text string) { p.WriteString(strings.TrimRight(text, " ") + "\n") }

// title names the member and what it is, as the list of members does, where the DCS tells.
func (p *page) title(c cluster.Cluster, m cluster.Member, why string) {
	what := ""
	if m.State != "" {
		what = " (" + strings.ToLower(roleWords(c.RoleOf(m))) + ", " + c.StateOf(m) + ")"
	}
	p.line(p.paint(bold, m.Name) + what + ": " + why)
}

func (p *page) silent(c cluster.Cluster, m cluster.Member, trouble string) { p.title(c, m, trouble) }

// summary is a decision in a few lines.
func (p *page) summary(c cluster.Cluster, m cluster.Member, e ha.Explanation) {
	p.title(c, m, e.Why)
	p.line("  decided " + p.ago(e.Time) + " by the rule " + e.Rule + ": " + whenOf(e))
	for _, c := range e.Checks {
		if !c.OK && !strings.Contains(e.Why, c.Detail) {
			p.line("  " + p.mark(false) + " " + c.Detail)
		}
	}
	p.standing(e, "  would it take the lead if nobody had it: ", false)
}

func whenOf(e ha.Explanation) string {
	for _, r := range e.Rules {
		if r.Rule == e.Rule {
			return r.When
		}
	}
	return "a rule that this program does not know"
}

func (p *page) mark(ok bool) string {
	if ok {
		return p.paint(green, "✓")
	}
	return p.paint(red, "✗")
}

func (p *page) ago(at time.Time) string {
	return ha.Span(max(p.now.Sub(at), 0)) + " ago" // clocks differ
}

// clock is a point in time on the clock of whoever reads.
func (p *page) clock(at time.Time) time.Time { return at.In(p.now.Location()) }

// standing says whether the member would take the lead now.
func (p *page) standing(e ha.Explanation, question string, all bool) {
	if len(e.Standing) == 0 {
		return
	}
	answer := p.paint(green, "yes")
	for _, c := range e.Standing {
		if !c.OK {
			answer = p.paint(red, "no")
		}
	}
	p.line(question + answer)
	for _, c := range e.Standing {
		if all || !c.OK {
			p.line("    " + p.mark(c.OK) + " " + c.Detail)
		}
	}
}

// decision is one decision with everything that led to it.
func (p *page) decision(c cluster.Cluster, m cluster.Member, e ha.Explanation) {
	p.title(c, m, e.Why)
	p.line("decided " + p.ago(e.Time) + " at " + p.clock(e.Time).Format("2006-01-02 15:04:05.000") + ", again " + e.Wake)
	p.rules(e)
	p.section("Weighed", func(add func(...string)) {
		for _, c := range e.Checks {
			add(p.mark(c.OK)+" "+c.Rule, c.Detail)
		}
	})
	p.section("Done", func(add func(...string)) {
		for _, a := range e.Actions {
			add(a.Action, a.Result)
		}
	})
	if len(e.Standing) > 0 {
		p.line("")
		p.standing(e, p.paint(bold, "Would it take the lead if nobody had it:")+" ", true)
	}
	p.facts("Seen", e.Facts)
	p.facts("Remembered", e.Memory)
}

// rules shows what became of each rule; those after the one that decided are only counted.
func (p *page) rules(e ha.Explanation) {
	p.section("Rules, in order", func(add func(...string)) {
		unreached := 0
		for _, r := range e.Rules {
			switch r.Verdict {
			case ha.VerdictApplied:
				add(p.paint(green, "→")+" "+p.paint(bold, r.Rule), r.Verdict, r.When)
			case ha.VerdictNotReached:
				unreached++
			default:
				add("  "+r.Rule, p.paint(faint, r.Verdict), p.paint(faint, r.When))
			}
		}
		if unreached > 0 {
			add(p.paint(faint, fmt.Sprintf("  %d more were not reached", unreached)))
		}
	})
}

func (p *page) facts(title string, facts []ha.Fact) {
	p.section(title, func(add func(...string)) {
		for _, f := range facts {
			add(f.Name, f.Value)
		}
	})
}

// section is a title with aligned lines below it; nothing when there are none.
func (p *page) section(title string, fill func(add func(cells ...string))) {
	var rows [][]string
	fill(func(cells ...string) { rows = append(rows, cells) })
	if len(rows) == 0 {
		return
	}
	p.line("")
	p.line(p.paint(bold, title))
	var widths [3]int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		p.WriteString("  ")
		for i, cell := range row[:len(row)-1] {
			p.WriteString(cell + strings.Repeat(" ", widths[i]-width(cell)+2))
		}
		p.line(row[len(row)-1])
	}
}

// width is how many characters a text takes on a terminal, where colours take none.
func width(text string) int {
	n, escape := 0, false
	for _, r := range text {
		switch {
		case escape:
			escape = r != 'm'
		case r == '\x1b':
			escape = true
		default:
			n++
		}
	}
	return n
}

// history lists changes, oldest first, with the member where there are several.
func (p *page) history(events []event, several bool) {
	widest := 0
	for _, e := range events {
		widest = max(widest, utf8.RuneCountInString(e.member))
	}
	day := ""
	for _, e := range events {
		if today := p.clock(e.Time).Format("2006-01-02"); today != day {
			day = today
			p.line(p.paint(bold, day))
		}
		text := p.clock(e.Time).Format("15:04:05.000") + "  "
		if several {
			text += pad(e.member, widest, false) + "  "
		}
		text += e.Why
		if e.Times > 1 {
			text += p.paint(faint, fmt.Sprintf(" (%d times until %s)", e.Times, p.clock(e.Last).Format("15:04:05.000")))
		}
		if len(e.Actions) > 0 {
			text += p.paint(faint, " → "+strings.Join(e.Actions, ", "))
		}
		p.line(text)
	}
}
