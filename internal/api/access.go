package api

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// The texts of refusals, which are Patroni's but the last two.
const (
	textDenied      = "Access is denied"
	textCertificate = "client certificate required"
	textNoLogin     = "no auth header received"
	textWrongLogin  = "not authenticated"
	textOtherSite   = textDenied + ": the request comes from a page of another site"
	textStranger    = textDenied + ": changes are accepted from hosts of members only, unless restapi.authentication, restapi.verify_client, " +
		"restapi.allowlist or restapi.allow_from_anywhere says who else may ask"
)

// admits reports whether whoever sent a request may change something, and answers those who may not. Where something is
// in the way twice, the first of address, certificate and login is told, as Patroni does.
//
// failsafe is for the question of a primary that lost the DCS: a member's host may always ask it, and so may whoever may be
// one for all that is known, because a primary that is not answered has to stop. Where Patroni looks at the list alone, so
// do we.
func (s *Server) admits(w http.ResponseWriter, r *http.Request, failsafe bool) bool {
	code, text := s.objection(r, failsafe)
	if text == "" {
		return true
	}
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Patroni"`)
	}
	done(w)
	say(w, code, text)
	return false
}

// objection is why whoever sent a request may not change anything; an empty text for whoever may.
func (s *Server) objection(r *http.Request, failsafe bool) (code int, text string) {
	o := s.options.Load()
	switch {
	case !s.placed(r, o, failsafe):
		return http.StatusForbidden, textDenied
	case o.TLS != nil && o.Certified && (r.TLS == nil || len(r.TLS.PeerCertificates) == 0):
		return http.StatusForbidden, textCertificate
	case o.login != nil && len(r.Header["Authorization"]) == 0:
		return http.StatusUnauthorized, textNoLogin
	case o.login != nil && !o.knows(r):
		return http.StatusUnauthorized, textWrongLogin
	case !o.protected() && !s.near(r, o, failsafe):
		return http.StatusForbidden, textStranger
	case !o.protected() && http.NewCrossOriginProtection().Check(r) != nil:
		return http.StatusForbidden, textOtherSite
	}
	return 0, ""
}

// protected reports whether the operator said who may change something, or that everybody may.
func (o *inForce) protected() bool {
	return o.login != nil || o.TLS != nil && o.Certified || o.Listed || o.AllowMembers || o.Open
}

// placed reports whether a request comes from where the allow list has it come from.
func (s *Server) placed(r *http.Request, o *inForce, failsafe bool) bool {
	if !o.Listed && (!o.AllowMembers || failsafe) {
		return true
	}
	from := remote(r)
	if slices.ContainsFunc(o.Allow, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return true
	}
	return (o.AllowMembers || failsafe) && s.ofMember(r.Context(), o, from, failsafe)
}

// knows reports whether a request has the right login. What that takes does not depend on how wrong it is.
func (o *inForce) knows(r *http.Request) bool {
	username, password, given := r.BasicAuth()
	sum := loginSum(username, password)
	return subtle.ConstantTimeCompare(sum[:], o.login[:]) == 1 && given
}

// near reports whether a request comes from this host or from a member's.
func (s *Server) near(r *http.Request, o *inForce, failsafe bool) bool {
	from := remote(r)
	return from.IsLoopback() || own(from) || s.ofMember(r.Context(), o, from, failsafe)
}

// remote is the address that a request came from; the zero address, which nothing contains, where that is unknown.
func remote(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return plain(from.Addr())
}

// plain is an address in the one form in which it is compared.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// own reports whether an address is one of this host.
func own(from netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		network, err := netip.ParsePrefix(a.String())
		return err == nil && plain(network.Addr()) == from
	})
}

// ofMember reports whether an address is that of a host which a member announced for its API or its server. Where that
// cannot be told, because the members or their addresses are not known, it is what the caller gives it the benefit of.
func (s *Server) ofMember(ctx context.Context, o *inForce, from netip.Addr, doubt bool) bool {
	now := s.agent.Snapshot()
	told := !now.Seen.IsZero()
	for _, m := range now.Cluster.Members {
		for _, host := range hosts(m) {
			addresses, known := s.names.addresses(ctx, o, host, s.log)
			if slices.Contains(addresses, from) {
				return true
			}
			told = told && known
		}
	}
	return doubt && !told
}

func hosts(m cluster.Member) []string {
	var all []string
	for _, address := range []string{m.APIURL, m.ConnURL} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" && !slices.Contains(all, u.Hostname()) {
			all = append(all, u.Hostname())
		}
	}
	return all
}
