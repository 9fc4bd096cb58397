package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary is the program, where it is called by one of its names.
func TestMain(m *testing.M) {
	if os.Getenv("PGBATON_TEST_PROGRAM") != "" {
		os.Exit(begin())
	}
	os.Exit(m.Run())
}

// called runs the program through a link of that name.
func called(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	c := exec.CommandContext(t.Context(), link, args...)
	c.Env = []string{"PGBATON_TEST_PROGRAM=1", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

func TestOneProgramWithThreeNames(t *testing.T) {
	cases := []struct {
		name, args     string
		code           int
		stdout, stderr string
	}{
		{"patroni", "--version", 0, "patroni 4.1.0+pgbaton\n", ""},
		{"patroni", "--help", 0, "patroni [OPTIONS] [CONFIGFILE]", ""},
		{"patroni", "a.yml b.yml", 2, "", "Usage: patroni [OPTIONS] [CONFIGFILE]\nTry 'patroni --help' for help.\n\nError: "},
		{"patroni", "--validate-config --generate-config", 2, "", "Usage: patroni "},
		{"patroni", "--print", 2, "", "Error: --ignore-listen-port and --print belong to --validate-config"},
		{"patroni", "/does/not/exist.yml", 1, "", "Error: "},
		{"patronictl", "version", 0, "patronictl version 4.1.0+pgbaton\n", ""},
		{"patronictl", "", 0, "patronictl [OPTIONS] COMMAND [ARGS]...", ""},
		{"patronictl", "restart --help", 0, "  patronictl restart postgresql-cluster patroni-node2\n", ""},
		{"patronictl", "agent", 2, "", "Error: No such command 'agent'.\n"},
		{"patronictl", "restart", 2, "", "Usage: patronictl restart [OPTIONS] CLUSTER_NAME [MEMBER...]\nTry 'patronictl restart --help' for help.\n\nError: Missing argument 'CLUSTER_NAME'.\n"},
		{"patronictl", "-c /does/not/exist.yml list", 1, "", "Error: Provided config file /does/not/exist.yml not existing or no read rights."},
		{"patronictl", "completion bash", 0, "# bash completion V2 for patronictl", ""},
		{"pgbaton", "--version", 0, "pgbaton dev (compatible with Patroni 4.1.0)\n", ""},
		{"pgbaton", "nothing", 2, "", "Error: No such command 'nothing'.\n"},
		{"something", "--help", 0, "pgbaton [OPTIONS] COMMAND [ARGS]...", ""},
	}
	for _, c := range cases {
		stdout, stderr, code := called(t, c.name, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || (c.stderr == "") != (stderr == "") {
			t.Errorf("%s %s: %d\n%s%s", c.name, c.args, code, stdout, stderr)
		}
	}
}

// The names do not clash: every command of every program is found, and has help.
func TestEveryCommandHasHelp(t *testing.T) {
	for _, name := range []string{"pgbaton", "patronictl"} {
		for _, command := range named(name).Commands() {
			root := named(name)
			root.SetOut(io.Discard)
			root.SetArgs([]string{command.Name(), "--help"})
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Errorf("%s %s: %v", name, command.Name(), err)
			}
			if command.Short == "" {
				t.Errorf("%s %s says nothing of itself", name, command.Name())
			}
		}
	}
}
