package postgres

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/secret"
	"github.com/pgbaton/pgbaton/internal/tlsfiles/tlstest"
)

// authority issues certificates as files.
type authority struct {
	*tlstest.Authority
	dir string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{tlstest.New(), t.TempDir()}
	a.write(t, "ca.crt", a.PEM())
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(a.path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes NAME.crt and NAME.key for a server on the loopback and for a client of that name. The key is encrypted where
// there is a password.
func (a *authority) issue(t *testing.T, name, password string) {
	t.Helper()
	cert := a.Issue(tlstest.Subject{Name: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}})
	a.write(t, name+".crt", tlstest.CertificatePEM(cert))
	if password == "" {
		a.write(t, name+".key", tlstest.KeyPEM(cert))
		return
	}
	plain, err := x509.MarshalECPrivateKey(tlstest.Key(cert))
	if err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // the form of encrypted keys that every program reads
	closed, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", plain, []byte(password), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".key", pem.EncodeToMemory(closed))
}

// login is a role that proves itself by its certificate.
func (a *authority) login(name, keyWord string) Login {
	l := Login{Username: name, Options: map[string]string{
		"sslmode": "verify-full", "sslrootcert": a.path("ca.crt"), "sslcert": a.path(name + ".crt"), "sslkey": a.path(name + ".key"), "gssencmode": "disable",
	}}
	l.KeyPassword = secret.Text(keyWord)
	return l
}

// keyWord is the password of an encrypted key; no file but the service file may have it, and no argument.
const keyWord = "word of the key"

// encrypted is a member that speaks TLS only with others, and proves itself to them by certificates with encrypted keys.
func encrypted(t *testing.T, a *authority, name string) Config {
	t.Helper()
	cfg := describe(t, name)
	cfg.Replication, cfg.Rewind = a.login("replicator", keyWord), a.login("rewind user", keyWord)
	for parameter, value := range map[string]string{
		"ssl": "on", "ssl_ca_file": a.path("ca.crt"), "ssl_cert_file": a.path("server.crt"), "ssl_key_file": a.path("server.key"),
	} {
		cfg.Parameters[parameter] = value
	}
	cfg.HBA = []string{
		"local all all scram-sha-256", "hostssl replication,postgres replicator all cert", `hostssl postgres "rewind user" all cert`, //nolint:dupword // a rule for all users
		"host all postgres 127.0.0.1/32 scram-sha-256",
	}
	return cfg
}

// Certificates for everything between servers: streaming, base backups, rewinding, and the questions of the agent.
func TestServersThatProveThemselvesByCertificates(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "server", "")
	a.issue(t, "replicator", keyWord)
	a.issue(t, "rewind user", keyWord)
	cfg := encrypted(t, a, "n1")
	place(t, cfg)
	n1 := open(t, cfg)
	if err := n1.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	n2 := open(t, encrypted(t, a, "n2"))
	if err := n2.Clone(within(t), CloneOptions{From: address(n1)}); err != nil {
		t.Fatal(err)
	}
	if err := n2.Start(within(t), StartOptions{Standby: true, Upstream: address(n1)}); err != nil {
		t.Fatal(err)
	}
	await(t, n2, "streams", streaming(n1))
	const how = "SELECT ssl || ' ' || client_dn FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)"
	if got := one(t, n1, how); got != "true /CN=replicator" {
		t.Errorf("the standby proves itself as %s", got)
	}
	if _, err := n2.TimelineHistory(within(t), address(n1), 1); err != nil {
		t.Error(err)
	}

	// A split: both write, and the old primary is rewound.
	if err := n2.Promote(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := n2.Checkpoint(within(t)); err != nil {
		t.Fatal(err)
	}
	run(t, n1, "CREATE TABLE lost ()")
	run(t, n2, "CREATE TABLE kept ()")
	if err := n1.Rewind(within(t), RewindOptions{From: address(n2), Patience: patience}); err != nil {
		t.Fatal(err)
	}
	if err := n1.Start(within(t), StartOptions{Standby: true, Upstream: address(n2)}); err != nil {
		t.Fatal(err)
	}
	await(t, n1, "streams", streaming(n2))
	if got := one(t, n2, how); got != "true /CN=replicator" {
		t.Errorf("the old primary proves itself as %s", got)
	}
	for _, s := range []*Server{n1, n2} {
		holdsNoSecret(t, s, keyWord)
		if at, err := os.Stat(s.servicePath()); err != nil || at.Mode().Perm() != 0o600 {
			t.Errorf("the service file: %v, %v", at, err)
		}
	}
}

// A server of another authority is not trusted, by the agent or by PostgreSQL's programs.
func TestStrangersCertificate(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue(t, "server", "")
	a.issue(t, "replicator", "")
	cfg := encrypted(t, a, "n1")
	cfg.Replication = a.login("replicator", "")
	place(t, cfg)
	n1 := open(t, cfg)
	if err := n1.Start(within(t), StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n1.IdentifySource(within(t), address(n1)); err != nil {
		t.Fatal(err)
	}
	next := cfg.Settings
	next.Replication = a.login("replicator", "")
	next.Replication.Options["sslrootcert"] = other.path("ca.crt")
	if _, err := n1.Reload(within(t), next); err != nil {
		t.Fatal(err)
	}
	if _, err := n1.IdentifySource(within(t), address(n1)); !errors.Is(err, ErrSourceUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a stranger is asked: %v", err)
	}
}

// A server that somebody else has started does not know of the service file.
func TestServerStartedBySomebodyElseHasThePasswordOfAKey(t *testing.T) {
	s := &Server{dir: "/data", bin: Binaries{Major: 15}, settings: Settings{Logins: Logins{Replication: Login{
		Username: "r", KeyPassword: keyWord, Options: map[string]string{"sslkey": "/k"},
	}}}}
	if got := s.primaryConninfo(Upstream{Host: "h"}); got != "dbname=postgres user=r host=h port=5432 sslkey=/k service='pgbaton r'" {
		t.Errorf("got %s", got)
	}
	if !inEnvironment(os.Getpid(), "PATH="+os.Getenv("PATH")) || inEnvironment(os.Getpid(), s.serviceEnv()) {
		t.Error("the environment of a process is not what it is")
	}
}
