package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// members are an agent whose cluster has members at 10.0.0.2, at the host "named" and at a server of 10.0.0.4.
func members() *fakeAgent {
	a := agentLedBy("n1")
	a.now.Settings.FailsafeMode = true
	a.now.Cluster.Members = []cluster.Member{
		{Name: "n2", APIURL: "http://10.0.0.2:8008/patroni"},
		{Name: "n3", APIURL: "http://named:8008/patroni"},
		{Name: "n4", APIURL: "http://10.0.0.5:8008/patroni", ConnURL: "postgres://10.0.0.4:5432/postgres"},
		{Name: "n5", APIURL: "nonsense:"},
	}
	return a
}

func resolver(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("fd00::3")}, nil
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func TestWhoMayChangeSomething(t *testing.T) {
	const login, wrong, other = "Basic bWU6c2VjcmV0", "Basic bWU6c2VjcmV1", "Bearer bWU6c2VjcmV0"
	closed := Options{Resolve: resolver}
	password := Options{Username: "me", Password: "secret"}
	listed := Options{Listed: true, Allow: prefixes("192.0.2.0/24"), Resolve: resolver}
	both := Options{Listed: true, Allow: prefixes("192.0.2.0/24"), AllowMembers: true, Resolve: resolver}
	onlyMembers := Options{AllowMembers: true, Resolve: resolver}
	unusable := Options{Listed: true}
	certified := Options{TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Certified: true, Username: "me", Password: "secret"}
	cases := []struct {
		name string
		o    Options
		from string
		auth string
		cert bool
		code int
		text string
	}{
		{"this host", closed, "127.0.0.1", "", false, 202, "reload scheduled"},
		{"this host over IPv6", closed, "[::1]", "", false, 202, "reload scheduled"},
		{"a member", closed, "10.0.0.2", "", false, 202, "reload scheduled"},
		{"a member by name", closed, "10.0.0.3", "", false, 202, "reload scheduled"},
		{"a member by name over IPv6", closed, "[fd00::3]", "", false, 202, "reload scheduled"},
		{"a member's IPv4 address in IPv6", closed, "[::ffff:10.0.0.2]", "", false, 202, "reload scheduled"},
		{"a member's server", closed, "10.0.0.4", "", false, 202, "reload scheduled"},
		{"a stranger", closed, "192.0.2.9", "", false, 403, textStranger},
		{"a stranger who is welcome", Options{Open: true}, "192.0.2.9", "", false, 202, "reload scheduled"},
		{"no login", password, "127.0.0.1", "", false, 401, "no auth header received"},
		{"the wrong login", password, "127.0.0.1", wrong, false, 401, "not authenticated"},
		{"another kind of login", password, "127.0.0.1", other, false, 401, "not authenticated"},
		{"an empty login", password, "127.0.0.1", "Basic ", false, 401, "not authenticated"},
		{"a stranger with the login", password, "192.0.2.9", login, false, 202, "reload scheduled"},
		{"listed", listed, "192.0.2.9", "", false, 202, "reload scheduled"},
		{"not listed", listed, "192.0.3.9", "", false, 403, "Access is denied"},
		{"a member not listed", listed, "10.0.0.2", "", false, 403, "Access is denied"},
		{"listed beside members", both, "192.0.2.9", "", false, 202, "reload scheduled"},
		{"a member beside a list", both, "10.0.0.2", "", false, 202, "reload scheduled"},
		{"neither", both, "10.0.0.9", "", false, 403, "Access is denied"},
		{"only members: one", onlyMembers, "10.0.0.2", "", false, 202, "reload scheduled"},
		{"only members: another", onlyMembers, "127.0.0.1", "", false, 403, "Access is denied"},
		{"a list of which nothing could be made out", unusable, "127.0.0.1", "", false, 403, "Access is denied"},
		{"a certificate and the login", certified, "192.0.2.9", login, true, 202, "reload scheduled"},
		{"no certificate", certified, "192.0.2.9", login, false, 403, "client certificate required"},
		{"a certificate alone", certified, "192.0.2.9", "", true, 401, "no auth header received"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := ask(members(), c.o, http.MethodPost, "/reload", c.from, c.auth, c.cert)
			if w.Code != c.code || w.Body.String() != c.text {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.code, c.text)
			}
			if asked := w.Header().Get("WWW-Authenticate"); (asked == `Basic realm="Patroni"`) != (c.code == 401) {
				t.Errorf("asked for a login: %q", asked)
			}
		})
	}
}

