package etcd3

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// certificate returns a certificate for the name and the pool that trusts it.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{name},
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestCertificateIsCheckedAgainstTheAlias(t *testing.T) {
	cert, pool := certificate(t, "etcd-node1")
	server := credentials.NewServerTLSFromCert(&cert)
	host, port, err := net.SplitHostPort(serve(t, &reluctant{}, grpc.Creds(server)))
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Resolve: map[string]string{"etcd-node1": host, "etcd-node2": host},
		TLS:     &tls.Config{RootCAs: pool},
	}
	for _, endpoint := range []string{"https://etcd-node1:" + port, "etcd-node1:" + port} {
		config.Endpoints = []string{endpoint}
		store, err := Open(t.Context(), config)
		if err != nil {
			t.Fatalf("open %s: %v", endpoint, err)
		}
		_ = store.Close()
	}

	config.Endpoints = []string{"https://etcd-node2:" + port}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err = openError(ctx, config)
	wantUnavailable(t, err)
	t.Log(err)
	if !strings.Contains(err.Error(), "not etcd-node2") {
		t.Errorf("got error %q, want the reason in it", err)
	}
}
