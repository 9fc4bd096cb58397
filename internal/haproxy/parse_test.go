package haproxy

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/route"
)

// What HAProxy 2.6.12 answered to "show servers state", shortened.
const states = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
4 writes 2 n:202 ::1 0 0 1 0 35 17 2 0 6 0 0 0 - 5432 - 0 8008 127.77.0.3 - 8008
4 writes 1 n1 127.77.0.1 2 0 1 1 35 15 3 3 6 0 0 0 - 5432 - 0 8008 - - 8008
5 reads 1 added 127.77.0.1 0 1 1 1 0 1 0 0 2 0 0 0 - 5432 - 0 8008 - - 8008
5 reads 2 unchecked 127.77.0.1 2 0 1 1 0 1 0 0 0 0 0 0 - 5432 - 0 0 - - 0
5 reads 3 drained 127.77.0.1 2 8 1 1 0 1 0 0 6 0 0 0 - 5432 - 0 8008 - - 8008
5 reads 4 local /run/socket 2 0 1 1 0 1 0 0 0 0 0 0 - 0 - 0 0 - - 0

`

func TestServersState(t *testing.T) {
	got, err := parseStates(states)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort
	want := []route.SeenServer{
		{Service: "reads", Name: "added", Address: at("127.77.0.1:5432"), Check: at("127.77.0.1:8008")},
		{Service: "reads", Name: "drained", Address: at("127.77.0.1:5432"), Check: at("127.77.0.1:8008"), Up: true},
		{Service: "reads", Name: "local", Up: true},
		{Service: "reads", Name: "unchecked", Address: at("127.77.0.1:5432"), Check: at("127.77.0.1:0"), Up: true},
		{Service: "writes", Name: "n 2", Address: at("[::1]:5432"), Check: at("127.77.0.3:8008"), Ready: true},
		{Service: "writes", Name: "n1", Address: at("127.77.0.1:5432"), Check: at("127.77.0.1:8008"), Up: true, Ready: true},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "2\n", "1\n4 writes\n"} {
		if _, err := parseStates(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestStatistics(t *testing.T) {
	got, err := parseStats("# pxname,svname,qcur,scur,status,\nwrites,n1,0,3,UP,\nreads,n:202,0,0,\"DOWN, 1/2\",\n\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[statKey]int{{"writes", "n1"}: 3, {"reads", "n 2"}: 0}, got, cmp.AllowUnexported(statKey{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "# pxname,svname\n", "# pxname,svname,scur\nwrites\n", "# pxname,svname,scur\nwrites,n1,-1\n", "# pxname,svname,scur\n\"writes\n"} {
		if _, err := parseStats(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("# pxname,svname,qcur,scur,status,\nwrites,n1,0,3,UP,\n\n")
	f.Add("# scur,svname,pxname\n1,\"a\"\"b\",c\n")
	f.Add("# pxname,svname,scur\nwrites,n1,\n")
	f.Fuzz(func(t *testing.T, text string) {
		sessions, err := parseStats(text)
		if err != nil && sessions != nil {
			t.Fatalf("an error came with statistics: %v %v", sessions, err)
		}
		for server, n := range sessions {
			if n < 0 {
				t.Fatalf("%v has %d sessions", server, n)
			}
		}
	})
}

func FuzzServersState(f *testing.F) {
	f.Add(states)
	f.Fuzz(func(t *testing.T, text string) {
		servers, err := parseStates(text)
		if err != nil && servers != nil {
			t.Fatalf("an error came with servers: %v %v", servers, err)
		}
	})
}

func TestNamesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		carried := serverName(name)
		if memberName(carried) != name {
			t.Fatalf("%q is carried as %q and comes back as %q", name, carried, memberName(carried))
		}
		for i := range len(carried) {
			if b := carried[i]; !plain(b) && b != ':' {
				t.Fatalf("%q is carried as %q", name, carried)
			}
		}
	})
	if got := serverName("patroni-node1"); got != "patroni-node1" {
		t.Errorf("an ordinary name is carried as %q", got)
	}
	for _, foreign := range []string{"a:", "a:zz", "a:2"} {
		if got := memberName(foreign); got != foreign {
			t.Errorf("the foreign name %q is read as %q", foreign, got)
		}
	}
}

func TestComplaints(t *testing.T) {
	cases := []struct{ output, want string }{
		{
			"[NOTICE]   (8134) : haproxy version is 2.6.12\n" +
				"[ALERT]    (8134) : Binding [h.cfg:13] for frontend writes: cannot bind socket (Address already in use) for [127.0.0.1:10000]\n",
			"127.0.0.1:10000 is in use by another program, and writes is to listen there; stop that program or choose another port",
		},
		{
			"[ALERT]    (1) : Binding [h.cfg:13] for frontend writes: cannot bind socket (Cannot assign requested address) for [192.0.2.1:10000]\n",
			"HAProxy cannot listen on 192.0.2.1:10000 for writes (Cannot assign requested address); choose another address",
		},
		{
			"[ALERT]    (1) : config : parsing [h.cfg:2] : 'stats socket' : unknown keyword 'bogus'.\n[ALERT]    (1) : config : Fatal errors found in configuration.\n",
			"HAProxy says: parsing [h.cfg:2] : 'stats socket' : unknown keyword 'bogus'",
		},
	}
	for _, c := range cases {
		if got := complaint(c.output); got == nil || got.Error() != c.want {
			t.Errorf("got  %v\nwant %s", got, c.want)
		}
	}
	if err := complaint("[NOTICE]   (8134) : haproxy version is 2.6.12\n"); err != nil {
		t.Errorf("a notice is taken for a complaint: %v", err)
	}
	if _, ok := errors.AsType[*BindError](complaint(cases[0].output)); !ok {
		t.Error("a port in use is no BindError")
	}
}

func TestOldVersionsAreRefused(t *testing.T) {
	for text, good := range map[string]bool{
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n": true,
		"HAProxy version 3.0.2 2024/06/14\n":                                   true,
		"HA-Proxy version 1.8.27\n":                                            false,
		"HAProxy version 2.4.24-0ubuntu0.22.04.1\n":                            false,
		"something else\n":                                                     false,
	} {
		if err := judgeVersion("haproxy", text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPausesGrowAndAreForgotten(t *testing.T) {
	var p pauses
	lived := []time.Duration{time.Hour, 0, 0, 0, 0, time.Hour, 0}
	var got []time.Duration
	for _, l := range lived {
		got = append(got, p.next(l))
	}
	want := []time.Duration{0, 0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 0, 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range 20 {
		p.next(0)
	}
	if got := p.next(0); got != longPause {
		t.Errorf("the longest pause is %v", got)
	}
}
