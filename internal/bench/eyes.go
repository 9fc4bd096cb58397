package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

const (
	// lookEvery is the pause between two looks, and how exact a time is that ends with one.
	lookEvery = 10 * time.Millisecond
	// answerWithin bounds one question to a server.
	answerWithin = time.Second
)

// view is what the servers say themselves.
type view struct {
	primaries []string
	standbys  int
	// streaming is how many members stream from the primary.
	streaming int
}

// eyes look at the servers with SQL alone, over connections that stay open.
type eyes struct {
	agents *chaos.Agents
	conns  map[string]*pgx.Conn
}

func open(a *chaos.Agents) *eyes { return &eyes{agents: a, conns: map[string]*pgx.Conn{}} }

func (e *eyes) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	for name, c := range e.conns {
		c.Close(ctx) //nolint:errcheck // only read
		delete(e.conns, name)
	}
}

// look asks all servers. One that does not answer is in no count.
func (e *eyes) look(ctx context.Context) view {
	var v view
	for _, name := range e.agents.Names() {
		standby, streaming, err := e.ask(ctx, name)
		switch {
		case err != nil:
		case standby:
			v.standbys++
		default:
			v.primaries = append(v.primaries, name)
			v.streaming = streaming
		}
	}
	return v
}

// question leaves out the stream of a base backup that is under way, whose application is not a member.
const question = "select pg_is_in_recovery(), (select count(*) from pg_stat_replication where state = 'streaming' and application_name = any($1))"

func (e *eyes) ask(ctx context.Context, name string) (standby bool, streaming int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn := e.conns[name]
	if conn == nil || conn.IsClosed() {
		if conn, err = e.agents.Connect(ctx, name); err != nil {
			return false, 0, err
		}
		e.conns[name] = conn
	}
	err = conn.QueryRow(ctx, question, e.agents.Names()).Scan(&standby, &streaming)
	return standby, streaming, err
}

// whole waits until one server is a primary and all others stream from it, and returns its name.
func (e *eyes) whole(ctx context.Context) (string, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	others := len(e.agents.Names()) - 1
	for {
		v := e.look(ctx)
		if len(v.primaries) == 1 && v.standbys == others && v.streaming == others {
			return v.primaries[0], nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return "", fmt.Errorf("wait for one primary and %d streaming standbys, there are %q, %d and %d streaming: %w",
				others, v.primaries, v.standbys, v.streaming, errors.Join(context.Cause(ctx), e.holder(ctx)))
		}
	}
}

// holder names who holds the leader key, as an error that helps to see why nobody leads.
func (e *eyes) holder(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	key, err := e.agents.Document(ctx, "leader")
	if err != nil {
		return fmt.Errorf("read the leader key: %w", err)
	}
	return fmt.Errorf("the leader key has %q", key)
}
