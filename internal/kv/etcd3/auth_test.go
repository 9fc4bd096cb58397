package etcd3

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/embedded/embeddedtest"
)

const password = "s3cret-of-nobody"

// enableAuth gives the member a user root and a user agent, who may write below /service/ only.
func enableAuth(t *testing.T, url string) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err1 := client.UserAdd(ctx, "root", password)
	_, err2 := client.UserGrantRole(ctx, "root", "root")
	_, err3 := client.UserAdd(ctx, "agent", password)
	_, err4 := client.RoleAdd(ctx, "agents")
	_, err5 := client.RoleGrantPermission(ctx, "agents", "/service/", clientv3.GetPrefixRangeEnd("/service/"),
		clientv3.PermissionType(clientv3.PermReadWrite))
	_, err6 := client.UserGrantRole(ctx, "agent", "agents")
	_, err7 := client.AuthEnable(ctx)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		t.Fatalf("enable authentication: %v", err)
	}
}

func TestAuthentication(t *testing.T) {
	member := embeddedtest.Members(t, 1)[0]
	server := embeddedtest.Run(t, member)[0]
	url := member.ClientURLs[0]
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	tooEarly, err := Open(ctx, Config{Endpoints: []string{url}, Username: "agent", Password: password})
	if err != nil {
		t.Fatalf("open with a user where none is demanded: %v", err)
	}
	t.Cleanup(func() { _ = tooEarly.Close() })
	enableAuth(t, url)

	wantSentence(t, openError(ctx, Config{Endpoints: []string{url}, Username: "agent", Password: "wrong-" + password}),
		`etcd refuses user "agent": check user name and password`)
	wantSentence(t, openError(ctx, Config{Endpoints: []string{url}}),
		"etcd demands authentication: give a user name and password")

	use := func(store *Store) {
		t.Helper()
		lease, err := store.Grant(ctx, time.Minute)
		if err != nil {
			t.Fatalf("grant: %v", err)
		}
		version, err := store.Put(ctx, "/service/k", "v", kv.Always(), lease)
		if err != nil {
			t.Fatalf("put: %v", err)
		}
		if _, err := store.Renew(ctx, lease); err != nil {
			t.Fatalf("renew: %v", err)
		}
		if event := <-store.Watch(ctx, "/service/", version-1); event.Value != "v" {
			t.Fatalf("got event %+v", event)
		}
	}
	use(tooEarly)
	store, err := Open(ctx, Config{Endpoints: []string{url}, Username: "agent", Password: password})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	use(store)
	_, err = store.Put(ctx, "/other/k", "v", kv.Always(), 0)
	wantSentence(t, err, `etcd denies user "agent"`)

	_ = server.Close() // and with it go the tokens
	embeddedtest.Run(t, member)
	use(store)
}

func openError(ctx context.Context, config Config) error {
	store, err := Open(ctx, config)
	if err == nil {
		_ = store.Close()
	}
	return err
}

// wantSentence demands an error that another try does not help against and that tells no secret.
func wantSentence(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, kv.ErrUnavailable) {
		t.Fatalf("got error %v, want %q and not %v", err, want, kv.ErrUnavailable)
	}
	if strings.Contains(err.Error(), password) {
		t.Fatalf("error %q tells the password", err)
	}
}
