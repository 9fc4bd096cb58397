package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pgbaton/pgbaton/"

// floors is the map of the house, lowest first. A package may import packages of lower floors, and of its own
// floor only where sharedRooms says so.
func floors() [][]string {
	return [][]string{
		0: {"wal", "cluster", "guc", "secret", "marathon/app", "marathon/driver/mesos/wire"},
		1: {"ha", "quorum", "slots", "route", "health", "marathon/deploy", "marathon/place"},
		2: {
			"kv", "kv/etcd3", "kv/memory", "kv/embedded", "dcs", "postgres", "process", "guard", "watchdog", "callback", "service", "client", "tlsfiles", "psql", "haproxy", "config", "clock", "logs",
			"marathon/store", "marathon/lead", "marathon/driver", "marathon/driver/local", "marathon/driver/docker", "marathon/driver/sandbox", "marathon/driver/mesos", "marathon/driver/mesos/session", "marathon/driver/mesos/zookeeper", "marathon/driver/mesos/survey",
		},
		3: {"agent", "api", "ctl", "configure", "proxy", "marathon/run", "marathon/api", "up", "supervise"},
	}
}

// sharedRooms are the packages that others of their own floor may import: ports, and vocabulary without which a
// neighbour could not speak.
func sharedRooms() []string {
	return []string{"kv", "marathon/driver", "marathon/driver/sandbox", "marathon/driver/mesos/session", "process", "clock", "tlsfiles", "wal", "secret", "guc", "quorum", "slots", "marathon/place", "supervise"}
}

// laboratory packages are imported by tests and other laboratory packages only.
func laboratory() []string {
	return []string{
		"archtest",
		"peer",
		"chaos",
		"bench",
		"demo",
		"sim",
		"sim/simrun",
		"api/corpus",
		"kv/kvtest",
		"kv/embedded/embeddedtest",
		"haproxy/haproxytest",
		"dcs/dcstest",
		"tlsfiles/tlstest",
		"marathon/driver/drivertest", "marathon/api/acceptance",
		"marathon/driver/simulated",
		"marathon/driver/docker/dockertest", "marathon/driver/sandbox/sandboxtest",
		"marathon/storm",
		"marathon/driver/mesos/mesostest",
		"marathon/driver/mesos/mesosfleet",
	}
}

// modules are the libraries the product may use, each with its reason. A new one is a decision: add it here and
// say why in the commit.
func modules() map[string]string {
	return map[string]string{
		"go.etcd.io/etcd":                "the coordination store, its client and its server",
		"go.uber.org/zap":                "what etcd logs through",
		"google.golang.org/grpc":         "what etcd's client speaks; its codes tell a no from silence",
		"github.com/jackc/pgx":           "speaks PostgreSQL, its replication protocol included",
		"github.com/spf13/cobra":         "commands, help and completion",
		"go.yaml.in/yaml":                "configuration files",
		"golang.org/x/sys":               "pidfd, file locks, inotify",
		"github.com/coreos/go-systemd":   "tells systemd how the agent is getting on",
		"github.com/google/renameio":     "files that are written whole or not at all",
		"github.com/lmittmann/tint":      "logs on a terminal",
		"github.com/ncruces/go-strftime": "dates in the log as strftime formats them",
		"github.com/youmark/pkcs8":       "keys of certificates that a password protects",
		"github.com/pmezard/go-difflib":  "differences as patronictl's users read them",
		"github.com/mattn/go-runewidth":  "how wide a character is on a terminal",
		"github.com/moby/moby":           "the client of Docker's Engine API, whose minimum is Debian's daemon",
		"github.com/containerd/errdefs":  "what the daemon's answers mean",
		"github.com/docker/cli":          "logins to registries as docker login keeps them, programs that know passwords included",
		"github.com/distribution":        "which registry an image is of",
		"github.com/docker/go-units":     "amounts as people write them for docker run",
		"github.com/go-zookeeper/zk":     "asks a ZooKeeper which Mesos master leads",
	}
}

// pkg is one package as its files show it.
type pkg struct {
	path    string // below internal/
	doc     string
	imports []string
}

func TestWalls(t *testing.T) {
	floor := map[string]int{}
	for n, rooms := range floors() {
		for _, room := range rooms {
			floor[room] = n
		}
	}
	for _, p := range packages(t) {
		if slices.Contains(laboratory(), p.path) {
			continue
		}
		own, known := floor[p.path]
		if !known {
			t.Errorf("package %s is on no floor: add it to the map in internal/archtest and in ARCHITECTURE.md", p.path)
			continue
		}
		for _, imported := range p.imports {
			checkImport(t, p.path, own, imported, floor)
		}
	}
}

func checkImport(t *testing.T, from string, own int, imported string, floor map[string]int) {
	t.Helper()
	room, ours := strings.CutPrefix(imported, module+"internal/")
	if !ours {
		checkModule(t, from, imported)
		return
	}
	if slices.Contains(laboratory(), room) {
		t.Errorf("%s imports %s: the laboratory is never part of the product", from, room)
		return
	}
	n, known := floor[room]
	if !known || n < own || n == own && slices.Contains(sharedRooms(), room) {
		return
	}
	t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only. Declare the interface you need on your side, "+
		"and let cmd/pgbaton bring the two together", from, own, room, n)
}

func checkModule(t *testing.T, from, imported string) {
	t.Helper()
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return // the standard library
	}
	for allowed := range modules() {
		if imported == allowed || strings.HasPrefix(imported, allowed+"/") {
			return
		}
	}
	t.Errorf("%s imports %s, which is no library of this program: add it to internal/archtest with its reason, or do without", from, imported)
}

var kind = regexp.MustCompile(`^Package \w+ is (the|part of the|an?) \*(core|adapter|shell|vocabulary|adapter port|laboratory)\*`)

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if !kind.MatchString(strings.ReplaceAll(p.doc, "\n", " ")) {
			t.Errorf(`package %s: its doc.go must begin "Package … is the *core|adapter|shell|vocabulary|laboratory* …"; it begins %.80q`, p.path, p.doc)
		}
	}
}

// Cores and vocabulary see no clock and touch nothing.
func TestPureFloors(t *testing.T) {
	banned := []string{"context", "os", "net", "net/http", "log", "log/slog", "sync", "os/exec", "io/fs"}
	for _, rooms := range floors()[:2] {
		for _, p := range packages(t) {
			if !slices.Contains(rooms, p.path) {
				continue
			}
			for _, imported := range p.imports {
				if slices.Contains(banned, imported) {
					t.Errorf("%s imports %s: a core or vocabulary gets its facts as arguments and returns its reasons", p.path, imported)
				}
			}
		}
	}
}

// packages reads all packages below internal/, without their tests.
func packages(t *testing.T) []pkg {
	t.Helper()
	root := filepath.Join("..", "..", "internal")
	found := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || strings.Contains(file, "testdata") {
			return err
		}
		return read(root, file, found)
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for _, p := range found {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b pkg) int { return strings.Compare(a.path, b.path) })
	return all
}

func read(root, file string, found map[string]*pkg) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	p := found[rel]
	if p == nil {
		p = &pkg{path: filepath.ToSlash(rel)}
		found[rel] = p
	}
	if path.Base(file) == "doc.go" {
		p.doc = parsed.Doc.Text()
	}
	p.imports = append(p.imports, importsOf(parsed)...)
	return nil
}

func importsOf(f *ast.File) []string {
	var out []string
	for _, i := range f.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}
