package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lookupTimeout bounds the question where a follower is that calls itself by a name.
const lookupTimeout = time.Second

var errLookup = errors.New("the name of a follower was not resolved in time")

// clientIP is whose request it was. Somebody else's word for it is taken only from this machine and from the address that a
// follower says it has: there the last stranger on the way is meant, for what stands before was written by that stranger.
func (s *Server) clientIP(r *http.Request) string {
	peer := addressOf(r.RemoteAddr)
	if !peer.IsValid() {
		return r.RemoteAddr
	}
	if !peer.IsLoopback() && !s.isFollower(r, peer) {
		return peer.String()
	}
	for _, hop := range slices.Backward(strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")) {
		client, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		if peer = client.Unmap(); !peer.IsLoopback() {
			break
		}
	}
	return peer.String()
}

// addressOf is the address in "host:port", without a zone; an invalid one where there is none.
func addressOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap().WithZone("")
}

// isFollower reports whether the last scheduler that a request says it came through is at the address it came from.
func (s *Server) isFollower(r *http.Request, peer netip.Addr) bool {
	ways := r.Header.Values(via)
	if len(ways) == 0 {
		return false
	}
	_, address, _ := strings.Cut(ways[len(ways)-1], " ")
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().WithZone("") == peer
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), lookupTimeout, errLookup)
	defer cancel()
	found, err := s.lookup(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap().WithZone("") == peer })
}
