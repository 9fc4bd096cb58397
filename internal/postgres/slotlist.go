package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbaton/pgbaton/internal/wal"
)

// The first versions that tell more of a slot than its position.
const (
	tellsLost     = 13
	tellsFailover = 17
)

// slotQuestion lists slots as text, in the simple protocol that every connection understands. A name limits it to one slot.
func slotQuestion(major int, name string) string {
	lost, failover, synced := "false", "false", "false"
	if major >= tellsLost {
		lost = "COALESCE(wal_status = 'lost', false)"
	}
	if major >= tellsFailover {
		failover, synced = "failover", "synced"
	}
	sql := `SELECT slot_name, slot_type = 'logical', COALESCE(plugin, ''), COALESCE(database, ''), active, temporary, ` +
		strings.Join([]string{failover, synced, lost}, ", ") +
		`, COALESCE(xmin::text, '0'), COALESCE(catalog_xmin::text, '0'), COALESCE(restart_lsn, '0/0')::text, COALESCE(confirmed_flush_lsn, '0/0')::text
FROM pg_catalog.pg_replication_slots`
	if name != "" {
		sql += " WHERE slot_name = " + quote(name)
	}
	return sql + " ORDER BY slot_name"
}

// quote quotes the name of a slot, which has letters, digits and underscores only, or is refused here.
func quote(name string) string { return "'" + strings.ReplaceAll(name, "'", "''") + "'" }

// listSlots asks a server, this one or another, for its slots.
func listSlots(ctx context.Context, conn *pgconn.PgConn, major int, name string) ([]Slot, error) {
	results, err := conn.Exec(ctx, slotQuestion(major, name)).ReadAll()
	if err != nil {
		return nil, err
	}
	all := []Slot{}
	for _, row := range results[0].Rows {
		var columns []string
		for _, c := range row {
			columns = append(columns, string(c))
		}
		slot, err := readSlot(columns)
		if err != nil {
			return nil, err
		}
		all = append(all, slot)
	}
	return all, nil
}

func readSlot(c []string) (Slot, error) {
	is := func(i int) bool { return c[i] == "t" }
	s := Slot{
		Name: c[0], Logical: is(1), Plugin: c[2], Database: c[3], Active: is(4), Temporary: is(5), Failover: is(6), Synced: is(7), Lost: is(8),
	}
	var err error
	if s.Xmin, err = parseXID(c[9]); err != nil {
		return Slot{}, err
	}
	if s.CatalogXmin, err = parseXID(c[10]); err != nil {
		return Slot{}, err
	}
	if s.Restart, err = wal.ParseLSN(c[11]); err != nil {
		return Slot{}, err
	}
	s.Confirmed, err = wal.ParseLSN(c[12])
	return s, err
}

func parseXID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no transaction number", text)
	}
	return uint32(n), nil
}