func ask(a Agent, o Options, method, path, from, auth string, cert bool) *httptest.ResponseRecorder {
	s := New(a, slog.New(slog.DiscardHandler))
	s.Configure(o)
	r := httptest.NewRequest(method, path, strings.NewReader(`{"name":"n2"}`))
	r.RemoteAddr = from + ":40000"
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	if cert {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// A primary that is not answered has to stop: whoever may be a member is answered while that cannot be told.
func TestFailsafeInDoubt(t *testing.T) {
	listed := Options{Listed: true, Resolve: resolver}
	nameless := Options{Resolve: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no answer") }}
	never := members()
	never.now.Seen, never.now.Cluster.Members = time.Time{}, nil
	cases := []struct {
		name string
		a    *fakeAgent
		o    Options
		path string
		code int
	}{
		{"the members were never seen", never, Options{}, "/failsafe", 200},
		{"and there is a list", never, listed, "/failsafe", 200},
		{"no operator", never, Options{}, "/reload", 403},
		{"a name without an address", members(), nameless, "/failsafe", 200},
		{"no operator either", members(), nameless, "/reload", 403},
		{"all is known", members(), Options{Resolve: resolver}, "/failsafe", 403},
	}
	for _, c := range cases {
		if w := ask(c.a, c.o, http.MethodPost, c.path, "192.0.2.9", "", false); w.Code != c.code {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.code)
		}
	}
}

// A page that somebody looks at on this host gives no orders.
func TestPagesOfOtherSites(t *testing.T) {
	for origin, want := range map[string]int{"": 202, "http://example.com": 202, "http://elsewhere.example": 403} {
		s := New(members(), quiet())
		r := httptest.NewRequest(http.MethodPost, "http://example.com/reload", http.NoBody)
		r.RemoteAddr = "127.0.0.1:40000"
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: %d %s", origin, w.Code, w.Body)
		}
	}
}

// A primary that lost the DCS is answered whatever list there is for operators.
func TestFailsafeIsForMembers(t *testing.T) {
	listed := Options{Listed: true, Allow: prefixes("192.0.2.0/24"), Resolve: resolver}
	cases := []struct {
		name, from string
		o          Options
		code       int
	}{
		{"a member", "10.0.0.2", Options{}, 200},
		{"a stranger", "192.0.2.9", Options{Resolve: resolver}, 403},
		{"a member beside a list", "10.0.0.2", listed, 200},
		{"listed", "192.0.2.9", listed, 200},
		{"neither", "192.0.3.9", listed, 403},
		{"only members, which Patroni does not ask here", "192.0.3.9", Options{AllowMembers: true}, 200},
		{"a member without the login", "10.0.0.2", Options{Username: "me", Password: "secret"}, 401},
	}
	for _, c := range cases {
		if w := ask(members(), c.o, http.MethodPost, "/failsafe", c.from, "", false); w.Code != c.code {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.code)
		}
	}
}

func TestEverybodyMayRead(t *testing.T) {
	o := Options{Username: "me", Password: "secret", Listed: true}
	for _, path := range []string{"/patroni", "/cluster", "/config", "/history", "/metrics", "/failsafe", "/liveness", "/readiness", "/health"} {
		if w := ask(members(), o, http.MethodGet, path, "192.0.2.9", "", false); w.Code == 401 || w.Code == 403 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := ask(members(), o, http.MethodPost, "/mpp", "192.0.2.9", "", false); w.Code != 200 || w.Body.String() != "OK" {
		t.Errorf("POST /mpp: %d %s", w.Code, w.Body)
	}
}

// A name server is asked once for many requests, also when it knows nothing.
func TestNamesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := New(members(), slog.New(slog.DiscardHandler))
		s.Configure(Options{Resolve: func(context.Context, string) ([]netip.Addr, error) {
			asked++
			return nil, errors.New("no such host")
		}})
		post := func() {
			r := httptest.NewRequest(http.MethodPost, "/reload", http.NoBody)
			s.ServeHTTP(httptest.NewRecorder(), r)
		}
		post()
		post()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(nameFor)
		post()
		if asked != 2 {
			t.Errorf("asked %d times after a while", asked)
		}
	})
}

func TestNetworks(t *testing.T) {
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "named" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.3")}, nil
	}
	got, err := Networks(t.Context(), []string{
		"192.0.2.1", "10.1.2.3/8", "172.16.5.0/255.255.0.0", "fd00::1", "named", " ::1 ", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "unknown",
	}, resolve)
	var texts []string
	for _, p := range got {
		if p.IsValid() {
			texts = append(texts, p.String())
		}
	}
	want := []string{"192.0.2.1/32", "10.0.0.0/8", "172.16.0.0/16", "fd00::1/128", "10.0.0.3/32", "::1/128"}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
	for _, word := range []string{"10.0.0.0/33", "10.0.0.0/255.0.255.0", `"unknown": no such host`} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not told: %v", word, err)
		}
	}
}

func TestCipherSuites(t *testing.T) {
	cases := []struct {
		list    string
		want    []uint16
		unknown []string
	}{
		{"", nil, nil},
		{"ECDHE-RSA-AES128-GCM-SHA256", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, nil},
		{"ECDHE+AESGCM+AES256, aNULL", []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}, []string{"aNULL"}},
		{
			"HIGH:!SHA1:!CHACHA20:!aECDSA:!MD5:@STRENGTH",
			[]uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
			nil,
		},
		{"AES128-SHA:TLS_AES_128_GCM_SHA256", []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}, nil},
		{"DHE-RSA-AES128-SHA", nil, []string{"DHE-RSA-AES128-SHA"}},
	}
	for _, c := range cases {
		got, unknown := CipherSuites(c.list)
		if diff := cmp.Diff(c.want, got) + cmp.Diff(c.unknown, unknown); diff != "" {
			t.Errorf("%s: %s", c.list, diff)
		}
	}
}
