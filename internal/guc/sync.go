package guc

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// SyncNames is a value of synchronous_standby_names: a commit waits until Num of the named standbys have its WAL. Names
// are compared without case.
type SyncNames struct {
	// Any says that any Num of the names will do; otherwise the first Num that are connected, in their order.
	Any bool
	Num int
	// Names are standbys' application names; "*" is every standby.
	Names []string
}

// NobodySync is the name of no standby, which makes commits wait until there is one (synchronous_mode_strict). The word is
// Patroni's, so that its members know it for what it is.
const NobodySync = "__patroni_strict_sync_replica_placeholder__"

// Empty reports whether commits wait for nobody.
func (n SyncNames) Empty() bool { return len(n.Names) == 0 }

// Has reports whether a standby is named, without case.
func (n SyncNames) Has(name string) bool {
	return slices.ContainsFunc(n.Names, func(own string) bool { return strings.EqualFold(own, name) })
}

// Same reports whether two values make commits wait for the same standbys, whatever the order and case of their names.
func (n SyncNames) Same(other SyncNames) bool {
	if n.Any != other.Any || n.Num != other.Num || len(n.Names) != len(other.Names) {
		return false
	}
	return !slices.ContainsFunc(n.Names, func(name string) bool { return !other.Has(name) })
}

// String is the value as PostgreSQL reads it; empty for nobody.
func (n SyncNames) String() string {
	if n.Empty() {
		return ""
	}
	var quoted []string
	for _, name := range n.Names {
		quoted = append(quoted, quoteSync(name))
	}
	list := strings.Join(quoted, ",")
	switch {
	case n.Any:
		return fmt.Sprintf("ANY %d (%s)", n.Num, list)
	case n.Num == 1 && len(quoted) == 1:
		return list
	}
	return fmt.Sprintf("%d (%s)", n.Num, list)
}

var plainSync = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9$]*$`)

// quoteSync quotes a name where its grammar asks for it (syncrep_scanner.l): FIRST and ANY are words of it.
func quoteSync(name string) string {
	if name == "*" || plainSync.MatchString(name) && !strings.EqualFold(name, "first") && !strings.EqualFold(name, "any") {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

var syncToken = regexp.MustCompile(`^\s*("(?:[^"]|"")*"|[A-Za-z_\x80-\xff][A-Za-z_0-9$\x80-\xff]*|[0-9]+|[*(),])`)

// ParseSyncNames reads a value of synchronous_standby_names (PostgreSQL documentation, "synchronous_standby_names"): a list
// of names, or "[FIRST] 2 (a, b)", or "ANY 2 (a, b)".
func ParseSyncNames(text string) (SyncNames, error) {
	tokens, err := syncTokens(text)
	if err != nil || len(tokens) == 0 {
		return SyncNames{}, err
	}
	n := SyncNames{Num: 1}
	list := tokens
	head := 0
	if word := strings.ToUpper(tokens[0]); (word == "FIRST" || word == "ANY") && len(tokens) > 1 && isNumber(tokens[1]) {
		n.Any, head = word == "ANY", 1
	}
	if isNumber(tokens[head]) && len(tokens) > head+1 && tokens[head+1] == "(" {
		if n.Num, err = strconv.Atoi(tokens[head]); err != nil || n.Num == 0 {
			return SyncNames{}, syncError(text)
		}
		if tokens[len(tokens)-1] != ")" {
			return SyncNames{}, syncError(text)
		}
		list = tokens[head+2 : len(tokens)-1]
	} else if head != 0 {
		return SyncNames{}, syncError(text)
	}
	for i, token := range list {
		if separator := i%2 == 1; separator != (token == ",") || token == "(" || token == ")" {
			return SyncNames{}, syncError(text)
		}
		if token != "," {
			n.Names = append(n.Names, unquoteSync(token))
		}
	}
	if len(list)%2 == 0 {
		return SyncNames{}, syncError(text)
	}
	return n, nil
}

func syncTokens(text string) ([]string, error) {
	var tokens []string
	rest := text
	for strings.TrimSpace(rest) != "" {
		found := syncToken.FindStringSubmatch(rest)
		if found == nil {
			return nil, syncError(text)
		}
		tokens = append(tokens, found[1])
		rest = rest[len(found[0]):]
	}
	return tokens, nil
}

func isNumber(token string) bool { return token[0] >= '0' && token[0] <= '9' }

func unquoteSync(token string) string {
	if inner, quoted := strings.CutPrefix(token, `"`); quoted {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return token
}

func syncError(text string) error {
	return fmt.Errorf("%q is no value of synchronous_standby_names", text)
}
