package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/config"
)

// What is checked of a member's certificate: everything by operators, unless they say otherwise; by agents what they can.
func TestHowMembersAreCalled(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "both.pem")
	certify(t, cert, 1)
	shown := config.ClientTLS{Cert: cert, CA: cert}
	insecure := shown
	insecure.Insecure = true
	cases := []struct {
		name         string
		tls          config.ClientTLS
		agent        bool
		hosts, chain bool
	}{
		{"operator", config.ClientTLS{}, false, true, false},
		{"operator with a certificate", shown, false, true, false},
		{"operator who does not care", config.ClientTLS{Insecure: true}, false, false, false},
		{"operator who does not care, with a certificate", insecure, false, false, true},
		{"agent", config.ClientTLS{CA: cert}, true, false, false},
		{"agent with a certificate", shown, true, false, true},
	}
	for _, c := range cases {
		call := peerOptions
		if c.agent {
			call = agentPeerOptions
		}
		got, err := call(config.Ctl{ClientTLS: c.tls, Login: config.BasicLogin{Username: "ctl", Password: "correct horse"}})
		if err != nil || got.TLS.InsecureSkipVerify == c.hosts || (got.TLS.VerifyConnection != nil) != c.chain {
			t.Errorf("%s: %v, %+v", c.name, err, got)
			continue
		}
		if (got.TLS.GetClientCertificate != nil) != (c.tls.Cert != "") || got.Username != "ctl" || got.Password != "correct horse" {
			t.Errorf("%s: it does not show who it is", c.name)
		}
	}
	_, err := peerOptions(config.Ctl{ClientTLS: config.ClientTLS{CA: "/does/not/exist.pem"}})
	if err == nil || !strings.HasPrefix(err.Error(), "speak TLS with members: ") {
		t.Errorf("%v", err)
	}
}

func TestEtcdOverTLS(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "both.pem")
	certify(t, cert, 1)
	etcd := config.Etcd{Hosts: []string{"10.0.0.1:2379"}, ClientTLS: config.ClientTLS{Cert: cert, CA: cert}}
	plain, err := etcdConfig(etcd, nil, false)
	if err != nil || plain.TLS != nil {
		t.Errorf("without TLS: %v %+v", err, plain)
	}
	etcd.Secure = true
	secure, err := etcdConfig(etcd, nil, true)
	if err != nil || secure.TLS == nil || secure.TLS.InsecureSkipVerify || secure.TLS.GetClientCertificate == nil || !secure.Lazy {
		t.Errorf("with TLS: %v %+v", err, secure)
	}
	etcd.CA = "/does/not/exist.pem"
	if _, err := etcdConfig(etcd, nil, false); err == nil || !strings.HasPrefix(err.Error(), "speak TLS with etcd: ") {
		t.Errorf("%v", err)
	}
}
