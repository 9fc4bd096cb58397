package route

import (
	"fmt"
	"net/netip"
)

// Change is one step on HAProxy. The set is sealed: whoever carries changes out handles every one.
//
//sumtype:decl
type Change interface {
	change()
	// String is the step in words.
	String() string
}

// AddServer puts a server that HAProxy does not have into a backend, with its checks running. It begins
// up when its health is Up, else down until the checks find otherwise. It is never up before it is told.
type AddServer struct {
	Service string
	Server  Server
}

// RemoveServer takes a server out of a backend, with the sessions it still has.
type RemoveServer struct {
	Service string
	Name    string
}

// SetAddress moves a server that is down and has no sessions to another address.
type SetAddress struct {
	Service string
	Name    string
	Address netip.AddrPort
	Check   netip.AddrPort
}

// SetHealth puts a server up or down without waiting for its checks, which may find otherwise later.
type SetHealth struct {
	Service string
	Name    string
	Up      bool
}

// CloseSessions ends every session that a server has.
type CloseSessions struct {
	Service string
	Name    string
}

func (AddServer) change()     {}
func (RemoveServer) change()  {}
func (SetAddress) change()    {}
func (SetHealth) change()     {}
func (CloseSessions) change() {}

// String is the step in words.
func (c AddServer) String() string {
	return fmt.Sprintf("add %s/%s at %s, checked at %s, %s", c.Service, c.Server.Name, c.Server.Address, c.Server.Check, c.Server.Health)
}

// String is the step in words.
func (c RemoveServer) String() string { return fmt.Sprintf("remove %s/%s", c.Service, c.Name) }

// String is the step in words.
func (c SetAddress) String() string {
	return fmt.Sprintf("move %s/%s to %s, checked at %s", c.Service, c.Name, c.Address, c.Check)
}

// String is the step in words.
func (c SetHealth) String() string {
	if c.Up {
		return fmt.Sprintf("put %s/%s up", c.Service, c.Name)
	}
	return fmt.Sprintf("take %s/%s down", c.Service, c.Name)
}

// String is the step in words.
func (c CloseSessions) String() string {
	return fmt.Sprintf("close the sessions of %s/%s", c.Service, c.Name)
}
