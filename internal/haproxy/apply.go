package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/route"
)

// checks is how every server is checked; the package comment gives the reasons for the numbers.
const checks = "check inter 1s fastinter 700ms fall 3 rise 3 on-marked-down shutdown-sessions"

// removeWithin bounds how long a server may keep the sessions that were ended with it.
const removeWithin = 2 * time.Second

// moved is the answer to a change of address that worked.
var moved = regexp.MustCompile(`^(IP|port) changed from|^nothing changed|^no need to change`)

// Apply carries one change out. After an error the change may be done in part; Look tells.
func (p *Process) Apply(ctx context.Context, change route.Change) error {
	var err error
	switch c := change.(type) {
	case route.AddServer:
		err = p.socket.add(ctx, c.Service, c.Server)
	case route.RemoveServer:
		err = p.socket.remove(ctx, server(c.Service, c.Name))
	case route.SetAddress:
		err = p.socket.move(ctx, c)
	case route.SetHealth:
		err = p.socket.tell(ctx, "set server "+server(c.Service, c.Name)+" health "+health(c.Up))
	case route.CloseSessions:
		err = p.socket.tell(ctx, "shutdown sessions server "+server(c.Service, c.Name))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", change, err)
	}
	return nil
}

// server is how HAProxy's commands name a server.
func server(service, member string) string { return service + "/" + serverName(member) }

func health(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// tell sends a command that answers nothing when it works.
func (r runtime) tell(ctx context.Context, command string) error {
	return r.expect(ctx, command, func(answer string) bool { return answer == "" })
}

// expect sends a command; an answer that is not good is the error.
func (r runtime) expect(ctx context.Context, command string, good func(answer string) bool) error {
	answer, err := r.ask(ctx, command)
	if err != nil {
		return err
	}
	answer = strings.TrimSpace(answer)
	if !good(answer) {
		return fmt.Errorf("HAProxy says %q", answer)
	}
	return nil
}

// add brings a server in. HAProxy adds a server in maintenance and makes it run as "up" before any check,
// so it has no weight, and with it no connections, until its health is set. The checks come last: a
// server whose checks run is whole.
func (r runtime) add(ctx context.Context, service string, s route.Server) error {
	name := server(service, s.Name)
	add := fmt.Sprintf("add server %s %s %s addr %s port %d weight 0", name, s.Address, checks, bracketed(s.Check.Addr()), s.Check.Port())
	registered := func(answer string) bool { return answer == "New server registered." }
	if err := r.expect(ctx, add, registered); err != nil {
		return err
	}
	for _, command := range []string{
		"enable server " + name,
		"set server " + name + " health " + health(s.Health == route.Up),
		"set server " + name + " weight 1",
		"enable health " + name,
	} {
		if err := r.tell(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// bracketed is how an address stands in "add server": "[::1]".
func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// remove takes a server out. HAProxy deletes only a server in maintenance that has no connection left,
// and ends connections when their turn comes.
func (r runtime) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, removeWithin, errors.New("its sessions do not end"))
	defer cancel()
	for _, command := range []string{"set server " + name + " state maint", "shutdown sessions server " + name} {
		if err := r.tell(ctx, command); err != nil {
			return err
		}
	}
	for {
		answer, err := r.ask(ctx, "del server "+name)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(answer, "Server deleted."):
			return nil
		case !strings.Contains(answer, "still has connections"):
			return fmt.Errorf("HAProxy says %q", strings.TrimSpace(answer))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond): // HAProxy has no event for it.
		}
	}
}

func (r runtime) move(ctx context.Context, c route.SetAddress) error {
	name := server(c.Service, c.Name)
	address := fmt.Sprintf("set server %s addr %s port %d", name, c.Address.Addr(), c.Address.Port())
	if err := r.expect(ctx, address, moved.MatchString); err != nil {
		return err
	}
	return r.tell(ctx, fmt.Sprintf("set server %s check-addr %s port %d", name, c.Check.Addr(), c.Check.Port()))
}
