package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

func serve(t *testing.T, handler http.HandlerFunc) (*Client, string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c := New(nil, Options{})
	t.Cleanup(c.Close)
	return c, s.URL
}

// Answers as Patroni 4.1 gives them: a standby has received and replayed positions, a primary one location.
func TestStatusOfBothRoles(t *testing.T) {
	cases := map[string]struct {
		body     string
		recovery bool
		position uint64
	}{
		"standby": {`{"state":"running","role":"replica","xlog":{"received_location":9,"replayed_location":7},"timeline":1}`, true, 9},
		"primary": {`{"state":"running","role":"primary","xlog":{"location":11},"timeline":1}`, false, 11},
		"old":     {`{"state":"running","role":"master","wal":{"location":12}}`, false, 12},
		"silent":  {`{"state":"stopped","role":"replica"}`, true, 0},
	}
	for name, c := range cases {
		client, base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(c.body)) })
		s, err := client.Status(t.Context(), base+"/patroni")
		if err != nil || s.InRecovery() != c.recovery || uint64(s.Position()) != c.position {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
}

func TestANoIsAnAnswerAndSilenceIsNot(t *testing.T) {
	client, base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "leader name does not match", http.StatusPreconditionFailed)
	})
	a, err := client.Send(t.Context(), http.MethodPost, base+"/switchover", map[string]string{"leader": "a"})
	if err != nil || a.OK() || a.Code != http.StatusPreconditionFailed || a.Text != "leader name does not match" {
		t.Errorf("%+v %v", a, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	quiet, base := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if _, err := quiet.Send(ctx, http.MethodGet, base, nil); err == nil {
		t.Error("silence was taken for an answer")
	}
}

func TestAliasesAreDialled(t *testing.T) {
	_, base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{}`)) })
	c := New(map[string]string{"node1": "127.0.0.1"}, Options{})
	defer c.Close()
	port := base[len("http://127.0.0.1:"):]
	if !c.Alive(t.Context(), cluster.Member{APIURL: "http://node1:" + port + "/patroni"}) {
		t.Error("the member behind the alias was not reached")
	}
}

func TestFailsafeCall(t *testing.T) {
	var got string
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = r.Method + " " + r.URL.String() + " " + string(body)
		w.Write([]byte("Accepted"))
	})
	call := FailsafeCall{Name: "n1", ConnURL: "postgres://n1:5432/postgres", APIURL: "http://n1:8008/patroni", Slots: map[string]wal.LSN{"n2": 96}}
	a, err := client.Failsafe(t.Context(), base+"/patroni?x", call)
	want := `POST /failsafe {"name":"n1","conn_url":"postgres://n1:5432/postgres","api_url":"http://n1:8008/patroni","slots":{"n2":96}}`
	if err != nil || a.Code != http.StatusOK || a.Text != FailsafeAccepted || got != want {
		t.Errorf("%+v %v, sent %s", a, err, got)
	}
	if _, err := client.Failsafe(t.Context(), "http://[::1", call); err == nil {
		t.Error("an address that is none was accepted")
	}
}

// secure is a member that speaks TLS and demands a login.
func secure(t *testing.T) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "ctl" || password != "correct horse" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, pool
}

func TestMembersThatSpeakTLSAndAskForALogin(t *testing.T) {
	s, pool := secure(t)
	c := New(nil, Options{TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	defer c.Close()
	if a, err := c.Send(t.Context(), http.MethodPost, s.URL, nil); err != nil || a.Code != http.StatusUnauthorized {
		t.Errorf("without a login: %v %v", a, err)
	}
	c.Configure(Options{TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, Username: "ctl", Password: "correct horse"})
	if a, err := c.Send(t.Context(), http.MethodPost, s.URL, nil); err != nil || a.Code != http.StatusOK {
		t.Errorf("with one: %v %v", a, err)
	}
	c.Configure(Options{Username: "ctl", Password: "correct horse"})
	_, err := c.Send(t.Context(), http.MethodPost, s.URL, nil)
	if err == nil || strings.Contains(err.Error(), "correct horse") {
		t.Errorf("a certificate of an unknown authority: %v", err)
	}
}

func TestWhetherARequestWasSent(t *testing.T) {
	c := New(nil, Options{})
	defer c.Close()
	if _, err := c.Send(t.Context(), http.MethodPost, "http://127.0.0.1:1/switchover", nil); !NotSent(err) {
		t.Errorf("nobody listens there: %v", err)
	}
	breaking, url := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := breaking.Send(t.Context(), http.MethodPost, url, nil); err == nil || NotSent(err) {
		t.Errorf("it may have been carried out: %v", err)
	}
}
