package dcs_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/dcs"
	"github.com/pgbaton/pgbaton/internal/dcs/dcstest"
	"github.com/pgbaton/pgbaton/internal/ha"
	"github.com/pgbaton/pgbaton/internal/kv"
	"github.com/pgbaton/pgbaton/internal/kv/memory"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// hostileScope is a cluster of the members n1, which leads, and n2, which follows.
type hostileScope struct {
	store *memory.Store
	own   *dcs.Store
}

// sound are the documents of a cluster in good order. The leader key is written by Acquire.
func sound() map[string]string {
	return map[string]string{
		"initialize": string(soundIdentity),
		"config":     `{"ttl":30,"loop_wait":10,"retry_timeout":10}`,
		"failover":   "{}",
		"sync":       `{"leader":null,"quorum":0,"sync_standby":null}`,
		"status":     `{"optime":100}`,
		"history":    `[[1,50,"no recovery target specified","",""]]`,
		"failsafe":   `{"n1":"http://n1:8008/patroni","n2":"http://n2:8008/patroni"}`,
		"members/n1": `{"conn_url":"postgres://n1:5432/postgres","api_url":"http://n1:8008/patroni","state":"running","role":"primary","timeline":2}`,
		"members/n2": `{"conn_url":"postgres://n2:5432/postgres","api_url":"http://n2:8008/patroni","state":"running","role":"replica","timeline":2}`,
	}
}

const soundIdentity = wal.SystemID("7000000000000000001")

// attacked are the keys that FuzzLeader writes, in their order. The leader key is not among them: who may write that is
// the leader.
func attacked() []string {
	return []string{"initialize", "config", "failover", "sync", "status", "history", "failsafe", "members/n1", "members/n2", "members/n3", "optime/leader", "nonsense"}
}

