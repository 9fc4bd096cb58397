package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/api"
	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/tlsfiles"
)

// rest keeps the REST API as the configuration wants it.
type rest struct {
	server *api.Server
	// tls is what was spoken last: it stays when the files of a reload cannot be used.
	tls     *tls.Config
	aliases map[string]string
	log     *slog.Logger
}

func newREST(a *agent.Agent, aliases map[string]string, log *slog.Logger) *rest {
	return &rest{server: api.New(a, log), aliases: aliases, log: log}
}

// openREST begins to listen. Connections wait until somebody serves.
func openREST(ctx context.Context, at config.Endpoint) (net.Listener, error) {
	host := at.Hosts[0]
	if host == "*" {
		host = ""
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(at.Port)))
	if err != nil {
		return nil, fmt.Errorf("open the REST API: %w; choose another restapi.listen or end what uses the port", err)
	}
	return l, nil
}

// configure brings a configuration into force. The error says that its certificates cannot be used; everything else is
// in force all the same.
func (r *rest) configure(ctx context.Context, cfg config.RestAPI) error {
	spoken, err := r.speak(ctx, cfg.TLS)
	if err == nil {
		r.tls = spoken
	}
	allow, wrong := api.Networks(ctx, cfg.Allowlist, r.resolve)
	if wrong != nil {
		r.log.ErrorContext(ctx, "part of the allow list is left out", slog.Any("err", wrong))
	}
	header := map[string]string{}
	maps.Copy(header, cfg.Headers)
	if r.tls != nil {
		maps.Copy(header, cfg.HTTPSHeaders)
	}
	r.server.Configure(api.Options{
		Username: cfg.Login.Username, Password: cfg.Login.Password,
		TLS: r.tls, Certified: cfg.TLS.Verify != config.VerifyNone,
		Listed: len(cfg.Allowlist) > 0, Allow: allow, AllowMembers: cfg.AllowMembers, Open: cfg.Open,
		Header: header, Product: product(cfg.ServerTokens), Resolve: r.resolve,
	})
	return err
}

// speak reads the files of TLS; nil where it is off.
func (r *rest) speak(ctx context.Context, files config.ServerTLS) (*tls.Config, error) {
	if !files.On() {
		return nil, nil //nolint:nilnil // that is what off looks like to crypto/tls, too
	}
	asked := map[config.VerifyClient]tls.ClientAuthType{
		config.VerifyNone: tls.NoClientCert, config.VerifyOptional: tls.VerifyClientCertIfGiven, config.VerifyRequired: tls.RequireAndVerifyClientCert,
	}
	cfg, err := tlsfiles.Server(files.Cert, files.Key, files.KeyPassword, files.CA, asked[files.Verify])
	if err != nil {
		return nil, fmt.Errorf("restapi: %w", err)
	}
	var unknown []string
	cfg.CipherSuites, unknown = api.CipherSuites(files.Ciphers)
	if len(unknown) > 0 {
		r.log.WarnContext(ctx, "part of restapi.ciphers is left out", slog.String("unknown", strings.Join(unknown, " ")))
	}
	if files.Ciphers != "" && len(cfg.CipherSuites) == 0 {
		r.log.WarnContext(ctx, "restapi.ciphers names nothing for TLS 1.2, which goes on with what is usual")
	}
	return cfg, nil
}

// resolve finds the addresses of a host.
func (r *rest) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if known, ok := r.aliases[host]; ok {
		a, err := netip.ParseAddr(known)
		return []netip.Addr{a}, err
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// product is what the API says of itself. Whoever asked for less than everything sees what Patroni would have said.
func product(tokens config.ServerTokens) string {
	switch tokens {
	case config.TokensProduct:
		return "Patroni"
	case config.TokensMinimal:
		return "Patroni/" + agent.Version
	case config.TokensOriginal:
	}
	return "pgbaton/" + build
}

// apiURL is where other members find this one.
func apiURL(cfg config.RestAPI) string {
	scheme := "http"
	if cfg.TLS.On() {
		scheme = "https"
	}
	return scheme + "://" + cfg.Connect + "/patroni"
}
