package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

// What asking for a cluster can come to.
var (
	errNoCluster = errors.New("no PostgreSQL app has that id")
	errUnled     = errors.New("nobody leads beyond doubt")
)

// clustersAtOnce is how many clusters are asked at the same time: a thousand of them must not open thousands of connections.
const clustersAtOnce = 64

// Clusters asks the members of all PostgreSQL apps for their roles and says what they answer, sorted by id. Whoever has not
// answered within two seconds has said nothing.
func (s *Scheduler) Clusters(ctx context.Context) []app.Cluster {
	p := s.picture.Load()
	parts := p.databases()
	list := make([]app.Cluster, len(parts))
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	var wg sync.WaitGroup
	free := make(chan struct{}, clustersAtOnce)
	for n, id := range slices.Sorted(maps.Keys(parts)) {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			list[n] = clusterOf(p.alone(id, parts[id], s.answers(ctx, askable(parts[id]))))
		})
	}
	wg.Wait()
	return list
}

// IsCluster reports whether an id is that of a PostgreSQL app, or of a deleted one of which some is left.
func (s *Scheduler) IsCluster(id app.ID) bool {
	_, known := s.picture.Load().databases()[id]
	return known
}

// Cluster asks the members of a PostgreSQL app for their roles and says what they answer.
func (s *Scheduler) Cluster(ctx context.Context, id app.ID) (app.Cluster, error) {
	v, err := s.look(ctx, id)
	return v.cluster, err
}

// look asks the members of a cluster, outside of the loop: an agent that does not answer must not hold up anybody else.
func (s *Scheduler) look(ctx context.Context, id app.ID) (sight, error) {
	p := s.picture.Load()
	members, known := p.databases()[id]
	if !known {
		return sight{}, fmt.Errorf("%w: %s", errNoCluster, id)
	}
	targets := askable(members)
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	roles := s.answers(ctx, targets)
	return sight{roles: roles, targets: targets, cluster: clusterOf(p.alone(id, members, roles))}, nil
}

// sight is a cluster as it was seen a moment ago.
type sight struct {
	cluster app.Cluster
	roles   deploy.Roles
	targets []deploy.Instance
}

// leader is the member that leads beyond doubt.
func (v sight) leader() (deploy.Instance, error) {
	for n, m := range v.cluster.Members {
		if m.Name != "" && m.Name == v.cluster.Leader {
			for _, i := range v.targets {
				if i.ID == v.cluster.Members[n].Instance {
					return i, nil
				}
			}
		}
	}
	return deploy.Instance{}, fmt.Errorf("%w: %s", errUnled, v.cluster.Doubt)
}

// Switchover hands the lead over and returns when that is done: to the member of that name, or to the best for "". The
// agents decide whether it may be; the scheduler only asks (rule S9).
func (s *Scheduler) Switchover(ctx context.Context, id app.ID, candidate string) error {
	seen, err := s.look(ctx, id)
	if err != nil {
		return err
	}
	leader, err := seen.leader()
	if err != nil {
		return fmt.Errorf("switch over %s: %w", id, err)
	}
	if err := s.begin(ctx, id, leader, candidate); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, handoverTimeout, errNoHandover)
	defer cancel()
	asked := s.members.Switchover(limited, agentURL(leader), seen.cluster.Leader, candidate)
	ended := s.call(context.WithoutCancel(ctx), func(l *loop) {
		l.endHandover(Event{Kind: EventHandover, App: id, Instance: leader.ID, Host: leader.Host}, cmp.Or(candidate, "another member"), asked)
	})
	return errors.Join(asked, ended)
}

// begin notes that a person's switchover is under way, so that nothing is stopped meanwhile.
func (s *Scheduler) begin(ctx context.Context, id app.ID, leader deploy.Instance, candidate string) error {
	var err error
	called := s.call(ctx, func(l *loop) {
		if l.switchovers[id].Running {
			err = fmt.Errorf("switch over %s: one is under way already", id)
			return
		}
		l.switchovers[id] = deploy.Switchover{Running: true}
		l.forgetRoles(id)
		l.tell(Event{
			Kind: EventHandover, App: id, Instance: leader.ID, Host: leader.Host,
			Text: "a person asks the leader to hand over to " + cmp.Or(candidate, "another member"),
		})
	})
	return cmp.Or(called, err)
}

