package dcs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/clock"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/kv"
)

// The keys below the base path.
const (
	keyInitialize = "initialize"
	keyConfig     = "config"
	keyLeader     = "leader"
	keyFailover   = "failover"
	keySync       = "sync"
	keyStatus     = "status"
	keyOptime     = "optime/leader" // the position, as members before 2.1 wrote it
	keyHistory    = "history"
	keyFailsafe   = "failsafe"
	keyMembers    = "members/"
)

// Config says whose documents a Store keeps.
type Config struct {
	// Namespace is the directory that all scopes share; slashes around it do not matter.
	Namespace string
	// Scope is the name of the HA cluster.
	Scope string
	// Name is the member this process is. It may be empty for an operator, who has no lease and no
	// member document.
	Name string
	// Suspended is how long this machine has been suspended since it started; nil asks the kernel.
	Suspended func() time.Duration
}

// Store keeps the documents of one scope. It is safe for concurrent use; the methods about the lease are
// meant for one goroutine, the agent's loop.
type Store struct {
	kv     kv.Store
	config Config
	base   string

	mu    sync.Mutex
	lease Lease
	// asleep is how long the machine had been suspended when the lease was last renewed.
	asleep time.Duration
	// picture is the last one that was read. It is current as long as nothing is seen to change, and a renewal of the lease
	// at its revision said so at provedAt.
	picture  cluster.Cluster
	current  bool
	provedAt time.Time
	// known holds, by key, the documents that are written only when they change.
	known map[string]kv.Pair
	// knownAt is the revision of the last Load that filled known.
	knownAt kv.Version
}

// New makes a store on top of another one, which stays the caller's to close.
func New(store kv.Store, config Config) (*Store, error) {
	if config.Scope == "" {
		return nil, errors.New("no scope is given: name the cluster")
	}
	if strings.Contains(config.Scope, "/") {
		return nil, fmt.Errorf("scope %q has a slash: choose a name without", config.Scope)
	}
	if strings.Contains(config.Name, "/") {
		return nil, fmt.Errorf("member name %q has a slash: choose a name without", config.Name)
	}
	if config.Suspended == nil {
		config.Suspended = clock.Suspended
	}
	base := slashes.ReplaceAllString("/"+config.Namespace+"/"+config.Scope, "/")
	return &Store{kv: store, config: config, base: base + "/", known: map[string]kv.Pair{}}, nil
}

var slashes = regexp.MustCompile(`/+`)

// key returns the full path of a document.
func (s *Store) key(name string) string { return s.base + name }

// own is the key of this member's document.
func (s *Store) own() string { return keyMembers + s.config.Name }

// memberName returns the member whose document a key is. The bool is false for any other key.
func memberName(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, keyMembers)
	return name, ok && name != "" && !strings.Contains(name, "/")
}

// onVersion is the condition that a document is still as it was read: absent when its version is zero.
func onVersion(old cluster.Version) kv.Condition {
	if old == 0 {
		return kv.IfAbsent()
	}
	return kv.IfVersion(kv.Version(old))
}
