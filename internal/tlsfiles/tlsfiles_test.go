package tlsfiles

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"

	"github.com/pgbaton/pgbaton/internal/secret"
	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

const password = secret.Text("correct horse")

// authority signs certificates into files of a folder.
type authority struct {
	*tlstest.Authority
	dir string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{tlstest.New(), t.TempDir()}
	write(t, a.path("ca.pem"), a.PEM())
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes a certificate for host example, and its key in all the forms that keys have.
func (a *authority) issue(t *testing.T, name string) {
	t.Helper()
	cert := a.Issue(tlstest.Subject{Name: name, Names: []string{"example"}})
	key := tlstest.Key(cert)
	old, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := pkcs8.MarshalPrivateKey(key, []byte(password), nil)
	if err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // files that users have are of this kind
	closedOld, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", old, []byte(password), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a.path(name+".pem"), tlstest.CertificatePEM(cert))
	write(t, a.path(name+".key"), tlstest.KeyPEM(cert))
	write(t, a.path(name+".old"), block("EC PRIVATE KEY", old))
	write(t, a.path(name+".closed"), block("ENCRYPTED PRIVATE KEY", closed))
	write(t, a.path(name+".closedold"), pem.EncodeToMemory(closedOld))
	write(t, a.path(name+".both"), append(tlstest.KeyPEM(cert), tlstest.CertificatePEM(cert)...))
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeysOfEveryForm(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "n")
	for _, key := range []string{"n.key", "n.old", "n.closed", "n.closedold"} {
		if _, err := KeyPair(a.path("n.pem"), a.path(key), password); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := KeyPair(a.path("n.both"), "", ""); err != nil {
		t.Errorf("both in one file: %v", err)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "n")
	a.issue(t, "m")
	cases := []struct {
		cert, key string
		password  secret.Text
		want      string
	}{
		{"n.pem", "n.closed", "", errNoPassword.Error()},
		{"n.pem", "n.closedold", "", errNoPassword.Error()},
		{"n.pem", "n.closed", "wrong", errWrongPassword.Error()},
		{"n.pem", "n.closedold", "wrong", errWrongPassword.Error()},
		{"n.pem", "m.key", "", "private key does not match public key"},
		{"n.pem", "none", "", "read the key of the certificate: open "},
		{"none", "n.key", "", "read the certificate: open "},
		{"ca.pem", "", "", "use the certificate in "},
	}
	for _, c := range cases {
		key := c.key
		if key != "" {
			key = a.path(key)
		}
		if _, err := KeyPair(a.path(c.cert), key, c.password); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.cert, c.key, err)
		} else if strings.Contains(err.Error(), string(password)) {
			t.Errorf("the password is in %v", err)
		}
	}
	if _, err := Authorities(a.path("n.key")); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("authorities: %v", err)
	}
	if _, err := Client(a.path("none"), "", "", "", VerifyFull); err == nil {
		t.Error("a client without the file of its authorities")
	}
}

// connected are the two ends of a connection.
func connected(t *testing.T) (near, far net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it served
	var d net.Dialer
	if near, err = d.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// shake lets a client and a server meet, and returns what each says of it.
func shake(t *testing.T, client, server *tls.Config, host string) (clientErr, serverErr error) {
	t.Helper()
	near, far := connected(t)
	deadline := time.Now().Add(10 * time.Second)
	if err := errors.Join(near.SetDeadline(deadline), far.SetDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		s := tls.Server(far, server)
		err := s.HandshakeContext(t.Context())
		if err == nil {
			_, err = s.Write([]byte("x")) // the client learns with it whether its certificate was accepted
		}
		done <- errors.Join(err, far.Close())
	}()
	cfg := client.Clone()
	cfg.ServerName = host
	c := tls.Client(near, cfg)
	_, clientErr = c.Read(make([]byte, 1))
	near.Close() //nolint:errcheck // the meeting is over
	return clientErr, <-done
}

func TestWhatAClientChecks(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue(t, "server")
	server, err := Server(a.path("server.pem"), a.path("server.closed"), password, "", tls.NoClientCert)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		ca     string
		verify Verify
		host   string
		ok     bool
	}{
		{"all is well", a.path("ca.pem"), VerifyFull, "example", true},
		{"another host", a.path("ca.pem"), VerifyFull, "elsewhere", false},
		{"another authority", other.path("ca.pem"), VerifyFull, "example", false},
		{"no authority of ours", "", VerifyFull, "example", false},
		{"another host, not checked", a.path("ca.pem"), VerifyChain, "elsewhere", true},
		{"another authority, host not checked", other.path("ca.pem"), VerifyChain, "example", false},
		{"nothing checked", other.path("ca.pem"), VerifyNothing, "elsewhere", true},
	}
	for _, c := range cases {
		client, err := Client(c.ca, "", "", "", c.verify)
		if err != nil {
			t.Fatal(err)
		}
		if err, _ := shake(t, client, server, c.host); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestClientsShowTheirCertificate(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue(t, "server")
	a.issue(t, "client")
	other.issue(t, "client")
	server, err := Server(a.path("server.pem"), a.path("server.key"), "", a.path("ca.pem"), tls.RequireAndVerifyClientCert)
	if err != nil {
		t.Fatal(err)
	}
	known, err := Client(a.path("ca.pem"), a.path("client.pem"), a.path("client.closedold"), password, VerifyFull)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := Client(a.path("ca.pem"), other.path("client.pem"), other.path("client.key"), "", VerifyFull)
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := Client(a.path("ca.pem"), "", "", "", VerifyFull)
	if err != nil {
		t.Fatal(err)
	}
	if c, s := shake(t, known, server, "example"); c != nil || s != nil {
		t.Errorf("known: %v %v", c, s)
	}
	for name, client := range map[string]*tls.Config{"a stranger": stranger, "nobody": nobody} {
		if _, s := shake(t, client, server, "example"); s == nil {
			t.Errorf("%s was let in", name)
		}
	}
	// A renewed certificate needs no restart, and a broken one does no harm.
	other.issue(t, "client")
	for _, name := range []string{"client.pem", "client.closedold"} {
		renewed, err := os.ReadFile(other.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "client.closedold" {
			if c, s := shake(t, known, server, "example"); c != nil || s != nil {
				t.Errorf("half renewed: %v %v", c, s)
			}
		}
		write(t, a.path(name), renewed)
	}
	if _, s := shake(t, known, server, "example"); s == nil {
		t.Error("the renewed certificate was not shown")
	}
}
