package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/config"
	"github.com/pgbaton/pgbaton/internal/haproxy/haproxytest"
	"github.com/pgbaton/pgbaton/internal/peer"
)

// TestProxyPlan: where the ports come from, and what is said of a plan that cannot be.
func TestProxyPlan(t *testing.T) {
	env := map[string]string{"PATRONI_SCOPE": "main", "PATRONI_ETCD3_HOSTS": "127.0.0.1:2379"}
	for name, c := range map[string]struct {
		o    proxyOptions
		env  map[string]string
		want string // writes, reads and health, or the error
	}{
		"usual":                 {want: "0.0.0.0:5000 0.0.0.0:5001 invalid AddrPort"},
		"typed":                 {o: proxyOptions{writes: "127.0.0.1:1", reads: ":2", health: "[::1]:3"}, want: "127.0.0.1:1 0.0.0.0:2 [::1]:3"},
		"of a platform":         {env: map[string]string{"PORT_WRITES": "31500", "PORT_READS": "31501", "PORT_HEALTH": "31502"}, want: "0.0.0.0:31500 0.0.0.0:31501 0.0.0.0:31502"},
		"typed on a platform":   {o: proxyOptions{writes: ":7"}, env: map[string]string{"PORT_WRITES": "31500"}, want: "0.0.0.0:7 0.0.0.0:5001 invalid AddrPort"},
		"no port":               {o: proxyOptions{writes: "127.0.0.1"}, want: `--writes: "127.0.0.1" is no ADDRESS:PORT`},
		"port zero":             {o: proxyOptions{reads: "127.0.0.1:0"}, want: `--reads: "127.0.0.1:0" is no ADDRESS:PORT`},
		"a name":                {o: proxyOptions{health: "localhost:80"}, want: `--health: "localhost:80" is no ADDRESS:PORT`},
		"no cluster":            {env: map[string]string{"PATRONI_SCOPE": ""}, want: "which cluster was not said"},
		"no etcd":               {env: map[string]string{"PATRONI_ETCD3_HOSTS": ""}, want: "PATRONI_ETCD3_HOSTS"},
		"another cluster typed": {o: proxyOptions{scope: "other"}, want: "0.0.0.0:5000 0.0.0.0:5001 invalid AddrPort"},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[string]string{}
			for _, m := range []map[string]string{env, c.env} {
				for name, value := range m {
					if all[name] = value; value == "" {
						delete(all, name)
					}
				}
			}
			c.o.user = "nobody"
			p, err := c.o.plan(config.Source{Env: all})
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %q, want %q", err, c.want)
				}
				return
			}
			if got := p.haproxy.Services[0].Bind.String() + " " + p.haproxy.Services[1].Bind.String() + " " + p.health.String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if want := c.o.scope; want != "" && p.cluster.Scope != want {
				t.Errorf("cluster %s, want %s", p.cluster.Scope, want)
			}
		})
	}
}

// TestOwnFolder: a folder that others may write to, or that is none, is not used.
func TestOwnFolder(t *testing.T) {
	root := t.TempDir()
	open, file, ours := filepath.Join(root, "open"), filepath.Join(root, "file"), filepath.Join(root, "a", "ours")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil { //nolint:gosec // that is what is refused
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, file} {
		if err := ownFolder(dir); err == nil || !strings.Contains(err.Error(), "--dir") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for range 2 {
		if err := ownFolder(ours); err != nil {
			t.Error(err)
		}
	}
}

// TestProxyWithoutEtcd: HAProxy is started and answers for its health before etcd can be read, and ends with the program.
func TestProxyWithoutEtcd(t *testing.T) {
	cfg := haproxytest.Config(t)
	health := peer.FreePort(t)
	p := proxyPlan{cluster: config.Client{Scope: "main", Namespace: "/service/", Etcd: config.Etcd{Hosts: []string{"127.0.0.1:1"}}}, haproxy: cfg, health: health, dir: filepath.Dir(cfg.Dir)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, slog.New(slog.DiscardHandler)) }()
	await(t, ended, func() bool { return healthy(t, health) })
	conn, err := net.Dial("tcp", cfg.Services[0].Bind.String())
	if err != nil {
		t.Error(err)
	} else {
		_ = conn.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", cfg.Services[0].Bind.String()); err == nil {
		t.Error("HAProxy goes on without the program")
		_ = conn.Close()
	}
}

// await waits until something holds, or the program ends.
func await(t *testing.T, ended <-chan error, holds func() bool) {
	t.Helper()
	for tick := time.NewTicker(20 * time.Millisecond); !holds(); {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-t.Context().Done():
			t.Fatal("it is not healthy in time")
		case <-tick.C:
		}
	}
}

func healthy(t *testing.T, at netip.AddrPort) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at.String()+"/health", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && string(text) == "HAProxy works\n"
}
