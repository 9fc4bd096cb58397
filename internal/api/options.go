package api

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net/http"
	"net/netip"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Options are what the configuration says of the API. All of it may change while the API serves (see Server.Configure).
// The zero value serves plain HTTP, and lets this host and hosts of members change things.
type Options struct {
	// Username and Password are asked of whoever wants to change something; without a name nobody is asked.
	Username string
	Password secret.Text
	// TLS is spoken on new connections; nil: plain HTTP.
	TLS *tls.Config
	// Certified asks whoever wants to change something for a certificate, which TLS has checked.
	Certified bool
	// Listed says that changes are accepted from the networks of Allow only, though it may be that none of them could be
	// made out. AllowMembers accepts them from hosts of members, and from nobody else unless Listed.
	Listed, AllowMembers bool
	Allow                []netip.Prefix
	// Open accepts changes from everywhere where nothing of the above protects them.
	Open bool
	// Header is added to every answer.
	Header map[string]string
	// Product is what the header Server says; empty: nothing.
	Product string
	// Resolve finds the addresses of a host that a member announced. Nil knows none but addresses.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// inForce are options as they are used for each request.
type inForce struct {
	Options

	// login is what a login has to be, nil where nobody is asked. Hashes are compared, which are of one length whatever was
	// sent.
	login *[sha256.Size]byte
	// header is what every answer begins with.
	header http.Header
}

// Configure brings options into force: for requests at once, and TLS for connections that begin later. Those that are
// open go on.
func (s *Server) Configure(o Options) {
	f := &inForce{Options: o, header: http.Header{}}
	if o.Username != "" {
		sum := loginSum(o.Username, o.Password.Reveal())
		f.login = &sum
	}
	for name, value := range o.Header {
		f.header.Set(name, value)
	}
	if o.Product != "" {
		f.header.Set("Server", o.Product)
	}
	s.options.Store(f)
}

// loginSum is the hash of a login. The name holds no colon, so nothing else has the same.
func loginSum(username, password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(username + ":" + password))
}
