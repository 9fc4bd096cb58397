package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// Member is one agent with its server, as they answer themselves.
type Member struct {
	Name      string
	Host      string // node1, …
	Address   string
	Role      cluster.Role
	State     cluster.State
	Timeline  wal.Timeline
	Streaming bool
	// Agent and Postmaster are process numbers, zero where there is no such process.
	Agent, Postmaster int
}

// Picture is what can be seen of a platform from outside at one moment.
type Picture struct {
	// Leader is the content of the leader key, empty when nobody holds it.
	Leader string
	// Members are those whose agents answer, by name.
	Members []Member
	// Etcd are the processes of the etcd members by name.
	Etcd map[string]int
	// Proxy is HAProxy's process, Up that of `pgbaton up`.
	Proxy, Up int
}

// Member finds a member by its name.
func (p Picture) Member(name string) (Member, bool) {
	for _, m := range p.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// Led is the member that holds the leader key; the zero Member when it does not answer.
func (p Picture) Led() Member {
	m, _ := p.Member(p.Leader)
	return m
}

// Followers are the members that do not hold the leader key.
func (p Picture) Followers() []Member {
	return slices.DeleteFunc(slices.Clone(p.Members), func(m Member) bool { return m.Name == p.Leader })
}

// String is the picture in one line.
func (p Picture) String() string {
	var all []string
	for _, m := range p.Members {
		all = append(all, fmt.Sprintf("%s %s %s, timeline %d", m.Name, m.Role, m.State, m.Timeline))
	}
	return fmt.Sprintf("leader %q; %s", p.Leader, strings.Join(all, "; "))
}

// answerWithin bounds one question to an agent or to etcd.
const answerWithin = 2 * time.Second

// Look takes a picture.
func (p *Platform) Look(ctx context.Context) (Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var pic Picture
	key, _, err := p.store.Get(ctx, LeaderKey)
	if err != nil {
		return pic, fmt.Errorf("read the leader key: %w", err)
	}
	pic.Leader = key.Value
	members := p.ask(ctx)
	if err := p.addProcesses(&pic, members); err != nil {
		return pic, err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		pic.Members = append(pic.Members, *members[name])
	}
	return pic, nil
}

// ask asks the agents of all hosts at once; the answers by host.
func (p *Platform) ask(ctx context.Context) map[string]*Member {
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := map[string]*Member{}
	for _, host := range p.layout.Hosts {
		wg.Go(func() {
			s, err := p.peers.Status(ctx, api(host.Address.String())+"/patroni")
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers[host.Name] = member(host.Name, host.Address.String(), s)
		})
	}
	wg.Wait()
	return answers
}

func member(host, at string, s client.Status) *Member {
	return &Member{
		Name: cmp.Or(s.Agent.Name, host), Host: host, Address: at, Role: s.Role, State: s.State, Timeline: s.Timeline,
		Streaming: s.ReplicationState == cluster.ReplicationStreaming,
	}
}

// api is the REST interface of the agent at the address.
func api(at string) string { return "http://" + at + ":8008" }

// addProcesses fills in the process numbers.
func (p *Platform) addProcesses(pic *Picture, members map[string]*Member) error {
	all, err := parts(p.dir)
	if err != nil {
		return err
	}
	pic.Etcd = map[string]int{}
	for _, part := range all {
		switch {
		case part.is("pgbaton", "etcd"):
			pic.Etcd[part.after("--name")] = part.pid
		case part.is("haproxy", ""):
			pic.Proxy = part.pid
		case part.is("pgbaton", "agent"):
			if m := members[part.variable("HOST")]; m != nil {
				m.Agent = part.pid
			}
		}
	}
	for _, server := range postmasters(p.path("state", "tasks", "volumes")) {
		p.sockets[server.sockets] = true
		for _, m := range members {
			if m.Address == server.address {
				m.Postmaster = server.pid
			}
		}
	}
	if p.running.lives() {
		pic.Up = p.running.process.Pid
	}
	return nil
}
