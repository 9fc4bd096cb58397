package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Binaries are the programs of one installed PostgreSQL.
type Binaries struct {
	// Dir is their folder.
	Dir string
	// Major is their major version, and Version the whole one as server_version_num: 150004.
	Major, Version int
	// Names are those of programs that are called otherwise.
	Names map[string]string
}

// Path returns the path of one program, by the name that PostgreSQL gives it.
func (b Binaries) Path(program string) string { return filepath.Join(b.Dir, b.name(program)) }

func (b Binaries) name(program string) string { return cmp.Or(b.Names[program], program) }

// Has reports whether a program is installed.
func (b Binaries) Has(program string) bool {
	_, err := exec.LookPath(b.Path(program))
	return err == nil
}

// FindBinaries finds the PostgreSQL to use. A configured folder is used when it exists; where it does
// not, the newest installed version is, and the warning names both. major is the version of an existing
// data directory, zero when there is none: another version is never taken for it (ErrVersion), since it
// could not read the data.
func FindBinaries(ctx context.Context, configured string, major int) (b Binaries, warning string, err error) {
	return search{folders: installed("postgres")}.find(ctx, configured, major)
}

// search is where PostgreSQL may be, and how its programs are called.
type search struct {
	folders []string
	names   map[string]string
}

// installed lists the folders where PostgreSQL may be: those of Debian's packages, and that of the server in PATH.
func installed(server string) []string {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		dirs = nil // the pattern is wrong; it is not
	}
	if program, err := exec.LookPath(server); err == nil {
		dirs = append(dirs, filepath.Dir(program))
	}
	return dirs
}

func (in search) find(ctx context.Context, configured string, major int) (b Binaries, warning string, err error) {
	if configured != "" {
		b, err := in.examine(ctx, configured)
		if err == nil {
			return b, "", fits(b, major)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Binaries{}, "", err
		}
	}
	b, found := in.newest(ctx, major)
	switch {
	case !found && major != 0:
		return Binaries{}, "", fmt.Errorf("%w: the data directory belongs to PostgreSQL %d; install postgresql-%d or set bin_dir to its programs", ErrVersion, major, major)
	case !found:
		return Binaries{}, "", fmt.Errorf("%w: install postgresql or set bin_dir to the folder of its programs", ErrVersion)
	case configured != "":
		warning = fmt.Sprintf("bin_dir %s does not exist, PostgreSQL %d in %s is used instead", configured, b.Major, b.Dir)
	}
	return b, warning, nil
}

// fits refuses programs that cannot read the data directory.
func fits(b Binaries, major int) error {
	if major != 0 && b.Major != major {
		return fmt.Errorf("%w: bin_dir %s has PostgreSQL %d, but the data directory belongs to PostgreSQL %d; set bin_dir to version %d, or upgrade the data with pg_upgrade",
			ErrVersion, b.Dir, b.Major, major, major)
	}
	return nil
}

// newest returns the highest usable version in the folders; only the given one unless that is zero.
func (in search) newest(ctx context.Context, major int) (Binaries, bool) {
	var candidates []Binaries
	for _, dir := range in.folders {
		b, err := in.examine(ctx, dir)
		if err == nil && (major == 0 || b.Major == major) {
			candidates = append(candidates, b)
		}
	}
	if len(candidates) == 0 {
		return Binaries{}, false
	}
	return slices.MaxFunc(candidates, func(a, b Binaries) int { return a.Major - b.Major }), true
}

// versionForm has no minor version in what was not released yet: "18beta1".
var versionForm = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)(?:\.([0-9]+))?`)

// examine asks the programs in a folder for their version.
func (in search) examine(ctx context.Context, dir string) (Binaries, error) {
	b := Binaries{Dir: dir, Names: in.names}
	program := b.Path("postgres")
	if _, err := os.Stat(program); err != nil {
		return Binaries{}, fmt.Errorf("look for PostgreSQL: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	match := versionForm.FindStringSubmatch(string(out))
	if match == nil {
		return Binaries{}, fmt.Errorf("ask %s for its version: it says %q", program, strings.TrimSpace(string(out)))
	}
	if b.Major, err = strconv.Atoi(match[1]); err != nil {
		return Binaries{}, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	minor, err := strconv.Atoi(cmp.Or(match[2], "0"))
	if err != nil {
		return Binaries{}, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	b.Version = b.Major*10000 + minor
	if b.Major < minMajor {
		return Binaries{}, fmt.Errorf("%w: %s is PostgreSQL %d, version %d or later is needed", ErrVersion, program, b.Major, minMajor)
	}
	return b, nil
}
