package run

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/deploy"
)

const (
	answerTimeout   = 2 * time.Second // for one agent to say what its member is
	handoverTimeout = time.Minute     // for a switchover from request to answer
)

var (
	errNoAnswer   = errors.New("the agent did not answer in time")
	errNoHandover = errors.New("the switchover did not end in time")
)

// agentURL is where the agent of a member answers.
func agentURL(i deploy.Instance) string {
	return "http://" + net.JoinHostPort(i.Address, strconv.Itoa(i.AgentPort))
}

// ask asks the members of apps for their roles, all at once, in the background.
func (l *loop) ask(apps []app.ID) {
	for _, id := range apps {
		if l.asking[id] {
			continue
		}
		l.asking[id] = true
		targets, epoch := askable(l.of(id)), l.epochs[id]
		l.work.Go(func() {
			roles := l.s.answers(l.ctx, targets)
			l.post(func(l *loop) {
				l.asking[id] = false
				if l.epochs[id] == epoch { // else somebody was started or stopped meanwhile
					l.roles[id] = roles
				}
			})
		})
	}
}

// of are the instances of an app.
func (l *loop) of(id app.ID) []deploy.Instance {
	var list []deploy.Instance
	for _, i := range l.instances {
		if i.App == id {
			list = append(list, i)
		}
	}
	return list
}

// askable are the instances whose agents can be asked.
func askable(all []deploy.Instance) []deploy.Instance {
	return slices.DeleteFunc(slices.Clone(all), func(i deploy.Instance) bool {
		return !i.Live() || i.Unreachable() || i.AgentPort == 0
	})
}

// answers waits for all agents or their time.
func (s *Scheduler) answers(ctx context.Context, targets []deploy.Instance) deploy.Roles {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		members = map[app.InstanceID]deploy.Member{}
	)
	for _, i := range targets {
		wg.Go(func() {
			m, err := s.members.Status(ctx, agentURL(i))
			if err != nil {
				return // silence is an answer too: deploy waits for this member
			}
			mu.Lock()
			defer mu.Unlock()
			members[i.ID] = m
		})
	}
	wg.Wait()
	return deploy.Roles{At: time.Now(), Members: members}
}

// handOver asks the agents for a switchover, in the background.
func (l *loop) handOver(a deploy.Handover) {
	leader, candidate := l.roles[a.App].Members[a.Leader], l.roles[a.App].Members[a.Candidate]
	i := l.instances[a.Leader]
	l.switchovers[a.App] = deploy.Switchover{Running: true, Refused: l.switchovers[a.App].Refused}
	l.forgetRoles(a.App)
	e := Event{Kind: EventHandover, App: a.App, Instance: a.Leader, Host: i.Host}
	e.Text = leader.Name + " is asked to hand over to " + candidate.Name
	l.tell(e)
	l.work.Go(func() {
		ctx, cancel := context.WithTimeoutCause(l.ctx, handoverTimeout, errNoHandover)
		defer cancel()
		err := l.s.members.Switchover(ctx, agentURL(i), leader.Name, candidate.Name)
		l.post(func(l *loop) {
			l.endHandover(e, candidate.Name, err)
		})
	})
}

// endHandover takes the agents' answer to a request for a switchover.
func (l *loop) endHandover(e Event, candidate string, err error) {
	refused := l.switchovers[e.App].Refused
	l.forgetRoles(e.App)
	if err == nil {
		delete(l.switchovers, e.App)
		e.Text = candidate + " leads"
	} else {
		l.switchovers[e.App] = deploy.Switchover{Failed: time.Now(), Why: err.Error(), Refused: refused + 1}
		e.Text = "the switchover to " + candidate + " failed: " + err.Error()
	}
	l.tell(e)
}
