package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Bounds on write outages, generous. The lease is what a member that dies without a word costs.
const (
	unnoticed = 5 * time.Second
	briefly   = 10 * time.Second
	oneLease  = 45 * time.Second // ttl and half of it
)

// KillPostmaster kills the leader's PostgreSQL; it must serve again in place.
func KillPostmaster() Fault {
	return Fault{
		Name: "the leader's PostgreSQL is killed", Limit: briefly,
		strike: func(_ context.Context, p *Platform, before Picture) (string, error) {
			m := before.Led()
			return "kill -9 of the postmaster of " + m.Name, kill(p.dir, m.Postmaster)
		},
		promise: func(before, after Picture) error {
			if after.Led().Postmaster == before.Led().Postmaster {
				return errors.New("the killed postmaster is still there")
			}
			return nil
		},
	}
}

// KillMember kills the leader's agent and PostgreSQL; another member must lead, and it must come back as a replica.
func KillMember() Fault {
	return Fault{
		Name: "the leader's agent and PostgreSQL are killed", Loses: true, Moves: true, Limit: oneLease,
		strike: func(_ context.Context, p *Platform, before Picture) (string, error) {
			m := before.Led()
			return "kill -9 of the agent and the postmaster of " + m.Name, kill(p.dir, m.Agent, m.Postmaster)
		},
		promise: func(before, after Picture) error { return cameBack(before.Leader, after) },
	}
}

// KillAgent kills the leader's agent; the next one must adopt the server that runs.
func KillAgent() Fault {
	return Fault{
		Name: "the leader's agent is killed, its PostgreSQL goes on", Limit: unnoticed,
		strike: func(_ context.Context, p *Platform, before Picture) (string, error) {
			m := before.Led()
			return "kill -9 of the agent of " + m.Name, kill(p.dir, m.Agent)
		},
		promise: func(before, after Picture) error {
			was, is := before.Led(), after.Led()
			if is.Agent == was.Agent {
				return errors.New("the killed agent is still there")
			}
			if is.Postmaster != was.Postmaster {
				return errors.New("PostgreSQL was started again instead of being adopted")
			}
			return nil
		},
	}
}

// KillHost cuts the power of the leader's host; another member must lead.
func KillHost() Fault {
	return Fault{
		Name: "the leader's host loses its power", Loses: true, Moves: true, Limit: oneLease,
		strike: func(ctx context.Context, p *Platform, before Picture) (string, error) {
			host := before.Led().Host
			p.dark[host] = true
			_, err := p.Command(ctx, "", "host", "kill", host)
			return "pgbaton host kill " + host, err
		},
		promise: func(before, after Picture) error {
			if _, there := after.Member(before.Leader); there {
				return fmt.Errorf("%s answers without power", before.Leader)
			}
			return nil
		},
	}
}

// StartHost restores the power of all hosts; their members must come back as replicas.
func StartHost() Fault {
	return Fault{
		Name: "the host gets its power back", Limit: unnoticed,
		strike: func(ctx context.Context, p *Platform, _ Picture) (string, error) {
			hosts := slices.Sorted(maps.Keys(p.dark))
			for _, host := range hosts {
				if _, err := p.Command(ctx, "", "host", "start", host); err != nil {
					return "", err
				}
			}
			clear(p.dark)
			return "pgbaton host start " + strings.Join(hosts, " "), nil
		},
	}
}

// Switchover hands the lead to a replica.
func Switchover() Fault {
	return manual("the lead is handed over as planned", "switchover", func(leader, candidate string) []string {
		return []string{"switchover", "--leader", leader, "--candidate", candidate, "--force"}
	})
}

// Failover makes a replica the leader by the command for emergencies, while the leader is well.
func Failover() Fault {
	return manual("a failover is asked for", "failover", func(_, candidate string) []string {
		return []string{"failover", "--candidate", candidate, "--force"}
	})
}

func manual(name, command string, args func(leader, candidate string) []string) Fault {
	candidate := ""
	return Fault{
		Name: name, Moves: true, Limit: briefly,
		strike: func(ctx context.Context, p *Platform, before Picture) (string, error) {
			candidate = before.Followers()[0].Name
			typed := args(before.Leader, candidate)
			output, err := p.Command(ctx, "", typed...)
			if err == nil && !strings.Contains(output, "Successfully") {
				err = fmt.Errorf("the %s did not succeed: %s", command, output)
			}
			return "pgbaton " + strings.Join(typed, " "), err
		},
		promise: func(before, after Picture) error {
			if after.Leader != candidate {
				return fmt.Errorf("%s leads, not the candidate %s", after.Leader, candidate)
			}
			return cameBack(before.Leader, after)
		},
	}
}

