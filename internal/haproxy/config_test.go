package haproxy

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/route"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func example() Config {
	at := netip.MustParseAddrPort
	return Config{
		Binary: "haproxy", Dir: "/var/lib/pgbaton/haproxy", Statistics: at("127.0.0.1:10009"),
		Services: []route.Service{
			{Name: "writes", Bind: at("127.0.0.1:10000"), Kind: route.Writes},
			{Name: "leader-api", Bind: at("127.0.0.1:10001"), Kind: route.LeaderAPI},
			{Name: "reads", Bind: at("127.0.0.1:10002"), Kind: route.Reads},
		},
	}
}

func TestConfiguration(t *testing.T) {
	got, err := render(example(), 20000)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/haproxy.cfg"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestConnectionsFitTheLimitOfOpenFiles(t *testing.T) {
	cases := []struct {
		asked int
		files uint64
		want  int
	}{{0, 1 << 30, 4096}, {0, 1024, 412}, {100, 1024, 100}, {100000, 200200, 100000}}
	for _, c := range cases {
		got, err := Config{MaxConnections: c.asked}.maxConnections(c.files)
		if err != nil || got != c.want {
			t.Errorf("%d asked, %d files: got %d, %v; want %d", c.asked, c.files, got, err, c.want)
		}
	}
	if _, err := (Config{}).maxConnections(201); err == nil {
		t.Error("a limit of 201 open files was accepted")
	}
}

func TestBadConfigurationIsExplained(t *testing.T) {
	cases := map[string]struct {
		bend func(*Config)
		want string
	}{
		"relative":   {func(c *Config) { c.Dir = "haproxy" }, `HAProxy's directory "haproxy" is not an absolute path`},
		"long":       {func(c *Config) { c.Dir = "/" + strings.Repeat("a", 90) }, "7 bytes longer than HAProxy takes for a socket; choose a shorter"},
		"nothing":    {func(c *Config) { c.Services = nil }, "HAProxy was given no service"},
		"blank":      {func(c *Config) { c.Services[0].Name = "my writes" }, `"my writes" is not a name for a service`},
		"twice":      {func(c *Config) { c.Services[1].Name = "writes" }, `two services are called "writes"`},
		"reserved":   {func(c *Config) { c.Services[1].Name = "statistics" }, `two services are called "statistics"`},
		"same port":  {func(c *Config) { c.Services[1].Bind = c.Services[0].Bind }, "writes and leader-api cannot both listen on 127.0.0.1:10000"},
		"no port":    {func(c *Config) { c.Services[1].Bind = netip.AddrPort{} }, "the service leader-api has no address and port to listen on"},
		"no kind":    {func(c *Config) { c.Services[1].Kind = 0 }, "the service leader-api is of no known kind"},
		"port of it": {func(c *Config) { c.Statistics = c.Services[2].Bind }, "statistics and reads cannot both listen on 127.0.0.1:10002"},
	}
	for name, c := range cases {
		cfg := example()
		c.bend(&cfg)
		if err := cfg.validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if err := example().validate(); err != nil {
		t.Error(err)
	}
}
