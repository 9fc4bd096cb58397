package postgres

import (
	"errors"
	"strings"
	"testing"
)

// A version of libpq refuses what a later one brought.
func TestOptionsOfALogin(t *testing.T) {
	all := Login{Username: "r", Password: "x", KeyPassword: keyWord, Options: map[string]string{
		"sslmode": "verify-full", "sslcert": "/c c", "sslkey": "/k", "sslrootcert": "/r", "sslcrl": "/l", "sslcrldir": "/d",
		"gssencmode": "prefer", "channel_binding": "require", "sslnegotiation": "direct", "unknown": "x",
	}}
	const always = "sslmode=verify-full sslcert='/c c' sslkey=/k sslrootcert=/r sslcrl=/l "
	for major, want := range map[int]string{
		12: "gssencmode=prefer",
		13: "gssencmode=prefer channel_binding=require service='pgbaton r'",
		14: "sslcrldir=/d gssencmode=prefer channel_binding=require service='pgbaton r'",
		17: "sslcrldir=/d gssencmode=prefer channel_binding=require sslnegotiation=direct service='pgbaton r'",
	} {
		if got := conninfo(all.options(major)...); got != always+want {
			t.Errorf("%d: %s", major, got)
		}
	}
	own := conninfo(all.ownOptions()...)
	if own != "sslpassword='word of the key' sslmode=verify-full sslcert='/c c' sslkey=/k sslrootcert=/r channel_binding=require sslnegotiation=direct" {
		t.Errorf("our own connections: %s", own)
	}
	if got := conninfo(Login{}.ownOptions()...); got != "sslmode=prefer" {
		t.Errorf("our own connections without options: %s", got)
	}
	if err := all.hide(errors.New("cannot parse " + own)); strings.Contains(err.Error(), keyWord) || !strings.Contains(err.Error(), "sslmode") {
		t.Errorf("an error: %v", err)
	}
}

func TestConnectionStrings(t *testing.T) {
	s := &Server{dir: "/data", bin: Binaries{Major: 15}, cfg: Config{
		MemberName: "n1", PgPassFile: "/pass", Database: "ours", Kerberos: "pg",
	}, settings: Settings{Logins: Logins{Replication: Login{Username: "r", Password: "x", Options: map[string]string{"sslmode": "require"}}}}}
	up := Upstream{Host: "a,b", Ports: "1,2", Remote: true}
	const where = "host=a,b port=1,2 sslmode=require krbsrvname=pg target_session_attrs=read-write"
	for what, c := range map[string]struct{ got, want string }{
		"follow": {s.primaryConninfo(up), "dbname=ours user=r passfile=/pass " + where + " application_name='standby cluster n1'"},
		"method": {s.methodConninfo(up), "dbname=ours user=r " + where},
		"copy": {
			s.sourceConninfo(up, s.logins().Replication), "dbname=ours user=r passfile=/pass " + where +
				" connect_timeout=3 keepalives_idle=10 keepalives_interval=5 keepalives_count=4 application_name=n1",
		},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s\nwant %s", what, c.got, c.want)
		}
	}
}

func TestLoginsAreChecked(t *testing.T) {
	good := Logins{Superuser: Login{Username: "s"}, Replication: Login{Username: "r"}}
	if err := good.complete().check(); err != nil || good.complete().Rewind.Username != "s" {
		t.Errorf("%+v, %v", good.complete(), err)
	}
	bad := good.complete()
	bad.Replication.KeyPassword = "hush\nport=1"
	if err := bad.check(); err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "authentication.replication") {
		t.Errorf("%v", err)
	}
}
