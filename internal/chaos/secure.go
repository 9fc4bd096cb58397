package chaos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/pgbaton/pgbaton/internal/client"
)

// secured are the files of an authority and of one certificate that it gave, which all servers and all clients of a
// cluster show to each other.
type secured struct {
	ca, cert, key string
	client        *tls.Config
}

// secure writes the files into a folder. The certificate is for the addresses.
func secure(folder string, addresses []netip.Addr) (*secured, error) {
	authority, authorityKey, err := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "laboratory"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	wanted := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "member"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, a := range addresses {
		wanted.IPAddresses = append(wanted.IPAddresses, net.IP(a.AsSlice()))
	}
	leaf, leafKey, err := issue(wanted, authority, authorityKey)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, err
	}
	s := &secured{ca: filepath.Join(folder, "ca.pem"), cert: filepath.Join(folder, "member.pem"), key: filepath.Join(folder, "member.key")}
	err = errors.Join(
		writePEM(s.ca, "CERTIFICATE", authority.Raw), writePEM(s.cert, "CERTIFICATE", leaf.Raw), writePEM(s.key, "PRIVATE KEY", der))
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	s.client = &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots,
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey}},
	}
	return s, err
}

// issue makes a key with a certificate, which the parent signs, or its own key where there is none.
func issue(wanted, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, parentKey = wanted, key
	}
	wanted.SerialNumber = big.NewInt(time.Now().UnixNano())
	wanted.NotBefore, wanted.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, wanted, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
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
