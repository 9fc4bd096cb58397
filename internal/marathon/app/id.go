package app

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// ID is the absolute path of an app, "/postgresql/patroni". Every part but the last names a group. Only [ParseID]
// makes one from foreign text.
type ID string

// labelPattern is one part of a path: labels of lower-case letters, digits and inner dashes, joined by dots
// .
var labelPattern = regexp.MustCompile(`^([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])(\.([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9]))*$`)

// ParseID reads a path. A relative one is taken from the root, "." and ".." are resolved, doubled and trailing slashes
// dropped. It refuses an empty path, the root, a path that ends in a dot segment, and parts that are not lower-case DNS
// labels.
func ParseID(s string) (ID, error) {
	clean := path.Clean("/" + s)
	last := path.Base(strings.TrimRight(s, "/"))
	if clean == "/" || last == "." || last == ".." {
		return "", fmt.Errorf("an app id needs a name at its end, got %q", s)
	}
	for part := range strings.SplitSeq(clean[1:], "/") {
		if !labelPattern.MatchString(part) {
			return "", fmt.Errorf("%q in app id %q may only hold lower-case letters, digits, inner dashes and dots", part, s)
		}
	}
	return ID(clean), nil
}

// ParseNewID is ParseID for the id of an app that may be made: it also refuses names that the API uses behind ids. The
// error is an [*InvalidError] in Marathon's words.
func ParseNewID(s string) (ID, error) {
	id, fault := checkID(s)
	if fault != "" {
		return "", &InvalidError{Details: []Detail{{Path: "/id", Errors: []string{fault}}}}
	}
	return id, nil
}

// checkID is the id, or Marathon's words for what is wrong with it.
func checkID(s string) (id ID, fault string) {
	if strings.Trim(s, "/") == "" {
		return "", msgIDRoot
	}
	id, err := ParseID(s)
	if err != nil {
		return "", msgIDPattern
	}
	switch id.Name() {
	case "restart", "tasks", "versions":
		return "", msgIDReserved
	}
	return id, ""
}

// Resolve is the path that text means in the definition of id, of an app or a group: "../db" is what lies beside it, "/a/db"
// is absolute, and "db" lies in its group.
func (id ID) Resolve(text string) ID {
	switch {
	case strings.HasPrefix(text, "/"):
		return ID(path.Clean(text))
	case strings.HasPrefix(text, "."):
		return ID(path.Clean(string(id) + "/" + text))
	}
	return ID(path.Clean(string(id.Parent()) + "/" + text))
}

// Below reports whether id lies in the group or in a group of it.
func (id ID) Below(group ID) bool {
	return group == "/" || strings.HasPrefix(string(id), string(group)+"/")
}

// Safe is the path in the form task ids begin with: "postgresql_patroni". No path contains "_", so nothing is lost.
func (id ID) Safe() string { return strings.ReplaceAll(strings.TrimPrefix(string(id), "/"), "/", "_") }

// Parent is the group the app lies in: "/postgresql", or "/" for an app at the top.
func (id ID) Parent() ID { return ID(path.Dir(string(id))) }

// Name is the last part of the path: "patroni".
func (id ID) Name() string { return path.Base(string(id)) }

// fromSafe undoes [ID.Safe]. Text that is not the safe form of any id is refused: instance ids become names of folders.
func fromSafe(s string) (ID, error) {
	id, err := ParseID(strings.ReplaceAll(s, "_", "/"))
	if err == nil && id.Safe() != s {
		err = fmt.Errorf("%q is not the safe form of an app id", s)
	}
	return id, err
}
