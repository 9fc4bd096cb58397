package chaos

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// certificates are files of an authority and what it vouches for.
type certificates struct {
	*tlstest.Authority
	dir  string
	last int64
}

func newCertificates(t *testing.T) *certificates {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgbaton-certificates-") //nolint:usetesting // that folder is closed to the agents
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &certificates{Authority: tlstest.New(), dir: dir}
	c.write(t, "ca", c.PEM())
	return c
}

func (c *certificates) file(name string) string { return filepath.Join(c.dir, name+".pem") }

// make writes a certificate with its key into one file.
func (c *certificates) make(t *testing.T, name string) {
	t.Helper()
	c.last++
	c.write(t, name, tlstest.BothPEM(c.Issue(tlstest.Subject{Name: name, Serial: c.last})))
}

func (c *certificates) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(c.file(name), text, 0o644); err != nil { //nolint:gosec // the agents run as somebody else
		t.Fatal(err)
	}
}

// client shows the certificate of that name, or none.
func (c *certificates) client(t *testing.T, name string) *http.Client {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the server's is compared below
	if name != "" {
		shown, err := tls.LoadX509KeyPair(c.file(name), c.file(name))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{shown}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
}

// over sends one request and returns the code, the body and the number of the server's certificate.
func over(ctx context.Context, c *http.Client, method, at, body string) (code int, text string, serial int64, err error) {
	r, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return 0, "", 0, err
	}
	r.SetBasicAuth("operator", "operator's secret")
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it is read below
	content, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(content), answer.TLS.PeerCertificates[0].SerialNumber.Int64(), err
}

// TestAgentsTLS has members that speak with nobody who shows no certificate. They ask each other all the same, renew their
// certificates while they run, and no login of theirs is printed.
func TestAgentsTLS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := newCertificates(t)
	c.make(t, "server")
	c.make(t, "client")
	a := agents(t, AgentsConfig{Local: func(_ string, file map[string]any) {
		for option, value := range map[string]any{
			"certfile": c.file("server"), "cafile": c.file("ca"), "verify_client": "required",
			"authentication": map[string]any{"username": "operator", "password": "operator's secret"},
		} {
			Set(file, value, "restapi", option)
		}
		Set(file, map[string]any{"insecure": true, "certfile": c.file("client"), "cacert": c.file("ca")}, "ctl")
	}})
	if err := a.Start("n1"); err != nil {
		t.Fatal(err)
	}
	known := c.client(t, "client")
	at := func(member string) string {
		for _, p := range a.Places() {
			if p.Name == member {
				return "https://" + net.JoinHostPort(p.Address.String(), "8008")
			}
		}
		return ""
	}
	answers := func(member, path string, code int, part string) {
		t.Helper()
		until(ctx, t, a, func() error {
			got, text, _, err := over(ctx, known, http.MethodGet, at(member)+path, "")
			if err != nil || got != code || !strings.Contains(text, part) {
				return fmt.Errorf("%s%s: %d %s, %w", at(member), path, got, text, err)
			}
			return nil
		})
	}
	answers("n1", "/primary", http.StatusOK, "")
	if err := a.Start("n2", "n3"); err != nil {
		t.Fatal(err)
	}
	answers("n2", "/patroni", http.StatusOK, "streaming")
	answers("n3", "/patroni", http.StatusOK, "streaming")
	answers("n1", "/cluster", http.StatusOK, `"api_url": "https://`)

	if code, _, _, err := over(ctx, c.client(t, ""), http.MethodGet, at("n1")+"/patroni", ""); err == nil {
		t.Errorf("who shows no certificate is answered: %d", code)
	}
	// Before a switchover all candidates are asked.
	if code, text, _, err := over(ctx, known, http.MethodPost, at("n1")+"/switchover", `{"leader": "n1", "candidate": "n2"}`); code != http.StatusOK {
		t.Errorf("switchover: %d %s, %v", code, text, err)
	}
	answers("n2", "/primary", http.StatusOK, "")

	c.make(t, "server")
	if err := a.Signal("n2", syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, a, func() error {
		if _, _, serial, err := over(ctx, known, http.MethodGet, at("n2")+"/patroni", ""); err != nil || serial != c.last {
			return fmt.Errorf("certificate %d is shown, %w", serial, err)
		}
		return nil
	})
	for _, name := range a.Names() {
		if strings.Contains(a.Output(name, 10000), "operator's secret") {
			t.Errorf("%s prints the login", name)
		}
	}
}
