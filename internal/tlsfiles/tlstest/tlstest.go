package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// validity is how long certificates hold, before and after the moment they were made.
const validity = 24 * time.Hour

// Authority vouches for certificates.
type Authority struct {
	// Certificate is the authority's own, which signs itself.
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Subject says for whom a certificate is. All of it may be empty.
type Subject struct {
	// Name is the common name.
	Name string
	// Serial is the number of the certificate. 0 is one that no other certificate has.
	Serial int64
	// Names are host names that a server with this certificate may have.
	Names []string
	// Addresses are addresses that a server with this certificate may have.
	Addresses []netip.Addr
}

// New makes an authority.
func New() *Authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: number(0), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-validity), NotAfter: time.Now().Add(validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &Authority{Certificate: must(x509.ParseCertificate(der)), key: key}
}

// Issue makes a key and a certificate for servers and for clients.
func (a *Authority) Issue(s Subject) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: number(s.Serial), Subject: pkix.Name{CommonName: s.Name}, DNSNames: s.Names,
		NotBefore: time.Now().Add(-validity), NotAfter: time.Now().Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, address := range s.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(address.AsSlice()))
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}
}

// Pool trusts this authority and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// PEM is the authority's certificate as files have it.
func (a *Authority) PEM() []byte { return block("CERTIFICATE", a.Certificate.Raw) }

// CertificatePEM is a certificate without its key, as files have it.
func CertificatePEM(c tls.Certificate) []byte { return block("CERTIFICATE", c.Leaf.Raw) }

// KeyPEM is the key of a certificate of this package as files have it, not encrypted (PKCS #8).
func KeyPEM(c tls.Certificate) []byte {
	return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(c.PrivateKey)))
}

// Key is the key of a certificate of this package.
func Key(c tls.Certificate) *ecdsa.PrivateKey {
	key, _ := c.PrivateKey.(*ecdsa.PrivateKey)
	return key
}

// BothPEM is a certificate followed by its key, for one file.
func BothPEM(c tls.Certificate) []byte { return append(CertificatePEM(c), KeyPEM(c)...) }

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func number(serial int64) *big.Int {
	if serial == 0 {
		return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)))
	}
	return big.NewInt(serial)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
