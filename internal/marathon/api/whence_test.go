package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// api.md §2.8, clientIp: nobody can make himself somebody else by a header.
func TestWhoseRequestItWas(t *testing.T) {
	s := configured(Config{}, Backend{Scheduler: newFake()})
	s.lookup = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host != "node2" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.2")}, nil
	}
	for _, tt := range []struct{ peer, forwarded, via, want string }{
		{"10.9.9.9:1", "", "", "10.9.9.9"},
		{"10.9.9.9:1", "1.2.3.4", "", "10.9.9.9"},                              // said by a stranger
		{"10.9.9.9:1", "1.2.3.4", "1.1 10.0.0.2:8080", "10.9.9.9"},             // who says to be a follower
		{"10.0.0.2:1", "10.9.9.9", "1.1 10.0.0.2:8080", "10.9.9.9"},            // said by a follower
		{"10.0.0.2:1", "1.2.3.4, 10.9.9.9", "1.1 10.0.0.2:8080", "10.9.9.9"},   // to whom a stranger said something
		{"10.0.0.2:1", "10.9.9.9", "1.1 node2:8080", "10.9.9.9"},               // by name
		{"10.0.0.2:1", "10.9.9.9", "1.1 node3:8080", "10.0.0.2"},               // by a name nobody has
		{"10.0.0.2:1", "10.9.9.9", "nonsense", "10.0.0.2"},                     //
		{"10.0.0.2:1", "10.9.9.9, 127.0.0.1", "1.1 10.0.0.2:8080", "10.9.9.9"}, // a proxy before the follower, beside it
		{"127.0.0.1:1", "10.9.9.9", "", "10.9.9.9"},                            // a proxy before the leader, beside it
		{"127.0.0.1:1", "", "", "127.0.0.1"},                                   //
		{"127.0.0.1:1", "unknown", "", "127.0.0.1"},                            //
		{"127.0.0.1:1", "10.9.9.9, unknown", "", "127.0.0.1"},                  // nothing before what nobody understands
		{"[::ffff:10.0.0.2]:1", "10.9.9.9", "1.1 10.0.0.2:8080", "10.9.9.9"},   //
		{"[fe80::1%eth0]:1", "10.9.9.9", "1.1 [fe80::1]:8080", "10.9.9.9"},     //
		{"@", "10.9.9.9", "", "@"},                                             // a socket that has no address
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2/apps", nil)
		r.RemoteAddr = tt.peer
		r.Header.Set("X-Forwarded-For", tt.forwarded)
		if tt.via != "" {
			r.Header.Set(via, tt.via)
		}
		if got := s.clientIP(r); got != tt.want {
			t.Errorf("from %s, forwarded for %q via %q: %s, want %s", tt.peer, tt.forwarded, tt.via, got, tt.want)
		}
	}
}
