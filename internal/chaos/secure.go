package chaos

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/pgbaton/pgbaton/internal/client"
	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// secured are the files of an authority and of one certificate that it gave, which all servers and all clients of a
// cluster show to each other.
type secured struct {
	ca, cert, key string
	client        *tls.Config
}

// secure writes the files into a folder. The certificate is for the addresses.
func secure(folder string, addresses []netip.Addr) (*secured, error) {
	authority := tlstest.New()
	member := authority.Issue(tlstest.Subject{Name: "member", Addresses: addresses})
	s := &secured{ca: filepath.Join(folder, "ca.pem"), cert: filepath.Join(folder, "member.pem"), key: filepath.Join(folder, "member.key")}
	s.client = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority.Pool(), Certificates: []tls.Certificate{member}}
	return s, errors.Join(
		os.WriteFile(s.ca, authority.PEM(), 0o600),
		os.WriteFile(s.cert, tlstest.CertificatePEM(member), 0o600),
		os.WriteFile(s.key, tlstest.KeyPEM(member), 0o600))
}

// apply has a member serve and call with TLS and certificates only; who wants to change something has to log in too.
func (s *secured) apply(file map[string]any) {
	Set(file, "https", "etcd", "protocol")
	for name, path := range map[string]string{"cacert": s.ca, "cert": s.cert, "key": s.key} {
		Set(file, path, "etcd", name)
	}
	for name, value := range map[string]string{"certfile": s.cert, "keyfile": s.key, "cafile": s.ca, "verify_client": "required"} {
		Set(file, value, "restapi", name)
	}
	Set(file, map[string]any{"username": "operator", "password": agentsPassword}, "restapi", "authentication")
	for name, path := range map[string]string{"cacert": s.ca, "certfile": s.cert, "keyfile": s.key} {
		Set(file, path, "ctl", name)
	}
}

// prepareTLS makes the certificates of this cluster, and what asks it here show them.
func (a *Agents) prepareTLS() error {
	addresses := []netip.Addr{}
	for _, h := range a.layout.Hosts {
		addresses = append(addresses, h.Address)
	}
	for _, e := range a.layout.Etcd {
		addresses = append(addresses, e.Address)
	}
	folder := filepath.Join(a.dir, "tls")
	if err := a.makeFolder(folder); err != nil {
		return err
	}
	var err error
	if a.secured, err = secure(folder, addresses); err != nil {
		return err
	}
	a.http.Transport = &http.Transport{TLSClientConfig: a.secured.client}
	a.peers.Configure(client.Options{TLS: a.secured.client})
	return errors.Join(a.give(a.secured.ca), a.give(a.secured.cert), a.give(a.secured.key))
}

// etcdWithTLS is the line that starts etcd itself, as the program's own member has no TLS.
func (a *Agents) etcdWithTLS(name string, client, peer string) []string {
	s := a.secured
	return []string{
		"etcd", "--name", name, "--data-dir", filepath.Join(a.dir, name, "data"), "--log-level", "warn",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", name + "=" + peer,
		"--cert-file", s.cert, "--key-file", s.key, "--trusted-ca-file", s.ca, "--client-cert-auth",
		"--peer-cert-file", s.cert, "--peer-key-file", s.key, "--peer-trusted-ca-file", s.ca, "--peer-client-cert-auth",
	}
}

// api is the REST interface of a member.
func (a *Agents) api(at netip.Addr) string {
	if a.secured != nil {
		return "https://" + net.JoinHostPort(at.String(), "8008")
	}
	return api(at.String())
}
