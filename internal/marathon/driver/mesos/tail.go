package mesos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

const (
	// tailBytes and tailLines bound what is shown of a log.
	tailBytes = 2 << 10
	tailLines = 5
	// tailTimeout is how long an agent has to tell it: nothing else depends on it.
	tailTimeout = 3 * time.Second
)

// explain adds the last lines of the log of a task that failed to what is said about it, where its agent tells them.
func (d *Driver) explain(s wire.TaskStatus, at *wire.URL, framework string) wire.TaskStatus {
	ctx, cancel := context.WithTimeout(d.ctx, tailTimeout)
	defer cancel()
	executor := s.TaskID.Value // that of a command
	if s.ExecutorID != nil {
		executor = s.ExecutorID.Value
	}
	// The agent shows sandboxes under this path, wherever they lie (mesos: src/slave/paths).
	sandbox := "/frameworks/" + framework + "/executors/" + executor + "/runs/latest/"
	for _, file := range []string{"stderr", "stdout"} {
		text, err := d.readEnd(ctx, at, sandbox+file)
		if err != nil {
			return s
		}
		if lines := lastLines(text); lines != "" {
			s.Message += ": " + lines
			return s
		}
	}
	return s
}

// readEnd is the end of a file on an agent.
func (d *Driver) readEnd(ctx context.Context, at *wire.URL, path string) (string, error) {
	size, err := d.read(ctx, at, path, -1, -1) // tells how long it is
	if err != nil {
		return "", err
	}
	end, err := d.read(ctx, at, path, max(0, size.Offset-tailBytes), tailBytes)
	return end.Data, err
}

// piece is a part of a file.
type piece struct {
	Data   string `json:"data"`
	Offset int64  `json:"offset"`
}

func (d *Driver) read(ctx context.Context, at *wire.URL, path string, offset, length int64) (p piece, err error) {
	host := at.Address.IP
	if d.cfg.TLS != nil || host == "" {
		host = at.Address.Hostname
	}
	query := url.Values{"path": {path}, "offset": {strconv.FormatInt(offset, 10)}}
	if length > 0 {
		query.Set("length", strconv.FormatInt(length, 10))
	}
	u := url.URL{Scheme: at.Scheme, Host: net.JoinHostPort(host, strconv.Itoa(at.Address.Port)), Path: "/files/read", RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return p, err
	}
	resp, err := d.agentsClient.Do(req)
	if err != nil {
		return p, err
	}
	defer func() { _ = resp.Body.Close() }() // what is left of the body does not matter
	if resp.StatusCode != http.StatusOK {
		return p, fmt.Errorf("the agent answers %s", resp.Status)
	}
	return p, json.NewDecoder(io.LimitReader(resp.Body, 16*tailBytes)).Decode(&p)
}

// lastLines are the last lines of a text, joined by " | ". The first one may have been cut.
func lastLines(text string) string {
	lines := strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(text) >= tailBytes && len(lines) > 1 {
		lines = lines[1:]
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], " | ")
}
