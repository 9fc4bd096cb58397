package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The two kinds of synchronous replication, as the dynamic configuration has them and as GET /cluster calls the members
// that take part.
const (
	syncMode, syncRole     = `true`, "sync_standby"
	quorumMode, quorumRole = `"quorum"`, "quorum_standby"
)

// switchoverSync hands the lead over while commits wait for one chosen standby.
func switchoverSync(ctx context.Context, l *lab, f figures) error {
	return l.synchronously(ctx, syncMode, func(ctx context.Context) error {
		return l.handOver(ctx, f, "switchover_sync", syncRole, 1)
	})
}

// switchoverQuorum hands the lead over while commits wait for any standby, where the subject knows that.
func switchoverQuorum(ctx context.Context, l *lab, f figures) error {
	if !l.subject.quorum {
		return nil
	}
	return l.synchronously(ctx, quorumMode, func(ctx context.Context) error {
		return l.handOver(ctx, f, "switchover_quorum", quorumRole, len(l.Names())-1)
	})
}

// synchronously turns synchronous mode on for a deed.
func (l *lab) synchronously(ctx context.Context, mode string, deed func(context.Context) error) error {
	if err := l.whole(ctx); err != nil {
		return err
	}
	if err := l.send(ctx, http.MethodPatch, "/config", `{"synchronous_mode": `+mode+`}`); err != nil {
		return err
	}
	err := deed(ctx)
	return errors.Join(err, l.whole(ctx), l.send(ctx, http.MethodPatch, "/config", `{"synchronous_mode": false}`))
}

// handOver hands the lead to a synchronous standby, once there are so many of them. No acknowledged row may be lost.
func (l *lab) handOver(ctx context.Context, f figures, key, role string, count int) error {
	if err := l.write(ctx); err != nil {
		return err
	}
	if _, err := l.inRole(ctx, role, count); err != nil {
		return err
	}
	gap, err := l.outage(ctx, func() error {
		names, err := l.inRole(ctx, role, count)
		if err != nil {
			return err
		}
		return l.send(ctx, http.MethodPost, "/switchover", fmt.Sprintf(`{"leader": %q, "candidate": %q}`, l.leader, names[0]))
	})
	if err != nil {
		return err
	}
	f[key] = gap.Length().Seconds()
	_, err = l.writer.Audit(ctx, nil)
	return err
}

// inRole waits until the leader says that so many members have the role, and names them.
func (l *lab) inRole(ctx context.Context, role string, count int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeWithin)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		_, text, err := l.Send(ctx, l.leader, http.MethodGet, "/cluster", "")
		var names []string
		if err == nil {
			names, err = namesInRole(text, role)
		}
		if err == nil && len(names) == count {
			return names, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %d members as %s: %s: %w", count, role, strings.TrimSpace(text), errors.Join(context.Cause(ctx), err))
		}
	}
}

// namesInRole are the members with the role in the answer to GET /cluster.
func namesInRole(answer, role string) ([]string, error) {
	var all struct {
		Members []struct{ Name, Role string }
	}
	if err := json.Unmarshal([]byte(answer), &all); err != nil {
		return nil, fmt.Errorf("read the answer to GET /cluster: %w", err)
	}
	var names []string
	for _, m := range all.Members {
		if m.Role == role {
			names = append(names, m.Name)
		}
	}
	return names, nil
}
