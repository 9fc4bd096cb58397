package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgbaton/pgbaton/internal/guc"
)

// SyncNames is what a server's synchronous_standby_names shall be. Where it is not Managed, the operator's own
// configuration decides.
type SyncNames struct {
	Managed bool
	Text    string
}

const syncNamesName = "synchronous_standby_names"

// namesMark begins the part of the configuration file that says whom commits wait for. Its line is there even where that
// is nobody: a file included before it may have another idea.
const namesMark = "# Whom commits wait for.\n"

func (n SyncNames) section() string {
	if !n.Managed {
		return ""
	}
	return "\n" + namesMark + guc.Settings{syncNamesName: n.Text}.Render()
}

// readNames finds in a configuration file written by an agent whom commits wait for.
func readNames(content string) SyncNames {
	_, section, managed := strings.Cut(content, namesMark)
	line, _, _ := strings.Cut(section, "\n")
	_, quoted, _ := strings.Cut(line, " = ")
	text, _ := guc.Unquote(quoted)
	return SyncNames{Managed: managed, Text: text}
}

// mostSync bounds the number of standbys that can be waited for: PostgreSQL counts them in 32 bits.
const mostSync = 1<<31 - 1

// checked returns the names as they are written, or why PostgreSQL would not take them. It is asked by nobody else before
// they replace a value that works.
func (n SyncNames) checked() (SyncNames, error) {
	if !n.Managed {
		return SyncNames{}, nil
	}
	parsed, err := guc.ParseSyncNames(n.Text)
	if err != nil {
		return n, fmt.Errorf("set %s: %w", syncNamesName, err)
	}
	if parsed.Num > mostSync {
		return n, fmt.Errorf("set %s: %d standbys are more than PostgreSQL can count", syncNamesName, parsed.Num)
	}
	return SyncNames{Managed: true, Text: parsed.String()}, nil
}

// SetSyncNames makes the server's commits wait for the named standbys, and returns when every process of the server goes by
// it: a commit that begins later waits, and no process that sends WAL releases it for anybody else. Called again for what
// is so already, it asks one question. It works on a standby too, which commits nothing before its promotion.
//
// The value outlives the server and the agent: it is written into postgresql.conf, and what the operator configured does not
// count, nor what ALTER SYSTEM left, until names that are not Managed give it back. Starting as a standby, or following
// somebody else, makes it wait for nobody.
//
// An error means that it is not known what the server goes by, whatever Status shows of one of its processes; call again.
// Errors: ErrBusy, ErrNotRunning, ErrNoCluster. It takes two to ten milliseconds, but as long as the checkpointer is kept
// by a disk where nobody was waited for before. A text that PostgreSQL would refuse changes nothing.
func (s *Server) SetSyncNames(ctx context.Context, n SyncNames) error {
	n, err := n.checked()
	if err != nil {
		return err
	}
	pm := s.postmaster()
	if pm == nil && n.Managed {
		return fmt.Errorf("set %s: %w", syncNamesName, ErrNotRunning)
	}
	changed, err := s.writeNames(ctx, n)
	if err != nil {
		return fmt.Errorf("set %s: %w", syncNamesName, err)
	}
	if pm == nil || !n.Managed && !changed {
		return nil
	}
	if err := s.spread(ctx, pm, n, changed); err != nil {
		return fmt.Errorf("set %s: %w", syncNamesName, err)
	}
	return nil
}

// writeNames brings the files in line; the caller's text is one that PostgreSQL takes. The job slot is held for that only:
// the waiting that follows must not keep a server from being stopped.
func (s *Server) writeNames(ctx context.Context, n SyncNames) (changed bool, err error) {
	leave, err := s.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	before := s.current()
	if before.names == n {
		if !n.Managed {
			return false, nil
		}
		return cleanAuto(s.dir, true)
	}
	after := before
	after.names = n
	if changed, err = s.replaceNames(ctx, before, after); err != nil {
		return changed, err
	}
	// A machine that loses power must not come back with the names of before: others rely on these.
	return true, syncDir(s.dir)
}

// replaceNames writes the configuration. Where nothing but the names differs from what is there, PostgreSQL need not be
// asked for its opinion, which takes longer than all the rest.
func (s *Server) replaceNames(ctx context.Context, before, after following) (changed bool, err error) {
	plan, settings, err := s.wanted(ctx, after)
	if err != nil {
		return false, err
	}
	files := s.files(s.dir)
	conf, header := files.conf, confHeader(files.included(settings))
	if !after.names.Managed || !holds(conf, header+renderConf(plan, before)) {
		return s.configure(ctx, s.dir, after)
	}
	if _, err := cleanAuto(s.dir, true); err != nil {
		return false, err
	}
	s.forgetSpread(after.names)
	return writeFile(conf, header+renderConf(plan, after))
}

// EmitWAL writes a record that changes nothing and waits until it is safe on disk, here and nowhere else. A standby refuses.
func (s *Server) EmitWAL(ctx context.Context) error {
	pm := s.postmaster()
	if pm == nil {
		return fmt.Errorf("write a record: %w", ErrNotRunning)
	}
	var at string
	if err := s.query1(ctx, pm, "SELECT pg_logical_emit_message(true, 'pgbaton', '')::text", &at); err != nil {
		return fmt.Errorf("write a record: %w", err)
	}
	return nil
}
