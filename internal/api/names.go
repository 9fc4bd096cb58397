package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// nameFor is how long the addresses of a name are remembered, and that it has none: requests must not become requests
	// to a name server.
	nameFor = 10 * time.Second
	// nameWithin is how long a name server gets.
	nameWithin = 2 * time.Second
	// maxNames bounds what is remembered.
	maxNames = 1000
)

// names are the addresses of hosts, as they were found last.
type names struct {
	mu    sync.Mutex
	known map[string]found
}

type found struct {
	at        time.Time
	addresses []netip.Addr
	known     bool
}

// addresses are those of a host. The bool is false when they cannot be found out; they are then those that it had before.
func (n *names) addresses(ctx context.Context, o *inForce, host string, log *slog.Logger) ([]netip.Addr, bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{plain(a)}, true
	}
	n.mu.Lock()
	last, known := n.known[host]
	n.mu.Unlock()
	if known && time.Since(last.at) < nameFor || o.Resolve == nil {
		return last.addresses, last.known
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), nameWithin)
	defer cancel()
	all, err := o.Resolve(ctx, host)
	if err != nil {
		log.WarnContext(ctx, "the address of a member's host cannot be found", slog.String("host", host), slog.Any("err", err))
		all = last.addresses
	}
	for i := range all {
		all[i] = plain(all[i])
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= maxNames {
		n.known = map[string]found{}
	}
	n.known[host] = found{time.Now(), all, err == nil}
	return all, err == nil
}

// Networks makes out the items of an allow list: addresses, networks and names of hosts. The error names those that are
// none of these; the others count.
func Networks(ctx context.Context, items []string, resolve func(ctx context.Context, host string) ([]netip.Addr, error)) ([]netip.Prefix, error) {
	var all []netip.Prefix
	var wrong []error
	for _, item := range items {
		networks, err := networksOf(ctx, strings.TrimSpace(item), resolve)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("allowlist: %q: %w", item, err))
		}
		all = append(all, networks...)
	}
	return all, errors.Join(wrong...)
}

func networksOf(ctx context.Context, item string, resolve func(ctx context.Context, host string) ([]netip.Addr, error)) ([]netip.Prefix, error) {
	if base, length, isNetwork := strings.Cut(item, "/"); isNetwork {
		p, err := network(base, length)
		return []netip.Prefix{p}, err
	}
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(item); err == nil {
		addresses = append(addresses, a)
	} else {
		ctx, cancel := context.WithTimeout(ctx, nameWithin)
		defer cancel()
		if addresses, err = resolve(ctx, item); err != nil {
			return nil, err
		}
	}
	var all []netip.Prefix
	for _, a := range addresses {
		a = plain(a)
		all = append(all, netip.PrefixFrom(a, a.BitLen()))
	}
	return all, nil
}

// network reads a network, of which the length may be a number or, for IPv4, a mask such as 255.255.0.0.
func network(base, length string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(base + "/" + length)
	if mask := net.ParseIP(length).To4(); err != nil && mask != nil {
		ones, bits := net.IPMask(mask).Size()
		if bits == 0 {
			return p, errors.New("the mask has gaps")
		}
		p, err = netip.ParsePrefix(fmt.Sprintf("%s/%d", base, ones))
	}
	if err != nil {
		return p, err
	}
	return p.Masked(), nil
}
