package peer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files that go test asks for lie where another user may not write.
func TestFlagsForAnotherUser(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	got, deliver := translate([]string{
		"-test.testlogfile=/root/log", "-test.v=true", "-test.outputdir=" + home, "-test.coverprofile=cover.out", "-test.gocoverdir=/root/x", "-rewrite",
	}, dir)
	want := []string{"-test.v=true", "-test.coverprofile=" + filepath.Join(dir, "cover.out"), "-rewrite"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(dir, "cover.out"), []byte("mode: set\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := deliver(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(home, "cover.out")); err != nil || string(text) != "mode: set\n" {
		t.Errorf("the profile: %q, %v", text, err)
	}
	if _, deliver := translate([]string{"-test.v=true"}, dir); deliver() != nil {
		t.Error("nothing was asked for")
	}
}
