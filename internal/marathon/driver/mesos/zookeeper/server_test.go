package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/pgbaton/pgbaton/internal/peer"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// startServer starts Debian's ZooKeeper and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	const jar = "/usr/share/java/zookeeper.jar"
	java, err := exec.LookPath("java")
	if err != nil {
		peer.Missing(t, "no java: install zookeeper")
	}
	if _, err := os.Stat(jar); err != nil {
		peer.Missing(t, "no ZooKeeper: install zookeeper")
	}
	address := peer.FreePort(t).String()
	host, port, _ := strings.Cut(address, ":")
	dir := t.TempDir()
	file := filepath.Join(dir, "zoo.cfg")
	text := fmt.Sprintf("tickTime=500\ndataDir=%s\nclientPortAddress=%s\nclientPort=%s\nadmin.enableServer=false\n", dir, host, port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(java, "-Xmx128m", "-cp", jar, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return address
}

// master registers one in the ensemble, as masters do, until the session ends.
func master(t *testing.T, conn *zk.Conn, folder, address string, acl []zk.ACL) string {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	text := fmt.Sprintf(`{"address":{"hostname":"localhost","ip":%q,"port":%s}}`, host, port)
	node, err := conn.Create(folder+"/"+candidate, []byte(text), zk.FlagEphemeral|zk.FlagSequence, acl)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func connect(t *testing.T, address string) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect([]string{address}, 2*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	for event := range events {
		if event.State == zk.StateHasSession {
			break
		}
	}
	go func() {
		for range events {
		}
	}()
	return conn
}

func create(t *testing.T, conn *zk.Conn, folder string, acl []zk.ACL) {
	t.Helper()
	if _, err := conn.Create(folder, nil, 0, acl); err != nil {
		t.Fatal(err)
	}
}

// TestTheLeadingMaster follows masters that come and go on a real ZooKeeper: before any has ever been, with several, after the
// first has ended, with a login.
func TestTheLeadingMaster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := startServer(t)
	conn := connect(t, at)
	e, err := Parse("zk://" + at + "/mesos")
	if err != nil {
		t.Fatal(err)
	}
	find := func(want string) {
		t.Helper()
		if got, err := e.Find(ctx); err != nil || got != want {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	}

	soon, cancelSoon := context.WithTimeout(ctx, time.Second)
	defer cancelSoon()
	if got, err := e.Find(soon); !errors.Is(err, ErrNobody) {
		t.Fatalf("before there is a folder: %s, %v", got, err)
	}
	waiting := make(chan string, 1)
	go func() {
		got, err := e.Find(ctx)
		waiting <- fmt.Sprint(got, err)
	}()
	create(t, conn, "/mesos", zk.WorldACL(zk.PermAll))
	create(t, conn, "/mesos/log_replicas", zk.WorldACL(zk.PermAll))
	first := master(t, conn, "/mesos", "127.0.0.1:5050", zk.WorldACL(zk.PermAll))
	if got := <-waiting; got != "127.0.0.1:5050<nil>" {
		t.Fatalf("who waited for the first master found %s", got)
	}
	second := connect(t, at)
	master(t, second, "/mesos", "127.0.0.1:5060", zk.WorldACL(zk.PermAll))
	find("127.0.0.1:5050")
	if err := conn.Delete(first, -1); err != nil {
		t.Fatal(err)
	}
	find("127.0.0.1:5060")
	e.Names = true
	find("localhost:5060")

	secure := zk.DigestACL(zk.PermAll, "mesos", "hush")
	if err := conn.AddAuth("digest", []byte("mesos:hush")); err != nil {
		t.Fatal(err)
	}
	create(t, conn, "/secure", secure)
	master(t, conn, "/secure", "127.0.0.1:5070", secure)
	e = Ensemble{Servers: []string{at}, Path: "/secure"}
	if got, err := e.Find(ctx); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("without a login: %s, %v", got, err)
	}
	e.User, e.Password = "mesos", secret.Text("hush")
	find("127.0.0.1:5070")
}

// TestNobodyAnswers ends when its time is over, and says that it is the ensemble that is silent.
func TestNobodyAnswers(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", peer.Address()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was written
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	got, err := Ensemble{Servers: []string{l.Addr().String()}, Path: "/mesos"}.Find(ctx)
	if err == nil || errors.Is(err, ErrNobody) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %s, %v", got, err)
	}
}
