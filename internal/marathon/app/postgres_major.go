package app

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MajorUpgradeLabel is the label with which somebody says that the major version of the servers is meant to change, and to
// which.
const MajorUpgradeLabel = "PGBATON_MAJOR_UPGRADE"

var (
	// majorPattern is 16, 16.4 or 16-bookworm. Three numbers are never a version of PostgreSQL, but of something else.
	majorPattern  = regexp.MustCompile(`^([1-9][0-9])(\.[0-9]+)?(-.*)?$`)
	binDirPattern = regexp.MustCompile(`(?:/postgresql/|/pgsql-|/postgresql-?)([1-9][0-9])/bin/?$`)
)

// PostgresMajor is the major version of PostgreSQL that tasks of the app run, as far as the definition tells: from a
// variable of the environment that names it or the folder of the programs, else from the tag of the image when it begins
// with a number. False when it does not tell, or tells it in two ways that differ.
func PostgresMajor(a App) (int, bool) {
	var found []int
	for _, name := range []string{"PGBATON_POSTGRES_VERSION", "PG_MAJOR", "PGVERSION", "PG_VERSION"} {
		if m := majorPattern.FindStringSubmatch(a.Env[name].Text); m != nil {
			found = append(found, number(m[1]))
		}
	}
	for _, name := range []string{"PGBATON_POSTGRESQL_BIN_DIR", "PATRONI_POSTGRESQL_BIN_DIR", "PGBINDIR"} {
		if m := binDirPattern.FindStringSubmatch(a.Env[name].Text); m != nil {
			found = append(found, number(m[1]))
		}
	}
	if len(found) == 0 {
		return imageMajor(a)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[0], len(found) == 1
}

// imageMajor reads the tag of the image. A digest says nothing, and neither does the port of a registry.
func imageMajor(a App) (int, bool) {
	if a.Container == nil || a.Container.Docker == nil {
		return 0, false
	}
	image, _, _ := strings.Cut(a.Container.Docker.Image, "@")
	name := image[strings.LastIndexByte(image, '/')+1:]
	_, tag, _ := strings.Cut(name, ":")
	if m := majorPattern.FindStringSubmatch(tag); m != nil {
		return number(m[1]), true
	}
	return 0, false
}

// number is the value of a few digits.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
