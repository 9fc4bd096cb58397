package config

import "github.com/pgbaton/pgbaton/internal/secret"

// RestAPI configures the REST API of an agent.
type RestAPI struct {
	Endpoint

	// Login is asked of whoever wants to change something; without a user name nobody is asked.
	Login BasicLogin
	// TLS makes the API speak TLS where it names a certificate.
	TLS ServerTLS
	// Allowlist are addresses, networks (CIDR) and host names from which changes are accepted; empty: see Open.
	Allowlist []string
	// AllowMembers adds the addresses of the cluster's members to the list.
	AllowMembers bool
	// Open accepts changes from everywhere where neither a login, nor client certificates, nor an allow list protect them.
	// Otherwise they are then accepted from this host and from hosts of members only.
	Open bool
	// Headers are added to every answer, HTTPSHeaders to those over TLS; the latter win.
	Headers, HTTPSHeaders map[string]string
	// ServerTokens says how much the header Server tells.
	ServerTokens ServerTokens
}

// BasicLogin is a name and a password of HTTP's basic authentication.
type BasicLogin struct {
	Username string
	Password secret.Text
}

// ServerTLS are the files of a server that speaks TLS. They are read anew on a reload.
type ServerTLS struct {
	// Cert is the certificate with what leads to its authority; empty: no TLS. Key may be in the same file.
	Cert, Key   string
	KeyPassword secret.Text
	// CA is what certificates of clients are checked against.
	CA string
	// Ciphers is a list as OpenSSL writes it; empty: Go's choice. It has no meaning for TLS 1.3.
	Ciphers string
	// Verify says whether clients have to show a certificate.
	Verify VerifyClient
}

// On reports whether TLS is spoken.
func (s ServerTLS) On() bool { return s.Cert != "" }

// VerifyClient says which clients have to show a certificate.
type VerifyClient int

// What clients have to show.
const (
	// VerifyNone asks nobody for a certificate.
	VerifyNone VerifyClient = iota
	// VerifyOptional asks whoever wants to change something.
	VerifyOptional
	// VerifyRequired asks everybody, and ends the handshake with those who have none.
	VerifyRequired
)

// ServerTokens is how much a server tells of itself.
type ServerTokens int

// What the header Server has.
const (
	// TokensOriginal is the program with its version.
	TokensOriginal ServerTokens = iota
	// TokensProduct is the program's name.
	TokensProduct
	// TokensMinimal is the name and version of the program.
	TokensMinimal
)

// ClientTLS are the files and habits of a client that speaks TLS.
type ClientTLS struct {
	// CA is what the server's certificate is checked against; empty: the system's authorities.
	CA        string
	Cert, Key string
	// KeyPassword opens the key.
	KeyPassword secret.Text
	// Insecure takes the server's certificate as it comes.
	Insecure bool
}

// Ctl configures whoever calls the REST API of members: operator commands and other agents.
type Ctl struct {
	ClientTLS

	// Login is what is sent; that of the REST API where the section ctl names none.
	Login BasicLogin
}
