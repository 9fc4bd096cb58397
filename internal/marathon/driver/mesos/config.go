package mesos

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// Config says which Mesos and as whom. Masters or Find is required.
type Config struct {
	Masters []string                                  // host:port of each
	Find    func(ctx context.Context) (string, error) // where the leading master is, instead of Masters
	TLS     *tls.Config                               // nil: plain HTTP
	// Dial connects to masters; nil: as usual.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Name      string // of the framework; "pgbaton" by default
	Role      string // "*" by default, with which nothing can be reserved
	User      string // tasks run as, where their definition names none; root by default
	Principal string
	Secret    secret.Text
	Hostname  string // of this scheduler, the machine's own name by default
	WebUI     string // URL that Mesos' pages link to
	GPUs      bool   // also use agents with GPUs
	// Env is given to every task below its own variables. Who may ask Mesos about a task reads it there.
	Env map[string]string
	// FailoverTimeout is how long the framework may be away before Mesos kills its tasks; a week by default.
	FailoverTimeout time.Duration
	// Hold is how long an offer that nobody uses is kept before other frameworks get their turn; 1 min by default.
	Hold time.Duration
	// Idle is how long after the last question for offers they are given back; 30 s by default.
	Idle time.Duration
	// LeastPause and MostPause bound the pause before another attempt to subscribe; see [session.Config].
	LeastPause, MostPause time.Duration
}

const (
	defaultFailover = 7 * 24 * time.Hour
	defaultIdle     = 30 * time.Second
	defaultHold     = time.Minute
	anyRole         = "*"
)

func (c Config) complete() (Config, error) {
	if len(c.Masters) == 0 && c.Find == nil {
		return c, errors.New("no Mesos master is named")
	}
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "localhost"
	}
	c.Name, c.Role, c.User = cmp.Or(c.Name, "pgbaton"), cmp.Or(c.Role, anyRole), cmp.Or(c.User, "root")
	c.Hostname = cmp.Or(c.Hostname, hostname)
	c.FailoverTimeout, c.Idle = cmp.Or(c.FailoverTimeout, defaultFailover), cmp.Or(c.Idle, defaultIdle)
	c.Hold = cmp.Or(c.Hold, defaultHold)
	return c, nil
}

// framework is how we introduce ourselves.
func (c Config) framework(id string) wire.FrameworkInfo {
	info := wire.FrameworkInfo{
		User: c.User, Name: c.Name, Roles: []string{c.Role}, FailoverTimeout: c.FailoverTimeout.Seconds(), Checkpoint: true,
		Principal: c.Principal, Hostname: c.Hostname, WebUIURL: c.WebUI,
		Capabilities: []wire.Capability{
			{Type: "MULTI_ROLE"}, {Type: "RESERVATION_REFINEMENT"}, {Type: "PARTITION_AWARE"}, {Type: "TASK_KILLING_STATE"}, {Type: "REGION_AWARE"},
		},
	}
	if c.GPUs {
		info.Capabilities = append(info.Capabilities, wire.Capability{Type: "GPU_RESOURCES"})
	}
	if id != "" {
		info.ID = &wire.ID{Value: id}
	}
	return info
}

func (c Config) session(framework string) session.Config {
	return session.Config{
		Find: c.Find, Masters: c.Masters, Framework: c.framework(framework), Principal: c.Principal, Secret: c.Secret, TLS: c.TLS, Dial: c.Dial,
		LeastPause: c.LeastPause, MostPause: c.MostPause,
	}
}
