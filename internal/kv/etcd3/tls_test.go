package etcd3

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

func TestCertificateIsCheckedAgainstTheAlias(t *testing.T) {
	authority := tlstest.New()
	cert := authority.Issue(tlstest.Subject{Names: []string{"etcd-node1"}})
	server := credentials.NewServerTLSFromCert(&cert)
	host, port, err := net.SplitHostPort(serve(t, &reluctant{}, grpc.Creds(server)))
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Resolve: map[string]string{"etcd-node1": host, "etcd-node2": host},
		TLS:     &tls.Config{RootCAs: authority.Pool()},
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