// Scale changes the number of instances.
func Scale(n int) Fault {
	return Fault{
		Name: fmt.Sprintf("the app is scaled to %d instances", n), Limit: unnoticed,
		strike: func(ctx context.Context, p *Platform, _ Picture) (string, error) {
			body := fmt.Sprintf(`{"instances": %d}`, n)
			code, text, err := p.Send(ctx, http.MethodPatch, p.URLs().Marathon+AppPath, body)
			if err == nil && (code != http.StatusOK || !strings.Contains(text, "deploymentId")) {
				err = fmt.Errorf("PATCH is answered with %d: %s", code, text)
			}
			p.instances = n
			return "PATCH " + AppPath + " " + body, err
		},
		promise: func(before, after Picture) error {
			if before.Led().Postmaster != after.Led().Postmaster {
				return errors.New("the leader's PostgreSQL was started again")
			}
			return nil
		},
	}
}

// KillEtcd kills the etcd member that leads its own cluster; it must come back.
func KillEtcd() Fault {
	victim := ""
	return Fault{
		Name: "the leading etcd member is killed", Limit: unnoticed,
		strike: func(ctx context.Context, p *Platform, before Picture) (string, error) {
			var err error
			if victim, err = p.leadingEtcd(ctx); err != nil {
				return "", err
			}
			return "kill -9 of " + victim, kill(p.dir, before.Etcd[victim])
		},
		promise: func(before, after Picture) error {
			if after.Etcd[victim] == before.Etcd[victim] {
				return errors.New("the killed etcd member is still there")
			}
			return untouched(before, after)
		},
	}
}

// leadingEtcd asks the etcd members which of them leads.
func (p *Platform) leadingEtcd(ctx context.Context) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{Endpoints: p.layout.EtcdEndpoints(), Logger: zap.NewNop()})
	if err != nil {
		return "", fmt.Errorf("ask etcd who leads: %w", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for i, endpoint := range p.layout.EtcdEndpoints() {
		s, err := c.Status(ctx, endpoint)
		if err != nil {
			return "", fmt.Errorf("ask etcd who leads: %w", err)
		}
		if s.Leader == s.Header.MemberId {
			return p.layout.Etcd[i].Name, nil
		}
	}
	return "", errors.New("no etcd member says that it leads")
}

// KillProxy kills HAProxy; it must come back.
func KillProxy() Fault {
	return Fault{
		Name: "HAProxy is killed", Limit: briefly,
		strike: func(_ context.Context, p *Platform, before Picture) (string, error) {
			return "kill -9 of HAProxy", kill(p.dir, before.Proxy)
		},
		promise: func(before, after Picture) error {
			if after.Proxy == before.Proxy {
				return errors.New("the killed HAProxy is still there")
			}
			return untouched(before, after)
		},
	}
}

// KillUp kills the program itself and starts it again; everything it started must go on and be adopted.
func KillUp() Fault {
	return Fault{
		Name: "pgbaton up itself is killed and started again", Limit: unnoticed,
		strike: func(ctx context.Context, p *Platform, _ Picture) (string, error) {
			if err := p.running.kill(); err != nil {
				return "", err
			}
			// Without it databases and routing go on.
			if _, err := serverBehind(ctx, p.URLs().Write); err != nil {
				return "", fmt.Errorf("connect while pgbaton up is dead: %w", err)
			}
			return "kill -9 of pgbaton up, then pgbaton up again", p.launch()
		},
		promise: func(before, after Picture) error {
			if after.Up == before.Up {
				return errors.New("the killed pgbaton up is still there")
			}
			if after.Proxy != before.Proxy || !maps.Equal(after.Etcd, before.Etcd) {
				return errors.New("HAProxy or an etcd member was started again instead of being adopted")
			}
			return untouched(before, after)
		},
	}
}

// untouched makes sure that all members' processes are still the same.
func untouched(before, after Picture) error {
	for _, was := range before.Members {
		is, _ := after.Member(was.Name)
		if is.Agent != was.Agent || is.Postmaster != was.Postmaster {
			return fmt.Errorf("%s was started again", was.Name)
		}
	}
	return nil
}

// cameBack makes sure that a member is there; that it streams is the platform's being whole.
func cameBack(name string, after Picture) error {
	if _, there := after.Member(name); !there {
		return fmt.Errorf("%s did not come back", name)
	}
	return nil
}