// Pause tells a cluster to be left alone, or not any more. Any of its agents takes the request.
func (s *Scheduler) Pause(ctx context.Context, id app.ID, on bool) error {
	seen, err := s.look(ctx, id)
	if err != nil {
		return err
	}
	err = fmt.Errorf("no agent of %s answers", id)
	for _, i := range seen.targets {
		if _, answers := seen.roles.Members[i.ID]; !answers {
			continue
		}
		if err = s.members.Pause(ctx, agentURL(i), on); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("pause %s: %w", id, err)
	}
	return s.call(ctx, func(l *loop) { l.forgetRoles(id) })
}

// databases are the instances of each PostgreSQL app, also of a deleted one of which some are left.
func (p *picture) databases() map[app.ID][]deploy.Instance {
	all := map[app.ID][]deploy.Instance{}
	for id, a := range p.state.Apps {
		if a.IsPostgres() {
			all[id] = nil
		}
	}
	for _, i := range p.state.Instances {
		_, defined := p.state.Apps[i.App]
		if _, known := all[i.App]; known || !defined && i.Postgres {
			all[i.App] = append(all[i.App], i)
		}
	}
	return all
}

// alone is the state with nothing in it but one cluster, and with some answers of its members: what the gate is asked about.
func (p *picture) alone(id app.ID, members []deploy.Instance, roles deploy.Roles) (app.ID, deploy.State) {
	s := p.state
	s.Apps, s.Instances, s.Deployments, s.Roles = map[app.ID]app.App{}, members, nil, map[app.ID]deploy.Roles{id: roles}
	if a, defined := p.state.Apps[id]; defined {
		s.Apps[id] = a
	}
	return id, s
}

// clusterOf is a cluster as people see it.
func clusterOf(id app.ID, s deploy.State) app.Cluster {
	c := app.Cluster{App: id, Members: []app.Member{}, Gate: app.Verdict{Why: "no member runs"}}
	roles := s.Roles[id]
	verdicts := deploy.Gate(s, id, roles.At)
	for n, i := range s.Instances {
		m := member(s.Apps[id], i, roles.Members[i.ID])
		m.Gate = verdicts[i.ID]
		if n == 0 || m.Gate.Open {
			c.Gate = m.Gate
		}
		c.Paused = c.Paused || roles.Members[i.ID].Paused
		c.Members = append(c.Members, m)
	}
	c.Leader, c.Doubt = leading(c.Members)
	slices.SortFunc(c.Members, func(a, b app.Member) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.Instance), string(b.Instance)))
	})
	return c
}

// leading is the name of the only member whose agent and server both say that it leads.
func leading(members []app.Member) (name, doubt string) {
	var names []string
	for _, m := range members {
		if deploy.Role(m.Role) == deploy.RoleLeader || deploy.Role(m.Role) == deploy.RoleStandbyLeader {
			names = append(names, m.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", "no member says that it leads"
	case 1:
		return names[0], ""
	}
	return "", "more than one member says that it leads: " + strings.Join(names, ", ")
}

func member(def app.App, i deploy.Instance, m deploy.Member) app.Member {
	out := app.Member{
		Name: m.Name, Instance: i.ID, Host: i.Host, State: i.State, Role: string(m.Role), Server: m.State, Timeline: m.Timeline,
		Volume: i.Volume, Address: hostPort(i, port(def, i, serverPort)), API: hostPort(i, i.AgentPort),
	}
	if i.Incarnation > 0 {
		out.Task = i.Task()
	}
	if m.Name != "" && m.Lag >= 0 {
		out.Lag = &m.Lag
	}
	return out
}

// serverPort is where PostgreSQL listens in its container.
const serverPort = 5432

// port is the host port behind a port of the container, 0 when there is none.
func port(def app.App, i deploy.Instance, container int) int {
	if index, ok := def.PortIndex(container); ok && index < len(i.Ports) {
		return i.Ports[index]
	}
	return 0
}

func hostPort(i deploy.Instance, port int) string {
	if i.Address == "" || port == 0 {
		return ""
	}
	return net.JoinHostPort(i.Address, strconv.Itoa(port))
}
