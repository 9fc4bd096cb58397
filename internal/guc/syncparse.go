package guc

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// syncToken is a word of synchronous_standby_names.
type syncToken struct {
	// kind is syncName, syncNumber or syncKeyword, or the character itself.
	kind byte
	// text is a name without its quotes, or a number.
	text string
}

// The kinds of words, as they stand in syncShape.
const (
	syncName    = 'n'
	syncNumber  = '1'
	syncKeyword = 'k'
)

// syncShape is what the kinds of a value's words may be, one after the other (syncrep_gram.y): a list of names, with how
// many of them in front of it or not. A number can be a name.
var syncShape = regexp.MustCompile(`^(?:k?1\([n1](?:,[n1])*\)|[n1](?:,[n1])*)$`)

// syncWord finds the next word (syncrep_scanner.l). Every byte beyond ASCII is a letter.
var syncWord = regexp.MustCompile(`^[ \t\n\r\f\v]*(?:("(?:[^"]|"")*"|\*)|([A-Za-z_[:^ascii:]][A-Za-z_0-9$[:^ascii:]]*)|([0-9]+)|([(),]))`)

// ParseSyncNames reads a value of synchronous_standby_names (PostgreSQL documentation, "synchronous_standby_names"): a list
// of names, or "[FIRST] 2 (a, b)", or "ANY 2 (a, b)". What PostgreSQL does not take is an error.
func ParseSyncNames(text string) (SyncNames, error) {
	if text == "" {
		return SyncNames{}, nil
	}
	tokens, ok := syncTokens(text)
	if !ok {
		return SyncNames{}, syncError(text)
	}
	n := SyncNames{Num: 1}
	names := tokens
	for i, token := range tokens {
		if token.kind != '(' {
			continue
		}
		count, err := strconv.ParseInt(tokens[i-1].text, 10, 32) // the shape has a number there
		if err != nil || count == 0 {
			return SyncNames{}, syncError(text)
		}
		n.Num, n.Any = int(count), strings.EqualFold(tokens[0].text, "any")
		names = tokens[i+1:]
	}
	for _, token := range names {
		if token.kind == syncName || token.kind == syncNumber {
			n.Names = append(n.Names, token.text)
		}
	}
	return n, nil
}

// syncTokens are the words of a text; false where it is no value.
func syncTokens(text string) ([]syncToken, bool) {
	var tokens []syncToken
	var shape strings.Builder
	rest := strings.TrimRight(text, " \t\n\r\f\v")
	for rest != "" {
		found := syncWord.FindStringSubmatch(rest)
		if found == nil {
			return nil, false
		}
		token := tokenOf(found[1], found[2], found[3], found[4])
		tokens = append(tokens, token)
		shape.WriteByte(token.kind)
		rest = rest[len(found[0]):]
	}
	return tokens, syncShape.MatchString(shape.String())
}

// tokenOf is the word of which one of the spellings was found.
func tokenOf(quoted, plain, number, mark string) syncToken {
	switch {
	case quoted == "*":
		return syncToken{syncName, quoted}
	case quoted != "":
		return syncToken{syncName, strings.ReplaceAll(quoted[1:len(quoted)-1], `""`, `"`)}
	case number != "":
		return syncToken{syncNumber, number}
	case mark != "":
		return syncToken{mark[0], ""}
	case strings.EqualFold(plain, "first"), strings.EqualFold(plain, "any"):
		return syncToken{syncKeyword, plain}
	}
	return syncToken{syncName, plain}
}

func syncError(text string) error {
	return fmt.Errorf("%q is no value of synchronous_standby_names", text)
}
