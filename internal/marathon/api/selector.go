package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// selector is one part of the label parameter: a label that must be there and, unless values is nil, have one of the
// values, or with not set none of them.
type selector struct {
	key    string
	values []string
	not    bool
}

func (s selector) matches(labels app.Labels) bool {
	value, there := labels[s.key]
	if !there || s.values == nil {
		return there
	}
	return slices.Contains(s.values, value) != s.not
}

// parseSelectors reads "key, key==v, key!=v, key in (a,b), key notin (a,b)". Characters other than letters, digits, "-",
// "_" and "." are escaped with a backslash.
func parseSelectors(text string) ([]selector, error) {
	p := &selectorParser{rest: text}
	p.blanks()
	if p.rest == "" {
		return nil, nil
	}
	var selectors []selector
	for {
		s, ok := p.selector()
		if !ok {
			return nil, p.fault(text)
		}
		selectors = append(selectors, s)
		p.blanks()
		if p.rest == "" {
			return selectors, nil
		}
		if !p.take(",") {
			return nil, p.fault(text)
		}
	}
}

type selectorParser struct{ rest string }

// fault is Marathon's answer to an argument it cannot use.
func (p *selectorParser) fault(text string) error {
	where := "at " + strconv.Quote(p.rest)
	if p.rest == "" {
		where = "at its end"
	}
	return &httpError{http.StatusUnprocessableEntity, fmt.Sprintf(
		"cannot read the label selector %q %s; it is a list of key, key==value, key!=value, key in (a,b) and key notin (a,b)",
		text, where,
	)}
}

func (p *selectorParser) selector() (selector, bool) {
	key, ok := p.word()
	if !ok {
		return selector{}, false
	}
	s := selector{key: key}
	p.blanks()
	switch {
	case p.take("=="):
		return p.single(s)
	case p.take("!="):
		s.not = true
		return p.single(s)
	case p.take("notin"):
		s.not = true
		return p.set(s)
	case p.take("in"):
		return p.set(s)
	}
	return s, true
}

func (p *selectorParser) single(s selector) (selector, bool) {
	value, ok := p.word()
	s.values = []string{value}
	return s, ok
}

func (p *selectorParser) set(s selector) (selector, bool) {
	p.blanks()
	if !p.take("(") {
		return s, false
	}
	for {
		value, ok := p.word()
		if !ok {
			return s, false
		}
		s.values = append(s.values, value)
		p.blanks()
		if p.take(")") {
			return s, true
		}
		if !p.take(",") {
			return s, false
		}
	}
}

// word reads a key or value and undoes its escapes.
func (p *selectorParser) word() (string, bool) {
	p.blanks()
	var word strings.Builder
	for p.rest != "" {
		c := p.rest[0]
		switch {
		case c == '\\' && len(p.rest) > 1:
			word.WriteByte(p.rest[1])
			p.rest = p.rest[2:]
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			word.WriteByte(c)
			p.rest = p.rest[1:]
		default:
			return word.String(), word.Len() > 0
		}
	}
	return word.String(), word.Len() > 0
}

func (p *selectorParser) blanks() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *selectorParser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	p.rest = rest
	return ok
}
