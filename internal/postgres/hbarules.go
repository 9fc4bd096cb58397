package postgres

import (
	"slices"
	"strings"
)

// hbaToken is a word of pg_hba.conf. One that begins with a quote is never a keyword or a group.
type hbaToken struct {
	text   string
	quoted bool
}

// hbaField is one column of a rule: words with commas between them, and the text as it stands.
type hbaField struct {
	raw   string
	words []hbaToken
}

// hbaLine cuts a line into its columns as PostgreSQL does (next_token and next_field_expand in hba.c): blanks separate
// columns, a comma joins the word after it to the same column, a hash outside quotes begins a comment.
func hbaLine(line string) []hbaField {
	var fields []hbaField
	for at := 0; ; {
		var field hbaField
		start, more := -1, true
		for more {
			var word hbaToken
			var from int
			var ok bool
			word, from, at, more, ok = nextHBAWord(line, at)
			if !ok {
				break
			}
			if start < 0 {
				start = from
			}
			field.words = append(field.words, word)
			field.raw = line[start:at]
		}
		if start < 0 {
			return fields
		}
		fields = append(fields, field)
	}
}

// nextHBAWord reads one word from a position on and returns where it began and ended, and whether a comma follows it.
func nextHBAWord(line string, at int) (word hbaToken, from, end int, comma, ok bool) {
	for at < len(line) && strings.IndexByte(" \t\r\n,", line[at]) >= 0 {
		at++
	}
	from = at
	var text strings.Builder
	inside := false
	for ; at < len(line); at++ {
		c := line[at]
		switch {
		case c == '"' && inside && at+1 < len(line) && line[at+1] == '"':
			text.WriteByte(c)
			at++
			continue
		case c == '"':
			inside = !inside
			word.quoted = word.quoted || at == from
			continue
		case inside:
		case c == '#':
			word.text = text.String()
			return word, from, len(line), false, at > from
		case c == ',':
			word.text = text.String()
			return word, from, at, true, true
		case strings.IndexByte(" \t\r\n", c) >= 0:
			word.text = text.String()
			return word, from, at, false, true
		}
		text.WriteByte(c)
	}
	word.text = text.String()
	return word, from, at, false, at > from
}

// hbaTypes are the words that begin a rule. Whatever else begins a line includes other files.
var hbaTypes = []string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}

// rulesFor derives the rules for a few roles from those of a whole pg_hba.conf, in their order: what let one of the roles
// in, or refused it, does so still, and nobody else is let in. Rules for groups and patterns are left out, because nobody
// can say here who is meant. major is PostgreSQL's: since 14 a backslash at the end of a line continues it.
func rulesFor(roles []string, hba string, major int) []string {
	if major >= 14 {
		hba = strings.NewReplacer("\\\r\n", "", "\\\n", "").Replace(hba)
	}
	var rules []string
	for line := range strings.Lines(hba) {
		fields := hbaLine(line)
		if len(fields) < 4 || !slices.Contains(hbaTypes, fields[0].raw) {
			continue
		}
		var users []string
		for _, role := range roles {
			if slices.ContainsFunc(fields[2].words, func(w hbaToken) bool { return w.text == role && w.names() || w.is("all") }) {
				users = append(users, quoteHBA(role))
			}
		}
		if len(users) == 0 {
			continue
		}
		words := []string{fields[0].raw, fields[1].raw, strings.Join(users, ",")}
		for _, f := range fields[3:] {
			words = append(words, f.raw)
		}
		rules = append(rules, strings.Join(words, " "))
	}
	return rules
}

func (w hbaToken) is(keyword string) bool { return !w.quoted && w.text == keyword }

// names reports whether a word is the name of one role or database, rather than a group, a pattern or a file of names.
func (w hbaToken) names() bool {
	return w.quoted || w.text != "" && strings.IndexByte("+/@", w.text[0]) < 0
}

// admitsLocally reports whether the rules let a role into a database over the socket.
func admitsLocally(role, database string, rules []string) bool {
	for _, rule := range rules {
		fields := hbaLine(rule)
		if fields[0].raw != "local" || !slices.ContainsFunc(fields[2].words, func(w hbaToken) bool { return w.text == role }) {
			continue
		}
		if slices.ContainsFunc(fields[1].words, func(w hbaToken) bool {
			return w.is("all") || w.text == database && w.names() || w.is("sameuser") && role == database
		}) {
			return fields[3].raw != "reject"
		}
	}
	return false
}
