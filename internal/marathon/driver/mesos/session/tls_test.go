package session_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// TestMastersThatSpeakTLS subscribes with a master that proves itself, and wants a certificate in turn.
func TestMastersThatSpeakTLS(t *testing.T) {
	authority := tlstest.New()
	here := tlstest.Subject{Addresses: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	m := &master{answer: func(w http.ResponseWriter, r *http.Request, call wire.Call) {
		if call.Type == wire.CallSubscribe {
			stream(w, r, "one", subscribed(15))
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}}
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(m.serve))
	m.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{authority.Issue(here)}, ClientCAs: authority.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	m.StartTLS()
	t.Cleanup(m.Close)
	s := start(t, session.Config{
		Masters: []string{strings.TrimPrefix(m.URL, "https://")},
		TLS:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority.Pool(), Certificates: []tls.Certificate{authority.Issue(tlstest.Subject{Name: "scheduler"})}},
	})
	next(t, s.subscribed)
	if err := s.Call(t.Context(), wire.Call{Type: wire.CallRevive}); err != nil {
		t.Error(err)
	}
}
