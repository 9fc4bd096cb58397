package ctl

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// row is one member as it is listed: text, numbers and tags by column title.
type row map[string]any

// rows lists the members by name, or by whom they stream from.
func (l listing) rows() []row {
	withPort := portsMatter(l.picture)
	members := branchesByName(l.picture)
	if l.format == formatTopology {
		members = topology(l.picture)
	}
	var rows []row
	for _, b := range members {
		m := b.Member
		r := row{"Cluster": l.scope, "Group": l.group, "Member": b.indent + m.Name, "State": l.picture.StateOf(m)}
		r["Role"] = roleWords(l.picture.RoleOf(m))
		r.set("Host", hostOf(m, withPort))
		if m.Timeline != 0 {
			r["TL"] = int(m.Timeline)
		}
		l.positions(r, m)
		l.rest(r, m)
		rows = append(rows, r)
	}
	return rows
}

// set fills a cell unless it would be empty.
func (r row) set(column, text string) {
	if text != "" {
		r[column] = text
	}
}

// rest fills the cells that only some members have.
func (l listing) rest(r row, m cluster.Member) {
	if m.PendingRestart {
		r["Pending restart"] = "*"
		r.set("Pending restart reason", reasons(m.Pending, l.format == formatPretty || l.format == formatTopology))
	}
	if m.Restart != nil {
		r["Scheduled restart"] = m.Restart.String()
	}
	if len(m.Tags) > 0 {
		r["Tags"] = map[string]any(m.Tags)
	}
	r.set("Progress", m.Progress)
}

// positions fills in how far a member is that does not lead. Members of old versions say only one position.
func (l listing) positions(r row, m cluster.Member) {
	if m.Name == l.picture.Leader.Name {
		return
	}
	received, replayed := m.Received, m.Replayed
	if received == 0 && replayed == 0 {
		if l.picture.StateOf(m) == cluster.ReplicationStreaming {
			received = m.Location
		} else {
			replayed = m.Location
		}
	}
	l.position(r, "Receive", received)
	l.position(r, "Replay", replayed)
}

// position fills in a position and its lag in MB, rounded half to even.
func (l listing) position(r row, what string, at wal.LSN) {
	if at == 0 {
		r[what+" LSN"] = "unknown"
		return
	}
	r[what+" LSN"] = at.String()
	r[what+" Lag"] = int(math.RoundToEven(float64(at.Behind(l.picture.Status.Optime)) / (1 << 20)))
}

// reasons renders the settings that need a restart; brief only names those that are too long for a table.
func reasons(pending map[string]cluster.Pending, brief bool) string {
	const most = 50
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		line := fmt.Sprintf("%s: %s->%s", name, pending[name].Old, pending[name].New)
		if brief && len([]rune(line)) > most {
			line = name + ": [hidden - too long]"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// portsMatter reports whether hosts are shown with their ports: when one is not 5432, or two members share a
// host.
func portsMatter(c cluster.Cluster) bool {
	seen := map[string]bool{}
	for _, m := range c.Members {
		host, port, ok := m.Endpoint()
		if ok && (port != 5432 || seen[host]) {
			return true
		}
		seen[host] = true
	}
	return false
}

func hostOf(m cluster.Member, withPort bool) string {
	host, port, ok := m.Endpoint()
	switch {
	case !ok:
		return ""
	case withPort:
		return cluster.HostPort(host, port)
	}
	return host
}

// roleWords writes sync_standby as Sync Standby.
func roleWords(role string) string {
	words := strings.Split(role, "_")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}
