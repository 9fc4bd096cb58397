package slots

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// View is what was seen when somebody looked at the slots. Nothing here changes it.
type View struct {
	Name     string
	Tags     cluster.Tags
	Settings cluster.Settings
	// Cluster is the shared picture, or the last one that there was; then Cut says so.
	Cluster cluster.Cluster
	// Cut is true while the DCS is silent: slots are kept up, and no server is restarted for their sake.
	Cut  bool
	Role Role
	// Position is how far a slot may be moved: flushed by a primary, replayed by a standby.
	Position wal.LSN
	// Started tells one life of the server from the next.
	Started time.Time
	// Existing are the server's slots.
	Existing []Existing
	// Retention is that of the leader, and zero elsewhere: there the status key tells what is retained.
	Retention Retention
	// Heard is how far members are that a leader without the DCS asked, by name of the member.
	Heard map[string]wal.LSN
	// Leader is what the leader's server says of its own slots; nil when it was not asked, or did not answer.
	Leader []Existing
	// OldestWAL is where the WAL begins that the server still has; zero when unknown.
	OldestWAL wal.LSN
	// Spoiled are logical slots that could not be moved because what they need is gone here: they have to be copied again.
	Spoiled []string
}

// Role is what the server is to those that stream from it.
type Role int

// The roles.
const (
	Replica Role = iota
	StandbyLeader
	Primary
)

// Existing is one slot as its server shows it. What a version of PostgreSQL does not tell is zero.
type Existing struct {
	// Slot has name and type, and for a logical one plugin and database.
	cluster.Slot
	Active, Temporary bool
	// Failover: PostgreSQL itself brings the slot to the standbys. Synced: it did, this is such a copy.
	Failover, Synced bool
	// Lost: the slot is of no more use, because WAL or rows that it needs are gone.
	Lost bool
	// Xmin and CatalogXmin are the oldest transactions that the slot keeps rows for; zero for none.
	Xmin, CatalogXmin uint32
	// Restart is where the WAL begins that the slot keeps; zero while it keeps none.
	Restart wal.LSN
	// Confirmed is how far the consumer of a logical slot is.
	Confirmed wal.LSN
}

// pins reports whether a physical slot keeps rows from being removed.
func (e Existing) pins() bool { return e.Xmin != 0 || e.CatalogXmin != 0 }

// find returns a slot by its name.
func find(all []Existing, name string) (Existing, bool) {
	for _, e := range all {
		if e.Name == name {
			return e, true
		}
	}
	return Existing{}, false
}

// leads reports whether the standbys of the cluster stream from this server, unless they are told otherwise.
func (v View) leads() bool { return v.Role != Replica }

// told reports whether it is known which slots are kept for members that are away: the leader itself knows, the others
// once it has said so.
func (v View) told() bool {
	if v.leads() {
		return v.Cluster.Leader.Name == v.Name
	}
	return v.Cluster.Locked() && v.Cluster.Status.Optime != 0
}
