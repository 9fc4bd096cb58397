package embedded

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// worthSaying are the lines below error level that an operator can act on: a slow or full disk, a clock
// or an address that is wrong, a member that is gone or back. The rest of what etcd writes is how it
// deals with those by itself.
var worthSaying = []string{
	"80% of file descriptors are used",
	"compaction encountered error",
	"data-dir used by this member must be removed",
	"failed auto periodic compaction",
	"failed to defragment",
	"leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk",
	"message exceeded backend quota; raising alarm",
	"peer became active",
	"peer became inactive (message send to peer failed)",
	"prober found high clock drift",
	"request cluster ID mismatch",
	"request sent was ignored by remote peer due to cluster ID mismatch",
	"request sent was ignored by remote peer due to server version incompatibility",
	"slow fdatasync",
}

// noErrors are what etcd writes as errors when nothing is wrong: the first when a new cluster is too young
// to be upgraded, the second whenever it closes; a listener that fails in earnest is told by Err.
var noErrors = []string{
	"failed to update storage version",
	"setting up serving from embedded etcd failed.",
}

// bridge carries etcd's log lines over to another logger.
type bridge struct {
	to *slog.Logger
	// closing is closed when the member is closed; what happens from then on is meant to happen.
	closing <-chan struct{}
	// members holds the cluster once the member runs, to write names instead of numbers.
	members atomic.Pointer[membership.RaftCluster]
}

// logger returns what etcd writes to.
func (b *bridge) logger() *zap.Logger {
	return zap.New(&core{bridge: b})
}

// core implements zapcore.Core.
type core struct {
	*bridge

	fields []zapcore.Field
}

// Enabled implements zapcore.Core.
func (c *core) Enabled(level zapcore.Level) bool {
	return level >= zapcore.InfoLevel
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{bridge: c.bridge, fields: slices.Concat(c.fields, fields)}
}

// Check implements zapcore.Core.
func (c *core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	isError := entry.Level >= zapcore.ErrorLevel && !slices.Contains(noErrors, entry.Message)
	isNews := slices.Contains(worthSaying, entry.Message) && !c.isClosing()
	if isError || isNews {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *core) isClosing() bool {
	select {
	case <-c.closing:
		return true
	default:
		return false
	}
}

// Write implements zapcore.Core.
func (c *core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelInfo
	switch {
	case entry.Level >= zapcore.ErrorLevel:
		level = slog.LevelError
	case entry.Level == zapcore.WarnLevel:
		level = slog.LevelWarn
	}
	values := zapcore.NewMapObjectEncoder()
	for _, field := range slices.Concat(c.fields, fields) {
		field.AddTo(values)
	}
	attrs := []slog.Attr{slog.String("says", entry.Message)}
	for _, key := range slices.Sorted(maps.Keys(values.Fields)) {
		attrs = append(attrs, c.attr(key, values.Fields[key]))
	}
	c.to.LogAttrs(context.Background(), level, "etcd speaks", attrs...)
	return nil
}

// attr renders one field; the number of another member becomes its name.
func (c *core) attr(key string, value any) slog.Attr {
	if text, ok := value.(string); ok && strings.HasSuffix(key, "peer-id") {
		if name := c.nameOf(text); name != "" {
			return slog.String("peer", name)
		}
	}
	return slog.Any(strings.ReplaceAll(key, "-", "_"), value)
}

// nameOf returns the name of a member, empty when it is not known.
func (c *core) nameOf(text string) string {
	id, err := types.IDFromString(text)
	members := c.members.Load()
	if err != nil || members == nil {
		return ""
	}
	if member := members.Member(id); member != nil {
		return member.Name
	}
	return ""
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return nil }
