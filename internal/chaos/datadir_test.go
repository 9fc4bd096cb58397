package chaos

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBadInputDataDirectories starts a cluster in which one member finds the data directory of another cluster, and
// one that of another major version. Both must say so and touch nothing, and the third must serve; once the right
// directories are back, all is whole again.
func TestBadInputDataDirectories(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts everything")
	}
	needPeers(t, "postgres", "haproxy")
	p := platform(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	pic, err := p.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	foreign, older := dataDir(t, pic.Followers()[0]), dataDir(t, pic.Followers()[1])
	initdb := filepath.Join(filepath.Dir(programOf(t, pic.Led())), "initdb")
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	rename(t, foreign, foreign+".aside")
	asServers(t, initdb, "--no-sync", "-D", foreign)
	version := filepath.Join(older, "PG_VERSION")
	right := replace(t, version, "12\n")
	control := replace(t, filepath.Join(foreign, "postgresql.auto.conf"), "# a mark\n")

	if err := p.launch(); err != nil {
		t.Fatal(err)
	}
	awaitOutput(ctx, t, p, "move it away, or use another scope", "the data directory belongs to PostgreSQL 12", "is the primary on timeline")
	if got := replace(t, version, right); got != "12\n" {
		t.Errorf("the directory of another major version was changed: %q", got)
	}
	if got := replace(t, filepath.Join(foreign, "postgresql.auto.conf"), control); got != "# a mark\n" {
		t.Errorf("the directory of another cluster was changed: %q", got)
	}
	rename(t, foreign, foreign+".foreign")
	rename(t, foreign+".aside", foreign)
	if pic, err = p.Await(ctx, nil); err != nil {
		t.Fatal(err)
	}
	t.Log(pic)
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// dataDir is where a server works.
func dataDir(t *testing.T, m Member) string {
	t.Helper()
	p, ok := lookAt(m.Postmaster)
	if !ok {
		t.Fatalf("the server of %s is gone", m.Name)
	}
	return p.cwd
}

func programOf(t *testing.T, m Member) string {
	t.Helper()
	p, ok := lookAt(m.Postmaster)
	if !ok {
		t.Fatalf("the server of %s is gone", m.Name)
	}
	return p.exe
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// replace writes the text to a file that keeps its owner, and returns what was there.
func replace(t *testing.T, path, text string) string {
	t.Helper()
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return string(was)
}

// asServers runs a program as the user that servers run as.
func asServers(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = os.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: servers(t)}
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, output)
	}
}

// awaitOutput waits until the program has printed all of it since its last start.
func awaitOutput(ctx context.Context, t *testing.T, p *Platform, wanted ...string) {
	t.Helper()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		_, output, _ := strings.Cut(p.Output(1000), "stopped; the data stay")
		missing := ""
		for _, w := range wanted {
			if !strings.Contains(output, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("%q is not printed:\n%s", missing, output)
		}
	}
}
