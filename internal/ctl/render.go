package ctl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// formats of list.
const (
	formatPretty = "pretty"
	formatTSV    = "tsv"
	formatJSON   = "json"
	formatYAML   = "yaml"
	formatYML    = "yml"
)

// row is one member as it is listed; cells by column title.
type row map[string]string

// columnsOf are the columns of a list; the last ones only where some member fills them, or all are wanted.
func columnsOf(rows []row, extended bool) []string {
	columns := []string{"Cluster", "Member", "Host", "Role", "State", "TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag"}
	for _, optional := range []string{"Pending restart", "Pending restart reason", "Scheduled restart", "Tags"} {
		filled := slices.ContainsFunc(rows, func(r row) bool { return r[optional] != "" })
		if extended || filled {
			columns = append(columns, optional)
		}
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r["Progress"] != "" }) {
		columns = append(columns, "Progress") // patronictl has no such column: only where there is something to say
	}
	return columns
}

// rowsOf lists the members by name.
func rowsOf(scope string, c cluster.Cluster) []row {
	withPort := portsMatter(c)
	var rows []row
	for _, m := range c.Members {
		r := row{
			"Cluster": scope, "Member": m.Name, "Host": hostOf(m, withPort), "Role": roleWords(c.RoleOf(m)), "State": c.StateOf(m),
			"TL": timelineWord(m.Timeline),
		}
		if m.PendingRestart {
			r["Pending restart"] = "*"
			r["Pending restart reason"] = reasons(m.Pending)
		}
		if m.Name != c.Leader.Name {
			r["Receive LSN"], r["Receive Lag"] = position(c, m.Received)
			r["Replay LSN"], r["Replay Lag"] = position(c, m.Replayed)
		}
		r["Progress"] = m.Progress
		if m.Restart != nil {
			r["Scheduled restart"] = m.Restart.String()
		}
		if len(m.Tags) > 0 {
			r["Tags"] = tagLines(m.Tags)
		}
		rows = append(rows, r)
	}
	return rows
}

// reasons renders the settings that need a restart; one too long for a table is only named.
func reasons(pending map[string]cluster.Pending) string {
	const most = 50
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		line := fmt.Sprintf("%s: %s->%s", name, pending[name].Old, pending[name].New)
		if len(line) > most {
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

func timelineWord(tl wal.Timeline) string {
	if tl == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(tl), 10)
}

// position is a member's position and its lag in MB, rounded half to even.
func position(c cluster.Cluster, at wal.LSN) (lsn, lag string) {
	if at == 0 {
		return "unknown", ""
	}
	megabytes := math.RoundToEven(float64(at.Behind(c.Status.Optime)) / (1 << 20))
	return at.String(), strconv.Itoa(int(megabytes))
}

func tagLines(tags cluster.Tags) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		lines = append(lines, fmt.Sprintf("%s: %v", name, tags[name]))
	}
	return strings.Join(lines, "\n")
}

// renderList renders a cluster in one of the formats.
func renderList(scope string, c cluster.Cluster, format string, extended bool) (string, error) {
	rows := rowsOf(scope, c)
	columns := columnsOf(rows, extended)
	switch format {
	case formatPretty:
		return prettyList(scope, c, rows, columns) + notes(c), nil
	case formatTSV:
		return tsv(rows, columns), nil
	case formatJSON, formatYAML, formatYML:
		return documents(rows, columns, format)
	}
	return "", fmt.Errorf("unknown format %q: choose pretty, tsv, json or yaml", format)
}

// Table is the list of a cluster's members as people read it.
func Table(scope string, c cluster.Cluster) string {
	rows := rowsOf(scope, c)
	return prettyList(scope, c, rows, columnsOf(rows, false)) + notes(c)
}

func prettyList(scope string, c cluster.Cluster, rows []row, names []string) string {
	right := []string{"TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag"}
	var columns []column
	for _, name := range names[1:] {
		title := name
		if strings.HasSuffix(name, " Lag") {
			title = "Lag"
		}
		columns = append(columns, column{title, slices.Contains(right, name)})
	}
	var cells [][]string
	for _, r := range rows {
		var line []string
		for _, name := range names[1:] {
			line = append(line, r[name])
		}
		cells = append(cells, line)
	}
	return table(fmt.Sprintf("Cluster: %s (%s)", scope, identity(c)), columns, cells)
}

func identity(c cluster.Cluster) string {
	switch {
	case !c.Initialize.Present:
		return "uninitialized"
	case c.Initialize.SystemID == "":
		return "initializing"
	}
	return string(c.Initialize.SystemID)
}

// notes are the lines below the table.
func notes(c cluster.Cluster) string {
	var out strings.Builder
	if paused(c) {
		out.WriteString(" Maintenance mode: on\n")
	}
	f := c.Failover
	if f.ScheduledAt == "" {
		return out.String()
	}
	out.WriteString(" Switchover scheduled at: " + f.ScheduledAt + "\n")
	for _, end := range []struct{ word, name string }{{"from", f.Leader}, {"to", f.Candidate}} {
		if end.name != "" {
			fmt.Fprintf(&out, "%24s: %s\n", end.word, end.name)
		}
	}
	return out.String()
}

func tsv(rows []row, columns []string) string {
	var b strings.Builder
	b.WriteString(strings.Join(columns, "\t") + "\n")
	for _, r := range rows {
		var line []string
		for _, name := range columns {
			line = append(line, strings.ReplaceAll(r[name], "\n", ", "))
		}
		b.WriteString(strings.Join(line, "\t") + "\n")
	}
	return b.String()
}

// documents renders the rows for programs; empty cells are left out and numbers are numbers.
func documents(rows []row, columns []string, format string) (string, error) {
	docs := []map[string]any{}
	for _, r := range rows {
		doc := map[string]any{}
		for _, name := range columns {
			if r[name] != "" {
				doc[name] = typed(name, r[name])
			}
		}
		docs = append(docs, doc)
	}
	if format == formatJSON {
		text, err := json.Marshal(docs)
		return string(text) + "\n", err
	}
	text, err := yaml.Marshal(docs)
	return string(text) + "\n", err
}

func typed(name, cell string) any {
	if name != "TL" && !strings.HasSuffix(name, " Lag") {
		return cell
	}
	if n, err := strconv.Atoi(cell); err == nil {
		return n
	}
	return cell
}
