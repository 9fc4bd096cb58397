package peer

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// account is the user that Debian's package makes for PostgreSQL.
const account = "postgres"

// Run runs the tests of a package as an unprivileged user and returns the exit code. A TestMain is
//
//	func TestMain(m *testing.M) { os.Exit(peer.Run(m)) }
//
// As root the test binary runs itself again as user postgres, with a fresh TMPDIR that this user owns;
// afterwards processes that still work below it are killed and fail the run. Fuzzing goes on as root: it
// needs no server, but files and pipes that another user has not.
func Run(m *testing.M) int {
	if os.Geteuid() != 0 || slices.ContainsFunc(os.Args, fuzzes) {
		return m.Run()
	}
	uid, gid, err := lookUp(account)
	if err != nil {
		return missing("no user " + account + ": install postgresql")
	}
	dir, err := os.MkdirTemp(roomy("/dev/shm", "/tmp"), "pgbaton-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a remainder of a test is no failure of the product
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return fail(err)
	}
	code := runAs(uid, gid, dir)
	if left := killBelow(dir); len(left) > 0 && code == 0 {
		return fail(fmt.Errorf("processes were left behind: %s", strings.Join(left, ", ")))
	}
	return code
}

// fuzzes recognises the flags of a fuzzing run and of its workers.
func fuzzes(arg string) bool {
	return strings.HasPrefix(arg, "-test.fuzz=") || strings.HasPrefix(arg, "-test.fuzzworker")
}

// enoughRoom is what several small clusters at once take, in bytes, with a good margin.
const enoughRoom = 4 << 30

// roomy chooses the fast folder, which lies in memory, unless it is small, as it is in containers. Both are
// short: the paths of sockets must be.
func roomy(fast, other string) string {
	var at syscall.Statfs_t
	if syscall.Statfs(fast, &at) == nil && at.Bavail*uint64(at.Bsize) > enoughRoom { //nolint:gosec // a block has a positive size
		return fast
	}
	return other
}

// Missing skips a test because of a peer that is not installed, or fails it where peers are required.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if required() {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func required() bool { return os.Getenv("PEERS") == "required" }

func missing(reason string) int {
	if required() {
		return fail(fmt.Errorf("%s", reason))
	}
	fmt.Fprintln(os.Stderr, "skipped:", reason)
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}

// Servers is who runs servers, and the agents beside them: PostgreSQL refuses root. Nil is ourselves.
func Servers() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	uid, gid, err := lookUp(account)
	if err != nil {
		return nil, fmt.Errorf("find somebody to run PostgreSQL as: %w", err)
	}
	return &syscall.Credential{Uid: uid, Gid: gid}, nil
}

func lookUp(name string) (uid, gid uint32, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), err
}

// runAs runs this binary again. It is named by /proc/self/exe because the folder that go test builds it
// in is closed to other users.
func runAs(uid, gid uint32, dir string) int {
	args, coverage := translate(os.Args[1:], dir)
	cmd := exec.Command("/proc/self/exe", args...) //nolint:noctx // go test's own timeout ends it
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir, "USER="+account)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: gid},
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is bound to the thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	ended := make(chan struct{})
	go func() {
		cmd.Wait() //nolint:errcheck // the exit code tells
		close(ended)
	}()
	for {
		select {
		case s := <-signals:
			cmd.Process.Signal(s) //nolint:errcheck // it may have ended
		case <-ended:
			if err := coverage(); err != nil {
				return fail(err)
			}
			return cmd.ProcessState.ExitCode()
		}
	}
}

// translate redirects the files that go test asks for and that the unprivileged user may not write; the
// returned function brings a coverage profile to where it was asked for.
func translate(args []string, dir string) (changed []string, deliver func() error) {
	deliver = func() error { return nil }
	outputs := ""
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "-test.outputdir="); ok {
			outputs = v
		}
	}
	for _, a := range slices.Clone(args) {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "-test.testlogfile", "-test.outputdir", "-test.gocoverdir":
			continue
		case "-test.coverprofile":
			there := filepath.Join(dir, "cover.out")
			a = name + "=" + there
			if !filepath.IsAbs(value) {
				value = filepath.Join(outputs, value)
			}
			deliver = func() error { return copyFile(there, value) }
		}
		changed = append(changed, a)
	}
	return changed, deliver
}

func copyFile(from, to string) error {
	in, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.Create(filepath.Clean(to))
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// killBelow kills the processes that work below a folder and names them.
func killBelow(dir string) []string {
	var left []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		at, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || !strings.HasPrefix(at, dir+"/") {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		left = append(left, fmt.Sprintf("%d %s", pid, strings.ReplaceAll(string(line), "\x00", " ")))
		syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
	}
	return left
}
