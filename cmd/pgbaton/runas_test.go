package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHandOver: what a user is given of which folders, started by whom the folders belong to.
func TestHandOver(t *testing.T) {
	for name, c := range map[string]struct {
		data, volume string
		there        []string
		want         []string
	}{
		"a data directory that is not there yet":     {data: "var/pg/data", there: []string{"var"}, want: []string{"var/pg"}},
		"one that is there, and nothing around it":   {data: "var/data", there: []string{"var/data"}, want: []string{"var/data"}},
		"the volume of a platform and what is in it": {data: "vol/lib/pg", volume: "vol", there: []string{"vol"}, want: []string{"vol", "vol/lib"}},
		"a volume that went back to root":            {data: "vol/data", volume: "vol", there: []string{"vol/data"}, want: []string{"vol", "vol/data"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, dir := range c.there {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			given := map[string]bool{}
			o := owner{cred: &syscall.Credential{Uid: 999, Gid: 999}, chown: func(path string, uid, gid int) error {
				if uid != 999 || gid != 999 {
					t.Errorf("%s is given to %d:%d", path, uid, gid)
				}
				given[strings.TrimPrefix(path, root+"/")] = true
				return nil
			}}
			volume := ""
			if c.volume != "" {
				volume = filepath.Join(root, c.volume)
			}
			if err := handOver(filepath.Join(root, c.data), volume, o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, slices.Sorted(maps.Keys(given))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBegins: a file system begins with the root, and not with a folder that was just made.
func TestBegins(t *testing.T) {
	if !begins("/proc") || begins(t.TempDir()) {
		t.Errorf("a file system begins with /proc: %v, with a new folder: %v", begins("/proc"), begins(t.TempDir()))
	}
}

// TestOwnHome: everything is passed on that the agent was started with, and there is one home, the user's.
func TestOwnHome(t *testing.T) {
	got := ownHome(map[string]string{"HOME": "/root", "PATRONI_SUPERUSER_PASSWORD": "a=b"}, "/var/lib/postgresql")
	if diff := cmp.Diff([]string{"HOME=/var/lib/postgresql", "PATRONI_SUPERUSER_PASSWORD=a=b"}, got); diff != "" {
		t.Error(diff)
	}
}
