package docker

import (
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker/dockertest"
	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// certificates are an authority and what it vouches for, as files.
type certificates struct {
	*tlstest.Authority

	t   *testing.T
	dir string
}

func newCertificates(t *testing.T) certificates {
	t.Helper()
	c := certificates{tlstest.New(), t, t.TempDir()}
	c.write("ca.pem", c.PEM())
	client := c.Issue(tlstest.Subject{Name: "scheduler"})
	c.write("cert.pem", tlstest.CertificatePEM(client))
	c.write("key.pem", tlstest.KeyPEM(client))
	return c
}

func (c certificates) write(name string, text []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c certificates) files() TLS {
	return TLS{CA: filepath.Join(c.dir, "ca.pem"), Cert: filepath.Join(c.dir, "cert.pem"), Key: filepath.Join(c.dir, "key.pem")}
}

// server is what a daemon has that asks its clients for certificates.
func (c certificates) server(address string) *tls.Config {
	own := c.Issue(tlstest.Subject{Addresses: []netip.Addr{netip.MustParseAddr(address)}})
	return &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: c.Pool(), ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

// over stands in front of a daemon at a port, behind TLS if there is a configuration, and returns the endpoint.
func over(t *testing.T, daemon *dockertest.Daemon, cfg *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", dockertest.Address(t, 11)+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if cfg != nil {
				conn = tls.Server(conn, cfg)
			}
			go relay(conn, strings.TrimPrefix(daemon.Endpoint, "unix://"))
		}
	}()
	return "tcp://" + l.Addr().String()
}

// relay carries bytes between a connection and a socket until one of them ends.
func relay(conn net.Conn, socket string) {
	defer conn.Close() //nolint:errcheck // it ends with either side
	other, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer other.Close() //nolint:errcheck // as above
	go func() {
		_, _ = io.Copy(other, conn)
		_ = other.Close()
	}()
	_, _ = io.Copy(conn, other)
}

func overTCP(t *testing.T, r *trial) {
	if err := r.Close(); err != nil { // it would follow up what the others do
		t.Fatal(err)
	}
	mutual := newCertificates(t)
	for name, endpoint := range map[string]string{"plain": over(t, r.daemon, nil), "TLS": over(t, r.daemon, mutual.server("10.91.0.11"))} {
		t.Run(name, func(t *testing.T) {
			r.daemon.Clear()
			one := &trial{t: t, daemon: r.daemon, cfg: testConfig(t, endpoint)}
			one.cfg.Dir = t.TempDir()
			if name == "TLS" {
				one.cfg.Daemons[0].TLS = mutual.files()
			}
			one.Driver = one.another()
			s := one.launch(one.spec(1, app.App{Cmd: "exit 0"}))
			one.await(s, app.TaskFinished)
			s = one.launch(one.spec(2, app.App{Cmd: "exit 0", Fetch: []app.Fetch{{URI: "file:///etc/passwd"}}}))
			if got := one.await(s, app.TaskFailed); !strings.Contains(got.Message, "files of host docker1 cannot be had from here") {
				t.Errorf("a file of the scheduler's machine: %q", got.Message)
			}
		})
	}
}

// Each wrong certificate gives one sentence that says which.
func TestCertificatesThatAreWrong(t *testing.T) {
	here, elsewhere := newCertificates(t), newCertificates(t)
	halves := here.files()
	halves.Cert, halves.Key = elsewhere.files().Cert, elsewhere.files().Key
	for name, c := range map[string]struct {
		server *tls.Config
		files  TLS
		want   string
	}{
		"the daemon's is another authority's": {elsewhere.server("10.91.0.11"), here.files(), "is not one that " + here.files().CA + " vouches for"},
		"the daemon's is another machine's":   {here.server("10.91.0.99"), here.files(), "is for another name or address"},
		"ours is another authority's":         {here.server("10.91.0.11"), halves, "does not accept the certificate " + halves.Cert},
		"the daemon has none":                 {nil, here.files(), "does not speak TLS"},
		"we have none":                        {here.server("10.91.0.11"), TLS{}, "speaks TLS and nothing else"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, answering(t, c.server))
			cfg.Daemons[0].TLS = c.files
			logged := make(lines, 10)
			d, err := Open(cfg, slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close() //nolint:errcheck // nothing was done
			if got := <-logged; !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %q", got, c.want)
			}
		})
	}
	cfg := testConfig(t, "tcp://10.91.0.11:1")
	cfg.Daemons[0].TLS = TLS{CA: here.files().CA, Cert: here.files().Cert, Key: elsewhere.files().Key}
	if _, err := Open(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Errorf("a key of another certificate: %v", err)
	}
}

// answering is the endpoint of a server that knows nothing but TLS, or not even that.
func answering(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if server.Listener, err = net.Listen("tcp", dockertest.Address(t, 11)+":0"); err != nil {
		t.Fatal(err)
	}
	if server.TLS = cfg; cfg != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

// lines are what was logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
