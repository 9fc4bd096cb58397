package chaos

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgbaton/pgbaton/internal/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is the root of the repository.
const source = "../.."

var chaosProgram = flag.String("chaos.program", "", "the pgbaton to test, in place of bin/pgbaton")

// program is bin/pgbaton, which make test builds first; where it is missing the test builds one for itself.
func program(t *testing.T) string {
	t.Helper()
	if *chaosProgram != "" {
		return *chaosProgram
	}
	built, err := filepath.Abs(filepath.Join(source, "bin", "pgbaton"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(built)
	if err == nil {
		t.Logf("%s, built %s", built, info.ModTime().Format("2006-01-02 15:04:05"))
		return built
	}
	built = filepath.Join(t.TempDir(), "pgbaton")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", built, "./cmd/pgbaton")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build pgbaton: %v: %s", err, output)
	}
	return built
}

// needPeers skips a test, or fails it where peers are required, when one of the programs is missing.
func needPeers(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if !installed(name) {
			peer.Missing(t, name+" is not installed: run scripts/install-peers.sh tests")
		}
	}
}

func installed(name string) bool {
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	for _, pattern := range []string{"/usr/sbin/" + name, "/usr/lib/postgresql/*/bin/" + name} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// platform opens a platform that the test destroys when it ends, whatever happens.
func platform(t *testing.T) *Platform {
	t.Helper()
	p, err := Open(t.Context(), Config{Program: program(t), Source: source})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what pgbaton up printed last:\n%s", p.Output(60))
		}
		if err := p.Destroy(t.Context()); err != nil {
			t.Errorf("destroy: %v", err)
		}
		if _, err := os.Lstat(p.Dir()); err == nil {
			t.Errorf("%s is still there", p.Dir())
		}
		if err := p.nothingRuns(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// has fails the test unless the text has all of the parts.
func has(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is missing in\n%s", what, w, text)
		}
	}
}
