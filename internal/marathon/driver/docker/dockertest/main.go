package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/service"
)

// room names the variable that tells the test program that it is inside already: the folder made for it.
const room = "PGBATON_DOCKERTEST"

// Main runs the tests of a package inside namespaces of their own, where dockerd is the test's alone. TestMain calls it
// and exits with what it returns. Where that cannot be had the tests are skipped, or fail with PEERS=required.
func Main(m *testing.M) int {
	if os.Getenv(room) != "" && os.Getpid() != 1 {
		return m.Run()
	}
	if os.Getenv(room) != "" {
		return first()
	}
	if why := missing(); why != "" {
		if os.Getenv("PEERS") == "required" {
			fmt.Fprintln(os.Stderr, why)
			return 1
		}
		fmt.Fprintln(os.Stderr, "skipped:", why)
		return 0
	}
	code, err := contain()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in namespaces of their own:", err)
		return 1
	}
	return code
}

// missing says what is not there that the tests need.
func missing() string {
	if os.Geteuid() != 0 {
		return "a docker daemon of the tests' own needs root"
	}
	for _, program := range []string{"dockerd", "containerd", "runc", "docker", "ip", "iptables", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed: scripts/install-peers.sh docker"
		}
	}
	return ""
}

// contain runs this program again as the first process of namespaces of its own: with it ends everything that it
// started, and its network and mounts are gone.
func contain() (code int, err error) {
	dir, err := os.MkdirTemp("", "dockertest")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cleanUp(dir)) }()
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), room+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	err = cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// cleanUp removes what outlives processes: files, and the cgroups of containers that were killed with everything else.
func cleanUp(dir string) error {
	groups, err := filepath.Glob("/sys/fs/cgroup/*" + groupOf(dir))
	if err != nil {
		return err
	}
	for _, group := range append(groups, "/sys/fs/cgroup"+groupOf(dir)) {
		inner, err := filepath.Glob(group + "/*/")
		if err != nil {
			return err
		}
		for _, path := range append(inner, group) {
			_ = os.Remove(path) // a folder of the kernel's: its files go with it
		}
	}
	return os.RemoveAll(dir)
}

// groupOf is the cgroup of all containers of a test program.
func groupOf(dir string) string { return "/" + filepath.Base(dir) }

// first is the first process of the namespaces: it prepares them, runs the tests in another process and waits for
// whatever daemons leave behind. Zombies would be taken for daemons that live.
func first() int {
	code, err := 0, prepare()
	if err == nil {
		code, err = service.Parent("/proc/self/exe", os.Args, os.Environ())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in namespaces of their own:", err)
		return 1
	}
	return code
}

func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	return run("ip", "link", "set", "lo", "up")
}

func run(name string, args ...string) error {
	out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