func newHostileScope(t *testing.T, values map[string]string) hostileScope {
	t.Helper()
	store := closing(t, memory.New())
	own, err := dcs.New(store, dcs.Config{Namespace: "service", Scope: "batman", Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Grant(t.Context(), ttl); err != nil {
		t.Fatal(err)
	}
	if err := own.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, value := range values {
		if _, err := store.Put(t.Context(), "/service/batman/"+key, value, kv.Always(), 0); err != nil {
			t.Fatal(err)
		}
	}
	return hostileScope{store, own}
}

func (s hostileScope) load(t *testing.T) cluster.Cluster {
	t.Helper()
	c, err := s.own.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One bad document never hides the others.
func TestHostileDocumentLeavesTheOthers(t *testing.T) {
	for _, key := range attacked() {
		for _, value := range slices.Concat(dcstest.Hostile(), dcstest.Deep()) {
			values := sound()
			values[key] = value
			c := newHostileScope(t, values).load(t)
			switch n2, known := c.Member("n2"); {
			case c.Leader.Name != "n1":
				t.Fatalf("%s is %.80q: the leader is %q", key, value, c.Leader.Name)
			case !known || key != "members/n2" && !n2.Running():
				t.Fatalf("%s is %.80q: member n2 is %+v", key, value, n2)
			case key != "config" && c.Config.Settings().TTL != ttl:
				t.Fatalf("%s is %.80q: ttl is %s", key, value, c.Config.Settings().TTL)
			}
		}
	}
}

// A hostile value in the DCS never stops a healthy primary whose lease is good: only the leader key of another member, pause,
// a standby cluster, the system identifier of another database cluster and an operator's request may.
func FuzzLeader(f *testing.F) {
	for i, value := range dcstest.Hostile() {
		f.Add(byte(i), value, byte(i+1), value) // TestHostileDocumentsNeverStopTheLeader has all pairs
	}
	f.Fuzz(func(t *testing.T, first byte, value string, second byte, other string) {
		keys, values := attacked(), sound()
		values[keys[int(first)%len(keys)]] = value
		values[keys[int(second)%len(keys)]] = other
		leadOn(t, values)
	})
}

func TestHostileDocumentsNeverStopTheLeader(t *testing.T) {
	all := slices.Concat(dcstest.Hostile(), dcstest.Deep())
	for _, key := range attacked() {
		for _, value := range all {
			values := sound()
			values[key] = value
			leadOn(t, values)
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) // several keys at once
	for range 2000 {
		values := sound()
		for _, key := range attacked() {
			if random.IntN(2) == 0 {
				values[key] = dcstest.Hostile()[random.IntN(len(dcstest.Hostile()))]
			}
		}
		leadOn(t, values)
	}
}

// leadOn lets the leader decide for some turns over the same documents, with everything that it does answered well.
func leadOn(t *testing.T, values map[string]string) {
	t.Helper()
	c := newHostileScope(t, values).load(t)
	settings := c.Config.Settings()
	asked := settings.Pause || settings.Standby.Active() || c.Initialize.Known() && c.Initialize.SystemID != soundIdentity
	if asked {
		return
	}
	now := time.Now()
	v := leaderView(c, settings, now)
	mem := ha.Memory{}
	for range 12 {
		var d ha.Decision
		mem, d = ha.Next(mem, v)
		for _, action := range d.Do {
			if why := gives(action); why != "" {
				t.Fatalf("%s, because %s, with %s", why, d.Why, strings.Join(pairs(values), "\n"))
			}
		}
		v = after(v, d)
	}
}

// gives says how an action ends that the leader leads; empty when it does not.
func gives(action ha.Action) string {
	start, starts := action.(ha.StartJob)
	_, releases := action.(ha.ReleaseLeader)
	_, exits := action.(ha.Exit)
	if releases || exits || starts && start.Job.Kind != ha.JobCheckpoint {
		return action.String()
	}
	return ""
}

// leaderView is what a healthy leader sees.
func leaderView(c cluster.Cluster, settings cluster.Settings, now time.Time) ha.View {
	return ha.View{
		Now: now, Self: ha.Self{Name: "n1"}, Settings: settings, Cluster: c, Fresh: true,
		Lease: ha.Lease{ID: c.Leader.Lease, Renewed: now, Deadline: now.Add(ttl)},
		Server: ha.Server{
			Data: ha.DataCluster, SystemID: soundIdentity, Process: ha.Running, Answers: true, Timeline: 2, Position: 200, NamesManaged: true,
			Started: now.Add(-time.Hour), Version: 150004, CanRewind: true,
			Senders: []ha.Sender{{Name: "n2", Slot: "n2", SyncState: "async", Sent: 200, Flushed: 200}},
		},
		Peers: map[string]ha.Peer{},
	}
}

// after is the next view: what was asked was answered, nobody else is there to take over, and ten seconds passed unless
// the leader decides again at once.
func after(v ha.View, d ha.Decision) ha.View {
	v.Outcomes, v.Ended = nil, nil
	if !d.Again {
		v.Now = v.Now.Add(10 * time.Second)
		v.Server.Position += 100
	}
	for _, action := range d.Do {
		v.Outcomes = append(v.Outcomes, ha.Outcome{Action: action, Result: ha.Done})
		if _, ok := action.(ha.RenewLease); ok {
			v.Lease.Renewed, v.Lease.Deadline = v.Now, v.Now.Add(ttl)
		}
		if a, ok := action.(ha.AskPeers); ok {
			for _, name := range a.Names {
				v.Peers[name] = ha.Peer{At: v.Now}
			}
		}
		if a, ok := action.(ha.SetSyncNames); ok {
			v.Server.SyncNames = a.Names
		}
		if a, ok := action.(ha.StartJob); ok {
			v.Ended = &ha.EndedJob{Job: a.Job, OK: true}
		}
	}
	return v
}

func pairs(values map[string]string) []string {
	var all []string
	for key, value := range values {
		if value != sound()[key] {
			all = append(all, key+" = "+value)
		}
	}
	return all
}
