package run

import (
	"context"
	"errors"
	"net"
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
		var targets []deploy.Instance
		for _, i := range l.instances {
			if i.App == id && i.Live() && !i.Unreachable() && i.AgentPort != 0 {
				targets = append(targets, i)
			}
		}
		epoch := l.epochs[id]
		l.work.Go(func() {
			members := l.answers(targets)
			l.post(func(l *loop) {
				l.asking[id] = false
				if l.epochs[id] == epoch { // else somebody was started or stopped meanwhile
					l.roles[id] = deploy.Roles{At: time.Now(), Members: members}
				}
			})
		})
	}
}

// answers waits for all agents or their time.
func (l *loop) answers(targets []deploy.Instance) map[app.InstanceID]deploy.Member {
	ctx, cancel := context.WithTimeoutCause(l.ctx, answerTimeout, errNoAnswer)
	defer cancel()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		members = map[app.InstanceID]deploy.Member{}
	)
	for _, i := range targets {
		wg.Go(func() {
			m, err := l.s.members.Status(ctx, agentURL(i))
			if err != nil {
				return // silence is an answer too: deploy waits for this member
			}
			mu.Lock()
			defer mu.Unlock()
			members[i.ID] = m
		})
	}
	wg.Wait()
	return members
}

// handOver asks the agents for a switchover, in the background.
func (l *loop) handOver(a deploy.Handover) {
	leader, candidate := l.roles[a.App].Members[a.Leader], l.roles[a.App].Members[a.Candidate]
	i := l.instances[a.Leader]
	l.switchovers[a.App] = deploy.Switchover{Running: true}
	l.forgetRoles(a.App)
	e := Event{Kind: EventHandover, App: a.App, Instance: a.Leader, Host: i.Host}
	e.Text = leader.Name + " is asked to hand over to " + candidate.Name
	l.tell(e)
	l.work.Go(func() {
		ctx, cancel := context.WithTimeoutCause(l.ctx, handoverTimeout, errNoHandover)
		defer cancel()
		err := l.s.members.Switchover(ctx, agentURL(i), leader.Name, candidate.Name)
		l.post(func(l *loop) {
			l.forgetRoles(a.App)
			if err == nil {
				delete(l.switchovers, a.App)
				e.Text = candidate.Name + " leads"
			} else {
				l.switchovers[a.App] = deploy.Switchover{Failed: time.Now(), Why: err.Error()}
				e.Text = "the switchover to " + candidate.Name + " failed: " + err.Error()
			}
			l.tell(e)
		})
	})
}
