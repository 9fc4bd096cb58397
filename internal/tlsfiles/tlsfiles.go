package tlsfiles

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/youmark/pkcs8"

	"github.com/pgbaton/pgbaton/internal/secret"
)

// Verify says how much of a server's certificate a client checks.
type Verify int

// What a client checks.
const (
	// VerifyFull checks that an authority vouches for the certificate, and that it is for the host that was called.
	VerifyFull Verify = iota
	// VerifyChain checks the authority and no host name.
	VerifyChain
	// VerifyNothing takes every certificate.
	VerifyNothing
)

// Client makes the configuration of a client. ca is the file of the authorities it trusts; empty: those of the system.
// cert and key are what it shows of itself; without cert nothing, and without key that is in the file of cert. They are
// read again for every connection, as long as that works, so that renewed ones need no restart.
func Client(ca, cert, key string, password secret.Text, verify Verify) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" && verify != VerifyNothing {
		pool, err := Authorities(ca)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = pool
	}
	if cert != "" {
		first, err := KeyPair(cert, key, password)
		if err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if now, err := KeyPair(cert, key, password); err == nil {
				return &now, nil
			}
			return &first, nil
		}
	}
	cfg.InsecureSkipVerify = verify != VerifyFull
	if verify == VerifyChain {
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return checkChain(cfg.RootCAs, state) }
	}
	return cfg, nil
}

// checkChain checks that an authority vouches for a server's certificate.
func checkChain(roots *x509.CertPool, state tls.ConnectionState) error {
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	return err
}

// Server makes the configuration of a server. clients says which of them have to show a certificate; it is checked
// against the authorities of the file ca, those of the system where that is empty.
func Server(cert, key string, password secret.Text, ca string, clients tls.ClientAuthType) (*tls.Config, error) {
	own, err := KeyPair(cert, key, password)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}, ClientAuth: clients}
	if ca == "" {
		return cfg, nil
	}
	cfg.ClientCAs, err = Authorities(ca)
	return cfg, err
}

// Authorities reads the certificates of authorities from a PEM file.
func Authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("read the certificates of authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate: give a PEM file with the certificate of the authority", file)
	}
	return pool, nil
}

// KeyPair reads a certificate, with what leads to its authority, and its key from PEM files. An empty name of the key's
// file means that it is in the file of the certificate. The password opens an encrypted key, PKCS #8 or of the older kind.
func KeyPair(cert, key string, password secret.Text) (tls.Certificate, error) {
	chain, err := os.ReadFile(filepath.Clean(cert))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate: %w", err)
	}
	key = cmp.Or(key, cert)
	text, err := os.ReadFile(filepath.Clean(key))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the key of the certificate: %w", err)
	}
	plain, err := openKey(text, password)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the key in %s: %w", key, err)
	}
	pair, err := tls.X509KeyPair(chain, plain)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("use the certificate in %s with the key in %s: %w", cert, key, err)
	}
	return pair, nil
}

var (
	errNoPassword    = errors.New("the key is encrypted: give its password")
	errWrongPassword = errors.New("the password does not open the key")
)

// openKey returns the PEM text of a key that needs no password any more; a text without an encrypted key as it is.
func openKey(text []byte, password secret.Text) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		old := x509.IsEncryptedPEMBlock(block) //nolint:staticcheck // weak, but files that users have are of this kind
		switch {
		case !old && block.Type != "ENCRYPTED PRIVATE KEY":
			continue
		case password == "":
			return nil, errNoPassword
		case old:
			return openOld(block, password)
		default:
			return openPKCS8(block, password)
		}
	}
}

func openOld(block *pem.Block, password secret.Text) ([]byte, error) {
	der, err := x509.DecryptPEMBlock(block, []byte(password.Reveal())) //nolint:staticcheck // see openKey
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errWrongPassword
	}
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
}

func openPKCS8(block *pem.Block, password secret.Text) ([]byte, error) {
	key, _, err := pkcs8.ParsePrivateKey(block.Bytes, []byte(password.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errWrongPassword, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
