package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// Look takes a picture: all members whose agents answer, and who holds the leader key. The error says that the key could
// not be read, as while etcd is down; the picture has the members all the same.
func (a *Agents) Look(ctx context.Context) (Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	pic := Picture{Etcd: map[string]int{}}
	answers := make([]*Member, len(a.members))
	var asking sync.WaitGroup
	for i, m := range a.members {
		asking.Go(func() {
			if s, err := a.peers.Status(ctx, a.api(m.address)+"/patroni"); err == nil {
				answers[i] = member(m.name, m.address.String(), s)
			}
		})
	}
	key, _, err := a.store.Get(ctx, LeaderKey)
	asking.Wait()
	pic.Leader = key.Value
	for i, m := range a.members {
		if answers[i] == nil || !m.agent.lives() {
			continue
		}
		answers[i].Agent, answers[i].Postmaster = m.agent.process.Pid, a.Postmaster(m.name)
		pic.Members = append(pic.Members, *answers[i])
	}
	for name, process := range a.etcd {
		if process.lives() {
			pic.Etcd[name] = process.process.Pid
		}
	}
	a.complete(ctx, &pic)
	if err != nil {
		return pic, fmt.Errorf("read the leader key: %w", err)
	}
	return pic, nil
}

// Await looks until the condition holds, and returns that picture. It gives up when an agent ends that was not told to.
// The error of a wait in vain says what was missing last.
func (a *Agents) Await(ctx context.Context, met func(Picture) error) (Picture, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	began := time.Now()
	for {
		pic, blind := a.Look(ctx)
		why := met(pic)
		if why == nil {
			return pic, nil
		}
		if err := a.endedEarly(); err != nil {
			return pic, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return pic, fmt.Errorf("not there after %s: %w (%s)", time.Since(began).Round(time.Second), errors.Join(why, blind), pic)
		}
	}
}

// Whole is the condition that somebody leads, and all other members whose agents run stream from it.
func (a *Agents) Whole(pic Picture) error {
	for _, m := range a.members {
		if _, answers := pic.Member(m.name); !answers && m.agent.lives() && !m.frozen {
			return fmt.Errorf("%s does not answer", m.name)
		}
	}
	return orderly(pic)
}

// Leads is the condition that the named member leads and all is whole.
func (a *Agents) Leads(name string) func(Picture) error {
	return func(pic Picture) error {
		if pic.Leader != name {
			return fmt.Errorf("%q leads and not %s", pic.Leader, name)
		}
		return a.Whole(pic)
	}
}

// Connect connects to the server of a member as the superuser.
func (a *Agents) Connect(ctx context.Context, name string) (*pgx.Conn, error) {
	m, err := a.member(name)
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, "postgres://postgres:"+agentsPassword+"@"+m.address.String()+":5432/postgres?sslmode=disable")
}

// SQL asks the server of a member one question with one value for an answer, in its text form. A statement without an
// answer returns an empty text.
func (a *Agents) SQL(ctx context.Context, name, sql string) (text string, err error) {
	conn, err := a.Connect(ctx, name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	for _, r := range results {
		if len(r.Rows) > 0 && len(r.Rows[0]) > 0 {
			text = string(r.Rows[0][0])
		}
	}
	return text, nil
}

// Send sends one request to the REST API of a member, with a JSON text unless that is empty, and returns code and body.
func (a *Agents) Send(ctx context.Context, name, method, path, body string) (int, string, error) {
	m, err := a.member(name)
	if err != nil {
		return 0, "", err
	}
	return sendTo(ctx, a.http, method, a.api(m.address)+path, body)
}

// Configure patches the dynamic configuration through the REST API of a member.
func (a *Agents) Configure(ctx context.Context, name, patch string) error {
	code, text, err := a.Send(ctx, name, http.MethodPatch, "/config", patch)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("PATCH /config of %s: %d %s", name, code, text)
	}
	return err
}

// Document is the content of a key of the cluster, such as "members/n1"; empty when there is none.
func (a *Agents) Document(ctx context.Context, key string) (string, error) {
	pair, _, err := a.store.Get(ctx, Prefix+key)
	return pair.Value, err
}

// Role is the condition that a member says it has this role and runs.
func Role(name string, role cluster.Role) func(Picture) error {
	return func(pic Picture) error {
		m, answers := pic.Member(name)
		if !answers || m.Role != role || m.State != cluster.StateRunning {
			return fmt.Errorf("%s is %s, %s and not %s, running", name, m.Role, m.State, role)
		}
		return nil
	}
}
