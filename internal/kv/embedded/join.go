package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"
)

const (
	// peerTimeout bounds one question to one other member; a member that is down refuses at once.
	peerTimeout = time.Second
	// rejoinPause is the time between two tries to reach the others or to change the membership. etcd
	// refuses the latter until its members have been connected for five seconds, and offers nothing to
	// wait for.
	rejoinPause = 250 * time.Millisecond
	// changeTimeout bounds one change of the membership. While the leader has not applied the change before, it
	// drops the next one without an answer (etcd issue 15528: a member that is asked and is no leader may apply a
	// change first), and who waits for that waits for ever. It is etcd's own limit of a request, of five seconds
	// and two elections.
	changeTimeout = 7 * time.Second
)

// errNobody is the silence of all other members.
var errNobody = errors.New("none of them answers")

// begin is how a member without data starts.
type begin struct {
	// existing is etcd's word for joining instead of founding.
	existing bool
	cluster  map[string]string
}

// begin finds out what a member without data is; see the package comment.
func (m Member) begin(ctx context.Context) (begin, error) {
	founding := begin{cluster: m.Cluster}
	members, err := m.askOthers(ctx)
	if m.Existing && err == nil && len(members) == 0 {
		members, err = m.awaitOthers(ctx)
	}
	if err != nil || len(members) == 0 {
		return founding, err
	}
	me, known := m.find(members)
	switch {
	case known && me.Name == m.Name && len(me.ClientURLs) == 0:
		return founding, nil
	case known && me.Name == "":
		return m.join(ctx)
	}
	m.Logger.WarnContext(ctx, "data of the etcd member was lost, joining the others as a new member",
		slog.String("member", m.Name), slog.String("dir", m.Dir))
	if err := m.rejoin(ctx, members); err != nil {
		return begin{}, fmt.Errorf("etcd member %s has no data in %s, but its cluster exists and does not take it back: %w; "+
			"start the other members first, for they decide this by majority; "+
			"if the data of a majority is lost, restore a snapshot or begin anew with all directories empty",
			m.Name, m.Dir, err)
	}
	return m.join(ctx)
}

// join returns how to start as one of the members, once all of the others that answer agree on who they
// are. etcd asks any one of them, and fails when that one is a moment behind.
func (m Member) join(ctx context.Context) (begin, error) {
	var members []*membership.Member
	err := persist(ctx, func() error {
		members = nil
		for _, url := range m.others() {
			known, _, err := askPeer(ctx, url)
			if err != nil {
				continue
			}
			if _, included := m.find(known); !included || members != nil && len(members) != len(known) {
				return fmt.Errorf("%s is behind the others", url)
			}
			members = known
		}
		if members == nil {
			return errNobody
		}
		return nil
	})
	if err != nil {
		return begin{}, fmt.Errorf("wait until the cluster knows etcd member %s: %w", m.Name, err)
	}
	return begin{existing: true, cluster: m.clusterOf(members)}, nil
}

// askOthers returns the members as the first other member that answers knows them, none when nobody
// answers.
func (m Member) askOthers(ctx context.Context) ([]*membership.Member, error) {
	id, err := m.clusterID()
	if err != nil {
		return nil, err
	}
	for _, url := range m.others() {
		members, from, err := askPeer(ctx, url)
		if err != nil {
			continue // down, or not an etcd member; etcd itself complains about the latter
		}
		if from != id {
			return nil, fmt.Errorf("etcd at %s belongs to cluster %s, not to cluster %s of member %s: check its peer URL",
				url, from, id, m.Name)
		}
		return members, nil
	}
	return nil, ctx.Err()
}

// awaitOthers asks until one of the others answers.
func (m Member) awaitOthers(ctx context.Context) ([]*membership.Member, error) {
	var members []*membership.Member
	err := persist(ctx, func() error {
		found, err := m.askOthers(ctx)
		if err == nil && len(found) == 0 {
			err = errNobody
		}
		members = found
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("etcd member %s has no data in %s, and no other member of its cluster can be asked: %w; "+
			"start the other members first, or begin anew with all directories empty and not as an existing cluster",
			m.Name, m.Dir, err)
	}
	return members, nil
}

func askPeer(ctx context.Context, url string) ([]*membership.Member, types.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/members", http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, 0, errors.New(response.Status)
	}
	id, err := types.IDFromString(response.Header.Get("X-Etcd-Cluster-Id"))
	if err != nil {
		return nil, 0, err
	}
	var members []*membership.Member
	if err := json.NewDecoder(response.Body).Decode(&members); err != nil {
		return nil, 0, err
	}
	return members, id, nil
}

// find returns the entry of this member, by name or, while it was never started, by peer URL.
func (m Member) find(members []*membership.Member) (*membership.Member, bool) {
	for _, other := range members {
		if other.Name == m.Name || other.Name == "" && slices.Contains(other.PeerURLs, m.PeerURL) {
			return other, true
		}
	}
	return nil, false
}

// clusterOf turns the members into a cluster to start with. A member that never started has told no name:
// it gets the one its peer URL has in the configured cluster, else its id.
func (m Member) clusterOf(members []*membership.Member) map[string]string {
	cluster := map[string]string{}
	for _, other := range members {
		name := other.Name
		for configured, url := range m.Cluster {
			if name == "" && slices.Contains(other.PeerURLs, url) {
				name = configured
			}
		}
		name = cmp.Or(name, other.ID.String())
		cluster[name] = strings.Join(other.PeerURLs, ","+name+"=") // name=url1,name=url2
	}
	return cluster
}

// rejoin replaces the lost identity of this member by a new one. Each step is tried again until the others
// agree or the context ends.
func (m Member) rejoin(ctx context.Context, members []*membership.Member) error {
	client, err := m.connect(members)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return m.replace(ctx, client, members)
}

// replace is rejoin with a client of the others.
func (m Member) replace(ctx context.Context, client clientv3.Cluster, members []*membership.Member) error {
	if me, known := m.find(members); known {
		err := persist(ctx, func() error {
			ctx, cancel := context.WithTimeout(ctx, changeTimeout)
			defer cancel()
			_, err := client.MemberRemove(ctx, uint64(me.ID))
			if errors.Is(err, rpctypes.ErrMemberNotFound) {
				return nil // an answer was lost: this is what we wanted
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("remove its old identity %s: %w", me.ID, err)
		}
	}
	err := persist(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, changeTimeout)
		defer cancel()
		_, err := client.MemberAdd(ctx, []string{m.PeerURL})
		if errors.Is(err, rpctypes.ErrPeerURLExist) {
			return nil // an answer was lost
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("add its new identity: %w", err)
	}
	return nil
}

// connect returns a client of the others.
func (m Member) connect(members []*membership.Member) (*clientv3.Client, error) {
	var urls []string
	for _, other := range members {
		if other.Name != m.Name {
			urls = append(urls, other.ClientURLs...)
		}
	}
	return clientv3.New(clientv3.Config{Endpoints: urls, Logger: zap.NewNop()})
}

// persist repeats a change of the membership until it succeeds or the context ends, and then returns
// why etcd refused it last.
func persist(ctx context.Context, change func() error) error {
	ticks := time.NewTicker(rejoinPause)
	defer ticks.Stop()
	var refused error
	for {
		err := change()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			refused = err
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return errors.Join(refused, context.Cause(ctx))
		}
	}
}
