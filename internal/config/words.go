package config

import (
	"errors"
	"strings"
)

// Command is a program of the operator's with its first arguments; nil for none.
type Command []string

// Words splits a command the way a POSIX shell splits words: blanks separate, quotes and backslashes keep together.
// Nothing else of a shell's language is understood; whoever needs it writes sh -c '…'.
func Words(line string) (Command, error) {
	s := splitter{}
	for i := 0; i < len(line); i++ {
		i = s.next(line, i)
	}
	if s.quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if s.escape {
		return nil, errors.New("it ends with a backslash")
	}
	s.end()
	return s.words, nil
}

// splitter is the state between two characters.
type splitter struct {
	words  Command
	word   strings.Builder
	inWord bool
	quote  byte // the quote that is open
	escape bool // the line ended in a backslash
}

// next takes in the character at i and returns the index of the last one that was used.
func (s *splitter) next(line string, i int) int {
	c := line[i]
	switch {
	case c == '\\' && s.quote != '\'':
		return s.backslash(line, i)
	case s.quote != 0 && c == s.quote:
		s.quote = 0
	case s.quote != 0:
		s.word.WriteByte(c)
	case c == '\'' || c == '"':
		s.quote, s.inWord = c, true
	case strings.IndexByte(" \t\r\n", c) >= 0:
		s.end()
	default:
		s.word.WriteByte(c)
		s.inWord = true
	}
	return i
}

// backslash takes the next character as it is. Between double quotes it does so for those only that would otherwise
// mean something.
func (s *splitter) backslash(line string, i int) int {
	s.inWord = true
	if i+1 == len(line) {
		s.escape = true
		return i
	}
	if s.quote == '"' && strings.IndexByte(`"\$`+"`", line[i+1]) < 0 {
		s.word.WriteByte('\\')
		return i
	}
	s.word.WriteByte(line[i+1])
	return i + 1
}

func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}
