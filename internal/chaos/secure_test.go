package chaos

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/kv/etcd3"
)

// TestSecure runs a cluster of both kinds where every connection to etcd and to a REST API is TLS and shows a
// certificate: the members race, hand over and are operated as without, and who has no certificate gets nothing.
func TestSecure(t *testing.T) {
	_, four := kinds(t.Context(), t)
	needPeers(t, "etcd")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	withTLS := func(c *AgentsConfig) { c.TLS = true }
	f := newMixedField(ctx, t, seeded(t), four, []bool{true, false, false}, promised{mode: "on", nodes: 1}, withTLS)
	defer f.report(ctx)
	moves := mixedMoves()
	for _, d := range []mixedDeed{moves[0], moves[1], moves[3], mixedDisturbances()[4], moves[2], mixedDisturbances()[5], mixedDisturbances()[6]} {
		o, err := f.perform(ctx, d)
		t.Logf("%s: no write for %d ms, done after %.1f s", o, o.outage.Milliseconds(), o.took.Seconds())
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range f.Names() {
		refusesStrangers(ctx, t, f, name)
	}
	stranger := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.secured.client.RootCAs}
	limited, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if store, err := etcd3.Open(limited, etcd3.Config{Endpoints: f.layout.EtcdEndpoints(), TLS: stranger}); err == nil {
		t.Error("etcd serves who has no certificate")
		store.Close() //nolint:errcheck // it should not be open
	}
	if _, err := f.settled(ctx, true); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f.total)
}

// refusesStrangers asks a member without a certificate, without TLS, and with a certificate but no login.
func refusesStrangers(ctx context.Context, t *testing.T, f *mixedField, name string) {
	t.Helper()
	stranger := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.secured.client.RootCAs},
	}}
	if code, text, err := sendTo(ctx, stranger, http.MethodGet, f.url(name)+"/liveness", ""); err == nil {
		t.Errorf("%s serves who has no certificate: %d %s", f.named(name), code, text)
	}
	if code, text, err := f.Send(ctx, name, http.MethodPost, "/restart", "{}"); err != nil || code != http.StatusUnauthorized {
		t.Errorf("%s has itself restarted by who does not log in: %d %s %v", f.named(name), code, text, err)
	}
	plain := "http" + f.url(name)[len("https"):]
	if code, text, err := sendTo(ctx, stranger, http.MethodGet, plain+"/liveness", ""); err == nil && code < http.StatusBadRequest {
		t.Errorf("%s serves who speaks no TLS: %d %s", f.named(name), code, text)
	}
}
