package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/ctl"
	"github.com/pgbaton/pgbaton/internal/psql"
	"github.com/pgbaton/pgbaton/internal/tlsfiles"
)

// peerOptions are how operator commands call members: as the section ctl says.
func peerOptions(c config.Ctl) (client.Options, error) {
	verify := tlsfiles.VerifyFull
	switch {
	case c.Insecure && c.Cert != "":
		verify = tlsfiles.VerifyChain // whoever shows a certificate shows it to nobody unknown
	case c.Insecure:
		verify = tlsfiles.VerifyNothing
	}
	tls, err := tlsfiles.Client(c.CA, c.Cert, c.Key, c.KeyPassword, verify)
	if err != nil {
		return client.Options{}, fmt.Errorf("speak TLS with members: %w", err)
	}
	return client.Options{TLS: tls, Username: c.Login.Username, Password: c.Login.Password}, nil
}

// agentPeerOptions are how agents and the scheduler call members, whose certificates are rarely for the addresses that they
// announce: without a certificate of their own to show they take any, else those that an authority vouches for.
func agentPeerOptions(c config.Ctl) (client.Options, error) {
	c.Insecure = true
	return peerOptions(c)
}

// connect opens a member's server for an operator's statements.
func connect(ctx context.Context, to ctl.Target) (ctl.Database, error) {
	conn, err := psql.Open(ctx, psql.Target(to))
	if err != nil {
		return nil, err
	}
	return database{conn}, nil
}

// database gives operator commands a connection as what they ask for.
type database struct{ *psql.Conn }

// Run implements ctl.Database.
func (d database) Run(ctx context.Context, statements string) (ctl.Result, error) {
	r, err := d.Conn.Run(ctx, statements)
	return ctl.Result(r), statementError(err)
}

// statementError gives what the server says against a statement as what operator commands ask for.
func statementError(err error) error {
	if said, ok := errors.AsType[*psql.ServerError](err); ok {
		return &ctl.StatementError{Code: said.Code, Message: said.Message}
	}
	return err
}
