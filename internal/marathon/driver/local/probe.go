package local

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// prober runs checks as their task would.
type prober struct {
	dir        string
	env        []string
	credential *syscall.Credential
}

// repeat runs a check again and again, each result counted from the begin of its run.
func (p prober) repeat(ctx context.Context, index int, c check, results chan<- result) {
	timer := time.NewTimer(c.Delay)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(c.Interval)
		err := p.probe(ctx, c)
		if errors.Is(err, errSkipped) {
			continue
		}
		r := result{index: index, ok: err == nil}
		if err != nil {
			r.why = err.Error()
		}
		select {
		case results <- r:
		case <-ctx.Done():
			return
		}
	}
}

var (
	errSkipped = errors.New("an informational answer, which says nothing")
	errTooLong = errors.New("no answer in time")
)

// probe runs a check once.
func (p prober) probe(ctx context.Context, c check) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTooLong)
	defer cancel()
	var err error
	switch c.Protocol {
	case app.ProtocolCommand:
		err = p.command(ctx, c.Command)
	case app.ProtocolMesosHTTP:
		err = get(ctx, "http://"+c.Address+c.Path, c.Skip1xx)
	case app.ProtocolMesosHTTPS:
		err = get(ctx, "https://"+c.Address+c.Path, c.Skip1xx)
	case app.ProtocolMesosTCP:
		err = connect(ctx, c.Address)
	case app.ProtocolHTTP, app.ProtocolHTTPS, app.ProtocolTCP:
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lastWords bounds what is told of the output of a command.
const lastWords = 200

// command runs a shell command in the folder and with the environment and the user of the task. One that takes too long is
// ended with everything that it started.
func (p prober) command(ctx context.Context, line string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: p.credential}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out tailBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return errors.New(strings.TrimSuffix(exit.Error()+": "+out.String(), ": "))
	}
	return err
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct{ kept []byte }

// Write implements io.Writer.
func (b *tailBuffer) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p...)
	b.kept = bytes.Clone(b.kept[max(0, len(b.kept)-lastWords):])
	return len(p), nil
}

func (b *tailBuffer) String() string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(b.kept), "?")), " ")
}

func connect(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// get asks on a connection of its own. 200 to 399 is healthy, redirects are not followed and certificates not verified: the
// question is whether it serves.
func get(ctx context.Context, url string, skip bool) error {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if skip {
				return errSkipped
			}
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	return nil
}
