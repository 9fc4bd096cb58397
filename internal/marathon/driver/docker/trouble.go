package docker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// trouble says why a daemon cannot be reached where somebody has to change a certificate or an option for it: in one sentence,
// with what it is about. Other errors stay as they are.
func (m *daemon) trouble(err error) error {
	at, files := m.cfg.Endpoint, m.cfg.TLS
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	text := err.Error()
	switch {
	case errors.As(err, &authority):
		return fmt.Errorf("the certificate of docker daemon %s is not one that %s vouches for", at, files.CA)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate of docker daemon %s is for another name or address: %w", at, name)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate of docker daemon %s does not count: %w", at, invalid)
	case errors.As(err, &record), strings.Contains(text, "gave HTTP response to HTTPS client"):
		return fmt.Errorf("docker daemon %s does not speak TLS, leave its certificates out or choose another port", at)
	case strings.Contains(text, "HTTP request to an HTTPS server"), strings.Contains(text, "malformed HTTP response"):
		return fmt.Errorf("docker daemon %s speaks TLS and nothing else, it needs certificates", at)
	case strings.Contains(text, "remote error: tls:"):
		return fmt.Errorf("docker daemon %s does not accept the certificate %s", at, files.Cert)
	}
	return err
}

// tellTrouble logs why a daemon cannot be reached that was not followed yet: once for each reason, for it is tried every second.
func (d *Driver) tellTrouble(m *daemon, err error) {
	level := slog.LevelDebug
	if err.Error() != m.told {
		m.told, level = err.Error(), slog.LevelWarn
	}
	d.log.Log(d.life, level, "a docker daemon cannot be reached", slog.String("endpoint", m.cfg.Endpoint), slog.Any("err", err))
}
