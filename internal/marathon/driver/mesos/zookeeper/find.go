package zookeeper

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// sessionTimeout is how long a ZooKeeper keeps a session that is silent. It holds nothing of ours.
const sessionTimeout = 10 * time.Second

// candidate begins the names of the nodes of masters.
const candidate = "json.info_"

// ErrNobody means that no master leads, as far as the ensemble knows.
var ErrNobody = errors.New("no Mesos master leads")

// Find waits until a master leads and returns its host:port. It gives up when ctx ends: with an error that wraps [ErrNobody]
// when the ensemble answers and names nobody.
func (e Ensemble) Find(ctx context.Context) (string, error) {
	conn, _, err := zk.Connect(e.Servers, sessionTimeout, zk.WithLogger(silent{}), zk.WithDialer(dialer(ctx)))
	if err != nil {
		return "", fmt.Errorf("reach ZooKeeper: %w", err)
	}
	found := make(chan result, 1)
	go func() { found <- e.wait(conn) }()
	select {
	case r := <-found:
		conn.Close()
		return r.master, r.err
	case <-ctx.Done():
	}
	answers := conn.State() == zk.StateHasSession
	conn.Close() // what waits below ends with it
	<-found
	if answers {
		return "", fmt.Errorf("%w: %s has no node of one", ErrNobody, e)
	}
	return "", fmt.Errorf("reach ZooKeeper: %s does not answer: %w", e, context.Cause(ctx))
}

type result struct {
	master string
	err    error
}

// wait looks at the nodes, and again whenever they change, until one leads.
func (e Ensemble) wait(conn *zk.Conn) result {
	if e.User != "" {
		if err := conn.AddAuth("digest", []byte(e.User+":"+e.Password.Reveal())); err != nil {
			return result{err: fmt.Errorf("log in to ZooKeeper: %w", err)}
		}
	}
	for {
		master, changed, err := e.look(conn)
		if master != "" || err != nil {
			return result{master, err}
		}
		if event := <-changed; event.Err != nil {
			return result{err: fmt.Errorf("wait for a master: %w", event.Err)}
		}
	}
}

// look is the master that leads, or what says that it may be time to look again.
func (e Ensemble) look(conn *zk.Conn) (string, <-chan zk.Event, error) {
	names, _, changed, err := conn.ChildrenW(e.Path)
	if errors.Is(err, zk.ErrNoNode) {
		return e.appears(conn)
	}
	if err != nil {
		return "", nil, fmt.Errorf("list %s: %w", e, err)
	}
	for _, name := range candidates(names) {
		text, _, err := conn.Get(path.Join(e.Path, name))
		if errors.Is(err, zk.ErrNoNode) {
			continue // it has just ended; the next one leads
		}
		if err != nil {
			return "", nil, fmt.Errorf("read %s/%s: %w", e, name, err)
		}
		master, err := address(text, e.Names)
		if err != nil {
			return "", nil, fmt.Errorf("read %s/%s: %w", e, name, err)
		}
		return master, nil, nil
	}
	return "", changed, nil
}

// appears says when the folder of the masters has been made: the first master does.
func (e Ensemble) appears(conn *zk.Conn) (string, <-chan zk.Event, error) {
	there, _, changed, err := conn.ExistsW(e.Path)
	if err != nil {
		return "", nil, fmt.Errorf("look for %s: %w", e, err)
	}
	if there {
		return e.look(conn)
	}
	return "", changed, nil
}

// candidates are the nodes of masters, the one that leads first.
func candidates(names []string) []string {
	var list []string
	for _, name := range names {
		if _, ok := sequence(name); ok {
			list = append(list, name)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		na, _ := sequence(a)
		nb, _ := sequence(b)
		return cmp.Compare(na, nb)
	})
	return list
}

// sequence is the number that ZooKeeper gave a node.
func sequence(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, candidate)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// address is where a master answers, by what it says of itself.
func address(text []byte, names bool) (string, error) {
	var info struct {
		Address struct {
			Hostname string `json:"hostname"`
			IP       string `json:"ip"`
			Port     int    `json:"port"`
		} `json:"address"`
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return "", fmt.Errorf("it is no MasterInfo: %w", err)
	}
	host := cmp.Or(info.Address.IP, info.Address.Hostname)
	if names {
		host = cmp.Or(info.Address.Hostname, info.Address.IP)
	}
	if host == "" || info.Address.Port <= 0 || info.Address.Port > 65535 {
		return "", errors.New("it has no address")
	}
	return net.JoinHostPort(host, strconv.Itoa(info.Address.Port)), nil
}

// dialer connects until ctx ends.
func dialer(ctx context.Context) zk.Dialer {
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// silent drops what the library says: what matters is in the error.
type silent struct{}

// Printf implements zk.Logger.
func (silent) Printf(string, ...any) {}
