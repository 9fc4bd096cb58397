package api

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// loopback is for whom the certificates of servers are here.
var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}

// authority is one that vouches for certificates of this host.
type authority struct{ *tlstest.Authority }

func newAuthority() authority { return authority{tlstest.New()} }

// vouch makes a certificate for this host with a serial number.
func (a authority) vouch(serial int64) tls.Certificate {
	return a.Issue(tlstest.Subject{Serial: serial, Addresses: loopback})
}

func (a authority) server(serial int64, ask tls.ClientAuthType) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{a.vouch(serial)}, ClientCAs: a.Pool(), ClientAuth: ask}
}

// request sends one request over TLS and returns the status code, the number of the server's certificate, and the
// connection, which stays open.
func (a authority) request(t *testing.T, l net.Listener, method, path string, shown ...tls.Certificate) (code int, serial int64, err error) {
	t.Helper()
	conn := dial(t, l)
	c := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.Pool(), ServerName: "127.0.0.1", Certificates: shown})
	code, err = over(c, method, path)
	if err != nil {
		return 0, 0, err
	}
	return code, c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// over sends one request over a connection that is open.
func over(c net.Conn, method, path string) (int, error) {
	if _, err := io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close() //nolint:errcheck // it was read
	return resp.StatusCode, err
}

func TestCertificatesOfClients(t *testing.T) {
	ours, others := newAuthority(), newAuthority()
	own, foreign := ours.vouch(7), others.vouch(8)
	cases := []struct {
		name      string
		ask       tls.ClientAuthType
		certified bool
		shown     []tls.Certificate
		// get and post are the codes of a read and of a change; 0 for none at all.
		get, post int
	}{
		{"nobody is asked", tls.NoClientCert, false, nil, 200, 202},
		{"whoever changes something is asked", tls.VerifyClientCertIfGiven, true, nil, 200, 403},
		{"and shows one", tls.VerifyClientCertIfGiven, true, []tls.Certificate{own}, 200, 202},
		{"and shows a foreign one", tls.VerifyClientCertIfGiven, true, []tls.Certificate{foreign}, 0, 0},
		{"everybody is asked", tls.RequireAndVerifyClientCert, true, nil, 0, 0},
		{"everybody is asked and shows one", tls.RequireAndVerifyClientCert, true, []tls.Certificate{own}, 200, 202},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			start(t, agentLedBy("n1"), Options{TLS: ours.server(1, c.ask), Certified: c.certified}, l)
			for method, want := range map[string]int{"GET /patroni": c.get, "POST /reload": c.post} {
				method, path, _ := strings.Cut(method, " ")
				got, _, err := ours.request(t, l, method, path, c.shown...)
				if got != want || (err != nil) != (want == 0) {
					t.Errorf("%s %s: %d, %v, want %d", method, path, got, err, want)
				}
			}
		})
	}
}

// A new certificate is for new connections; those that are open go on.
func TestCertificateIsRenewed(t *testing.T) {
	a, l := newAuthority(), listen(t)
	s := start(t, agentLedBy("n1"), Options{TLS: a.server(1, tls.NoClientCert)}, l)
	held := tls.Client(dial(t, l), &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.Pool(), ServerName: "127.0.0.1"})
	if code, err := over(held, "GET", "/patroni"); code != 200 {
		t.Fatalf("%d, %v", code, err)
	}
	s.Configure(Options{TLS: a.server(2, tls.NoClientCert)})
	if code, serial, err := a.request(t, l, "GET", "/patroni"); code != 200 || serial != 2 {
		t.Errorf("new: %d with certificate %d, %v", code, serial, err)
	}
	if code, err := over(held, "GET", "/patroni"); code != 200 {
		t.Errorf("open: %d, %v", code, err)
	}
}

// TLS is turned on without a new start: connections without it get one more answer.
func TestTLSIsTurnedOn(t *testing.T) {
	a, l := newAuthority(), listen(t)
	s := start(t, agentLedBy("n1"), Options{}, l)
	held := dial(t, l)
	if code, err := over(held, "GET", "/patroni"); code != 200 {
		t.Fatalf("%d, %v", code, err)
	}
	s.Configure(Options{TLS: a.server(1, tls.NoClientCert)})
	if code, serial, err := a.request(t, l, "GET", "/patroni"); code != 200 || serial != 1 {
		t.Errorf("TLS: %d with certificate %d, %v", code, serial, err)
	}
	if code, err := over(dial(t, l), "GET", "/patroni"); code != 400 {
		t.Errorf("plain HTTP: %d, %v", code, err)
	}
	if code, err := over(held, "GET", "/patroni"); code != 200 {
		t.Errorf("the connection from before: %d, %v", code, err)
	}
	if _, err := over(held, "GET", "/patroni"); err == nil {
		t.Error("the connection from before goes on")
	}
}

func TestBadHandshakes(t *testing.T) {
	a := newAuthority()
	for _, sends := range []string{"", "\x16\x03\x01\x02\x00\x01", "\x16\x03\x01\xff\xff" + strings.Repeat("\x00", 100), strings.Repeat("\xff", 100)} {
		serve(t, Options{TLS: a.server(1, tls.NoClientCert)}, func(t *testing.T, dial func() net.Conn) {
			conn := dial()
			go io.WriteString(conn, sends)
			if _, took := closes(t, conn); took > headerTimeout {
				t.Errorf("%q keeps a connection for %v", sends, took)
			}
		})
	}
}
