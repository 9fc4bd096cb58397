package mesostest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// checked is where the checks of an executor knock, whatever the address of its agent: a server that listens at that address
// alone never passes one.
const checked = "127.0.0.1"

// health is what the health check of a task has found.
type health struct {
	since    time.Time
	passed   bool
	failures int // in a row
}

// attend repeats the health check of a task, as its executor does, until its process has ended.
func (m *Master) attend(t *task, process *exec.Cmd, ended <-chan struct{}) {
	h := t.info.HealthCheck
	if h == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.work.Go(func() {
		<-ended
		cancel()
	})
	m.work.Go(func() {
		found := health{since: time.Now()}
		timer := time.NewTimer(seconds(h.DelaySeconds))
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			err := probe(ctx, *h, process)
			if ctx.Err() != nil {
				return
			}
			m.mu.Lock()
			t.felt(*h, &found, err)
			m.mu.Unlock()
			timer.Reset(seconds(h.IntervalSeconds)) // from the end of one to the begin of the next
		}
	})
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// felt tells of the first success, of each failure, and of the first success after one. Failures before the first success do
// not count in the grace period. A task that fails too often is ended.
func (t *task) felt(h wire.HealthCheck, found *health, err error) {
	if t.over || t.state == "TASK_KILLING" {
		return
	}
	healthy := err == nil
	switch {
	case healthy && found.passed && found.failures == 0:
		return
	case healthy:
		found.passed, found.failures = true, 0
	case !found.passed && time.Since(found.since) < seconds(h.GracePeriodSeconds):
		return
	default:
		found.failures++
	}
	message := ""
	if err != nil {
		message = err.Error()
	}
	t.healthy = &healthy
	t.tell("TASK_RUNNING", "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", message)
	if found.failures > 0 && found.failures >= h.ConsecutiveFailures {
		t.kill("", t.grace())
	}
}

// probe does a check once.
func probe(ctx context.Context, h wire.HealthCheck, process *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(h.TimeoutSeconds))
	defer cancel()
	switch {
	case h.Command != nil:
		return run(ctx, *h.Command, process)
	case h.HTTP != nil:
		return get(ctx, *h.HTTP)
	case h.TCP != nil:
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(checked, strconv.Itoa(h.TCP.Port)))
		if err != nil {
			return err
		}
		return conn.Close()
	}
	return errors.New("a check of no kind")
}

// run runs a command as its task does: in the same folder, with the same environment and as the same user.
func run(ctx context.Context, c wire.Command, process *exec.Cmd) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", c.Value)
	if !c.Shell {
		cmd = exec.CommandContext(ctx, c.Value, c.Arguments[min(1, len(c.Arguments)):]...) //nolint:gosec // a test's
	}
	cmd.Dir, cmd.Env = process.Dir, process.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: process.SysProcAttr.Credential}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}

// get asks for a page. Redirects are followed, and certificates are not looked at.
func get(ctx context.Context, p wire.HTTPProbe) error {
	scheme := "http"
	if p.Scheme != "" {
		scheme = p.Scheme
	}
	url := scheme + "://" + net.JoinHostPort(checked, strconv.Itoa(p.Port)) + "/" + strings.TrimPrefix(p.Path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // see above
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode < http.StatusOK || answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("unexpected HTTP response code: %d", answer.StatusCode)
	}
	return nil
}
