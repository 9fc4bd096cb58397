package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/config"
)

// records is a DNS that knows a few services.
func records(known map[string][]*net.SRV, broken bool) lookup {
	return func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
		if broken {
			return "", nil, errors.New("no route")
		}
		if all := known["_"+service+"._"+proto+"."+name]; all != nil {
			return "", all, nil
		}
		return "", nil, &net.DNSError{IsNotFound: true}
	}
}

func TestEtcdFoundByDNS(t *testing.T) {
	two := []*net.SRV{{Target: "a.example.", Port: 2379}, {Target: "b.example", Port: 2380}}
	hosts := []string{"a.example:2379", "b.example:2380"}
	for _, c := range []struct {
		name       string
		etcd, want config.Etcd
		dns        lookup
	}{
		{"hosts are given", config.Etcd{Hosts: []string{"h:1"}}, config.Etcd{Hosts: []string{"h:1"}}, nil},
		{"plain", config.Etcd{Service: "x"}, config.Etcd{Service: "x", Hosts: hosts}, records(map[string][]*net.SRV{"_etcd-client._tcp.x": two}, false)},
		{"TLS first", config.Etcd{Service: "x"}, config.Etcd{Service: "x", Hosts: hosts, Secure: true}, records(map[string][]*net.SRV{
			"_etcd-client._tcp.x": two[:1], "_etcd-client-ssl._tcp.x": two,
		}, false)},
		{"a suffix", config.Etcd{Service: "x", Suffix: "s"}, config.Etcd{Service: "x", Suffix: "s", Hosts: hosts}, records(map[string][]*net.SRV{"_etcd-s._tcp.x": two}, false)},
	} {
		got, err := discovered(t.Context(), c.etcd, c.dns)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
	if _, err := discovered(t.Context(), config.Etcd{Service: "x"}, records(nil, false)); err == nil || !strings.Contains(err.Error(), "_etcd-client._tcp.x") {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := discovered(t.Context(), config.Etcd{Service: "x"}, records(nil, true)); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("a broken DNS: %v", err)
	}
}
