package guc

import (
	"fmt"
	"regexp"
	"slices"
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

// Same reports whether two values make commits wait for the same standbys, whatever the case of their names. Their order
// counts only where some of them are waited for and others stand by.
func (n SyncNames) Same(other SyncNames) bool {
	if n.Any != other.Any || n.Num != other.Num || len(n.Names) != len(other.Names) {
		return false
	}
	if !n.Any && n.Num < len(n.Names) {
		return slices.EqualFunc(n.Names, other.Names, strings.EqualFold)
	}
	return n.within(other) && other.within(n)
}

// within reports whether every name is one of the other's too.
func (n SyncNames) within(other SyncNames) bool {
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
