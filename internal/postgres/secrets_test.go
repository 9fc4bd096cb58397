package postgres

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// holdsNoSecret looks for a secret in everything that a server has beside its data, and in its configuration.
func holdsNoSecret(t *testing.T, s *Server, word string) {
	t.Helper()
	files, err := filepath.Glob(s.dir + ".*")
	if err != nil {
		t.Fatal(err)
	}
	paths := s.files(s.dir)
	files = append(files, paths.conf, paths.base, paths.hba, paths.ident, filepath.Join(s.dir, autoName), filepath.Join(s.dir, "postmaster.opts"))
	for _, path := range files {
		if path == s.cfg.PgPassFile || path == s.servicePath() {
			continue // they are for it
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(word)) {
			t.Errorf("%s has a password in it", path)
		}
	}
}

// watchArguments looks at the command lines of all processes of this user, until stopped, for words that must not be there.
func watchArguments(t *testing.T, words []string) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var watching sync.WaitGroup
	seen := map[string]bool{}
	watching.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
			if err != nil {
				return
			}
			for _, line := range lines {
				text, err := os.ReadFile(filepath.Clean(line))
				if err == nil && slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(text, []byte(w)) }) {
					seen[strings.ReplaceAll(string(text), "\x00", " ")] = true
				}
			}
		}
	})
	return func() {
		close(done)
		watching.Wait()
		for line := range seen {
			t.Errorf("arguments with a password: %s", line)
		}
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// In the whole life of a cluster a password is in the password file, and nowhere else: no log, argument, configuration or
// error.
func TestNoPasswordIsLeftBehind(t *testing.T) {
	passwords := Logins{
		Superuser:   Login{Username: "postgres", Password: "hush-super"},
		Replication: Login{Username: "replicator", Password: "hush-copier"},
		Rewind:      Login{Username: "winder", Password: "hush-winder"},
	}
	defer watchArguments(t, []string{"hush-"})()
	var said lockedBuffer
	member := func(name string) *Server {
		cfg := describe(t, name)
		cfg.Logins = passwords
		cfg.Parameters["log_statement"], cfg.Parameters["log_min_duration_statement"], cfg.Parameters["log_min_messages"] = "all", 0, "debug1"
		s := open(t, cfg)
		s.log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
		return s
	}
	n1, n2 := member("n1"), member("n2")
	if err := n1.Bootstrap(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n1.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n2.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n1.Rewind(within(t), RewindOptions{From: address(n2), Patience: patience}); err != nil {
		t.Fatal(err)
	}
	if err := n1.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	await(t, n1, "streams", streaming(n2))
	wrong := n1.cfg.Settings
	wrong.Superuser.Password, wrong.Replication.Password = "hush-wrong", "hush-wrong"
	wrong.Replication.Options, wrong.Replication.KeyPassword = map[string]string{"sslmode": "no such mode"}, "hush-'key"
	if _, err := n1.Reload(within(t), wrong); err != nil {
		t.Fatal(err)
	}
	if _, err := n1.IdentifySource(within(t), address(n2)); err == nil || strings.Contains(err.Error(), "hush-") {
		t.Errorf("an error: %v", err)
	}
	n1.query.close()
	if st := n1.Status(within(t)); st.Err == nil || strings.Contains(st.Err.Error(), "hush-") {
		t.Errorf("another error: %v", st.Err)
	}
	for _, s := range []*Server{n1, n2} {
		holdsNoSecret(t, s, "hush-")
		if err := filepath.WalkDir(filepath.Dir(s.dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && strings.HasSuffix(path, ".pgpass") {
				if at, err := entry.Info(); err != nil || at.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v", path, at, err)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if bytes.Contains(said.text.Bytes(), []byte("hush-")) {
		t.Errorf("the agent's log:\n%s", said.text.String())
	}
}
