package main

import (
	"crypto/x509"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// certify writes a certificate and its key into one file.
func certify(t *testing.T, file string, serial int64) {
	t.Helper()
	cert := tlstest.New().Issue(tlstest.Subject{Serial: serial})
	if err := os.WriteFile(file, tlstest.BothPEM(cert), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A certificate that cannot be used leaves the old one where it is.
func TestCertificatesAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.pem")
	r := newREST(nil, nil, slog.New(slog.DiscardHandler))
	cfg := config.RestAPI{TLS: config.ServerTLS{Cert: file, Verify: config.VerifyOptional, Ciphers: "ECDHE+AESGCM:nonsense"}}
	serial := func() int64 {
		leaf, err := x509.ParseCertificate(r.tls.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	if err := r.configure(t.Context(), cfg); err == nil || r.tls != nil {
		t.Errorf("without a file: %v", err)
	}
	certify(t, file, 1)
	if err := r.configure(t.Context(), cfg); err != nil || serial() != 1 || len(r.tls.CipherSuites) != 4 {
		t.Errorf("the first: %v, %d suites", err, len(r.tls.CipherSuites))
	}
	if err := os.WriteFile(file, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.configure(t.Context(), cfg); err == nil || serial() != 1 {
		t.Errorf("a broken one: %v, and number %d is in force", err, serial())
	}
	certify(t, file, 2)
	if err := r.configure(t.Context(), cfg); err != nil || serial() != 2 {
		t.Errorf("the second: %v, and number %d is in force", err, serial())
	}
	if err := r.configure(t.Context(), config.RestAPI{}); err != nil || r.tls != nil {
		t.Errorf("off: %v", err)
	}
}

func TestAddressesOfAliases(t *testing.T) {
	r := newREST(nil, map[string]string{"node1": "127.0.0.11"}, slog.New(slog.DiscardHandler))
	got, err := r.resolve(t.Context(), "node1")
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("127.0.0.11") {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatTheAPISaysOfItself(t *testing.T) {
	for tokens, want := range map[config.ServerTokens]string{
		config.TokensOriginal: "pgbaton/" + build, config.TokensProduct: "Patroni", config.TokensMinimal: "Patroni/" + agent.Version,
	} {
		if got := product(tokens); got != want {
			t.Errorf("%d: %q, want %q", tokens, got, want)
		}
	}
	cfg := config.RestAPI{Endpoint: config.Endpoint{Connect: "h:8008"}}
	if got := apiURL(cfg); got != "http://h:8008/patroni" {
		t.Error(got)
	}
	cfg.TLS.Cert = "server.pem"
	if got := apiURL(cfg); got != "https://h:8008/patroni" {
		t.Error(got)
	}
}
