package haproxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/pgbaton/pgbaton/internal/process"
)

// record is what we know of the HAProxy that was started in the directory, for whoever comes after us.
type record struct {
	PID int `json:"pid"`
	// Started is the start time of the process, in ticks; see process.Ticks.
	Started int64 `json:"started"`
	// Config is the fingerprint of the configuration it was started with.
	Config string `json:"config"`
}

func fingerprint(config string) string {
	sum := sha256.Sum256([]byte(config))
	return hex.EncodeToString(sum[:])
}

func writeRecord(path string, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// readRecord returns the record; the bool is false when there is none or it cannot be read, which only
// means that the process is looked for through its socket.
func readRecord(path string) (record, bool) {
	text, err := os.ReadFile(path) //nolint:gosec // our own file
	if err != nil {
		return record{}, false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.PID <= 0 {
		return record{}, false
	}
	return r, true
}

// find takes hold of the HAProxy that a former run left in the directory, nil when there is none, and
// tells the fingerprint of the configuration it runs with: empty when that is not known or it does not
// answer any more, so that it fits nothing and is replaced.
func (p *Process) find(ctx context.Context) (*running, string) {
	known, recorded := readRecord(p.cfg.path(recordFile))
	pid, err := p.socket.pid(ctx)
	answers := err == nil
	if !answers {
		pid = known.PID
	}
	if !answers && !recorded {
		return nil, ""
	}
	r, err := hold(pid)
	if err != nil {
		return nil, ""
	}
	started, err := process.Ticks(pid)
	same := recorded && known.PID == pid && known.Started == started
	switch {
	case err == nil && same && answers:
		return r, known.Config
	case err == nil && (same || p.isOurs(ctx, pid)):
		return r, ""
	}
	r.release()
	return nil, ""
}

// isOurs reports whether the process is the one that answers on the socket in our directory.
func (p *Process) isOurs(ctx context.Context, pid int) bool {
	got, err := p.socket.pid(ctx)
	return err == nil && got == pid
}

// pid asks HAProxy for its process.
func (r runtime) pid(ctx context.Context) (int, error) {
	answer, err := r.ask(ctx, "show info")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(answer) {
		if value, ok := strings.CutPrefix(line, "Pid: "); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, errors.New("HAProxy does not say which process it is")
}
