package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/secret"
)

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

type restFile struct {
	endpointFile `yaml:",inline"`

	Login        basicFile         `yaml:"authentication"`
	Cert         string            `yaml:"certfile"`
	Key          string            `yaml:"keyfile"`
	KeyPassword  secret.Text       `yaml:"keyfile_password"`
	CA           string            `yaml:"cafile"`
	Ciphers      string            `yaml:"ciphers"`
	Verify       string            `yaml:"verify_client"`
	Allowlist    hostList          `yaml:"allowlist"`
	AllowMembers bool              `yaml:"allowlist_include_members"`
	Open         bool              `yaml:"allow_from_anywhere"`
	Headers      map[string]string `yaml:"http_extra_headers"`
	HTTPSHeaders map[string]string `yaml:"https_extra_headers"`
	Tokens       string            `yaml:"server_tokens"`
}

type basicFile struct {
	Username string      `yaml:"username"`
	Password secret.Text `yaml:"password"`
}

type ctlFile struct {
	Insecure    bool        `yaml:"insecure"`
	CA          string      `yaml:"cacert"`
	Cert        string      `yaml:"certfile"`
	Key         string      `yaml:"keyfile"`
	KeyPassword secret.Text `yaml:"keyfile_password"`
	Login       basicFile   `yaml:"authentication"`
}

// verifyWords are the values of verify_client in the order of their constants, tokenWords those of server_tokens.
func verifyWords() []string { return []string{"none", "optional", "required"} }
func tokenWords() []string  { return []string{"original", "productonly", "minimal"} }

// chosen is the place of a word among others; the first where it is not there.
func chosen(word string, words []string) int {
	return max(slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, word) }), 0)
}

// config is everything but the endpoint.
func (f restFile) config(at Endpoint) (RestAPI, []string, error) {
	r := RestAPI{
		Endpoint: at, Login: BasicLogin(f.Login),
		TLS: ServerTLS{
			Cert: f.Cert, Key: f.Key, KeyPassword: f.KeyPassword, CA: f.CA, Ciphers: f.Ciphers,
			Verify: VerifyClient(chosen(f.Verify, verifyWords())),
		},
		Allowlist: f.Allowlist, AllowMembers: f.AllowMembers, Open: f.Open, Headers: f.Headers, HTTPSHeaders: f.HTTPSHeaders,
		ServerTokens: ServerTokens(chosen(f.Tokens, tokenWords())),
	}
	var warnings []string
	if !r.TLS.On() && (f.Key != "" || f.CA != "" || r.TLS.Verify != VerifyNone) {
		warnings = append(warnings, "restapi.certfile is missing, so that no TLS is spoken and keyfile, cafile and verify_client do nothing")
	}
	return r, warnings, f.Login.whole("restapi.authentication")
}

// whole refuses half a login: everybody would be let in where somebody meant a password to be asked for.
func (f basicFile) whole(path string) error {
	switch {
	case f.Username == "" && f.Password != "":
		return fmt.Errorf("%s.username is missing beside the password", path)
	case f.Username != "" && f.Password == "":
		return fmt.Errorf("%s.password is missing beside the user name", path)
	}
	return nil
}

// config completes what the section ctl does not say by what the section restapi does.
func (f ctlFile) config(rest restFile) (Ctl, error) {
	c := Ctl{
		Login:     BasicLogin(f.Login),
		ClientTLS: ClientTLS{CA: cmp.Or(f.CA, rest.CA), Cert: f.Cert, Key: f.Key, KeyPassword: f.KeyPassword, Insecure: f.Insecure},
	}
	if c.Login == (BasicLogin{}) {
		c.Login = BasicLogin(rest.Login)
	}
	return c, f.Login.whole("ctl.authentication")
}
