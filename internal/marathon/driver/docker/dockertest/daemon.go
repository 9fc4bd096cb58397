package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a daemon may take to answer or to end.
const patience = 30 * time.Second

// Daemon is a dockerd of a test.
type Daemon struct {
	Endpoint string
	t        *testing.T
	dir      string
	args     []string
	cmd      *exec.Cmd
	ended    chan struct{}
}

// Start starts a daemon with nothing in it and waits until it answers. It ends with the test. Arguments are those of
// dockerd.
func Start(t *testing.T, args ...string) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(room), "d") //nolint:usetesting // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{Endpoint: "unix://" + dir + "/socket", t: t, dir: dir}
	d.args = append([]string{
		"--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid", "--host", d.Endpoint,
		"--cgroup-parent", groupOf(os.Getenv(room)),
	}, args...)
	d.Begin()
	t.Cleanup(func() {
		if err := d.clear(); err != nil {
			t.Errorf("remove containers: %v", err)
		}
		d.End(syscall.SIGTERM)
	})
	return d
}

// Begin starts the daemon's process, again after End.
func (d *Daemon) Begin() {
	d.t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the daemon has it
	d.cmd = exec.CommandContext(context.Background(), "dockerd", d.args...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait()
	}(d.cmd, d.ended)
	d.await()
}

// await waits until the daemon answers. It tells nobody when it does.
func (d *Daemon) await() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "unix", strings.TrimPrefix(d.Endpoint, "unix://"))
		if err == nil {
			_ = conn.Close()
			if _, err = d.try("version"); err == nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-d.ended:
			d.t.Fatalf("dockerd ended:\n%s", d.log())
		case <-ctx.Done():
			d.t.Fatalf("dockerd does not answer: %v\n%s", err, d.log())
		}
	}
}

// log is the end of what the daemon logged.
func (d *Daemon) log() string {
	text, err := os.ReadFile(filepath.Join(d.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// End ends the daemon's process by a signal and waits for it.
func (d *Daemon) End(s syscall.Signal) {
	d.t.Helper()
	_ = d.cmd.Process.Signal(s)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
		d.t.Errorf("dockerd did not end:\n%s", d.log())
		_ = d.cmd.Process.Kill()
	}
}

// Signal sends the daemon's process a signal, to freeze it say.
func (d *Daemon) Signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// Docker runs the docker command against the daemon and returns what it printed.
func (d *Daemon) Docker(args ...string) string {
	d.t.Helper()
	out, err := d.try(args...)
	if err != nil {
		d.t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (d *Daemon) try(args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.Endpoint)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// clear removes every container and volume.
func (d *Daemon) clear() error {
	for _, kind := range [][]string{{"container", "ls", "-aq"}, {"volume", "ls", "-q"}} {
		list, err := d.try(kind...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, list)
		}
		if ids := strings.Fields(list); len(ids) > 0 {
			if out, err := d.try(append([]string{kind[0], "rm", "-f"}, ids...)...); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
		}
	}
	return nil
}

// Clear removes every container and volume.
func (d *Daemon) Clear() {
	d.t.Helper()
	if err := d.clear(); err != nil {
		d.t.Fatal(err)
	}
}

// Shell imports an image of that name with nothing but a POSIX shell, working in the folder.
func (d *Daemon) Shell(image, folder string) {
	d.t.Helper()
	archive, err := busybox()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.CommandContext(d.t.Context(), "docker", "import", "--change", "WORKDIR "+folder, "-", image)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.Endpoint)
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("import: %v: %s", err, out)
	}
}

// busybox is the file system of a machine that has only that.
func busybox() (io.Reader, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	for _, name := range []string{"sh", "sleep", "cat", "grep", "touch", "rm", "test", "[", "echo", "true", "id", "ls", "nc", "env", "df", "kill", "hostname"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}); err != nil {
		return nil, err
	}
	return &out, w.Close()
}

// Address gives the network of the tests one more address and returns it; it goes with the network.
func Address(t *testing.T, n int) string {
	t.Helper()
	address := fmt.Sprintf("10.91.0.%d", n)
	if err := run("ip", "address", "replace", address+"/32", "dev", "lo"); err != nil {
		t.Fatal(err)
	}
	return address
}
