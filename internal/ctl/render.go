package ctl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// The formats of output.
const (
	formatPretty   = "pretty"
	formatTopology = "topology"
	formatTSV      = "tsv"
	formatJSON     = "json"
	formatYAML     = "yaml"
	formatYML      = "yml"
)

// formats are those that can be asked for.
func formats() []string { return []string{formatPretty, formatTSV, formatJSON, formatYAML, formatYML} }

// listing is a cluster as it is to be shown.
type listing struct {
	scope string
	// group is the number of its part when it is one of Citus, else empty.
	group    string
	picture  cluster.Cluster
	format   string
	extended bool
}

// Table is the list of a cluster's members as people read it.
func Table(scope string, c cluster.Cluster) string {
	l := listing{scope: scope, picture: c, format: formatPretty}
	return l.pretty(l.rows())
}

// render renders the cluster in its format.
func (l listing) render() (string, error) {
	rows := l.rows()
	switch l.format {
	case formatTSV:
		return l.tsv(rows), nil
	case formatJSON:
		return jsonText(l.documents(rows))
	case formatYAML, formatYML:
		return yamlRows(l.documents(rows))
	}
	return l.pretty(rows), nil
}

// columns of a list; the last ones only where some member fills them, or all are wanted.
func (l listing) columns(rows []row) []string {
	columns := []string{"Cluster", "Member", "Host", "Role", "State", "TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag"}
	if l.group != "" {
		columns = slices.Insert(columns, 1, "Group")
	}
	for _, optional := range []string{"Pending restart", "Pending restart reason", "Scheduled restart", "Tags"} {
		filled := slices.ContainsFunc(rows, func(r row) bool { return r[optional] != nil })
		if l.extended || filled {
			columns = append(columns, optional)
		}
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r["Progress"] != nil }) {
		columns = append(columns, "Progress") // patronictl has no such column: only where there is something to say
	}
	return columns
}

// pretty is the table with what has to be said below it.
func (l listing) pretty(rows []row) string {
	right := []string{"TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag"}
	names := slices.DeleteFunc(l.columns(rows), func(name string) bool { return name == "Cluster" || name == "Group" })
	var columns []column
	for _, name := range names {
		title := name
		if strings.HasSuffix(name, " Lag") {
			title = "Lag"
		}
		columns = append(columns, column{title, slices.Contains(right, name)})
	}
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, l.cells(r, names))
	}
	return table(l.title(), columns, cells) + notes(l.picture)
}

// cells are the texts of a row.
func (l listing) cells(r row, names []string) []string {
	var cells []string
	for _, name := range names {
		text := ""
		switch v := r[name].(type) {
		case nil:
		case map[string]any:
			text = tagText(v, l.format != formatPretty)
		default:
			text = fmt.Sprint(v)
		}
		cells = append(cells, text)
	}
	return cells
}

// tagText writes tags on lines of their own, or all on one.
func tagText(tags map[string]any, flow bool) string {
	text, err := yamlText(plain(tags), flow)
	if err != nil {
		return fmt.Sprint(tags)
	}
	return strings.TrimSpace(text)
}

// plain makes a document of the types that documents are made of.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, part := range v {
			out[name] = plain(part)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, part := range v {
			out[i] = plain(part)
		}
		return out
	case nil, bool, int, float64, string:
		return v
	}
	return fmt.Sprint(v)
}

func (l listing) title() string {
	if l.group != "" {
		return fmt.Sprintf("Citus cluster: %s (group: %s, %s)", l.scope, l.group, identity(l.picture))
	}
	return fmt.Sprintf("Cluster: %s (%s)", l.scope, identity(l.picture))
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
	when := f.ScheduledAt
	if at, zoned, err := cluster.ParseSchedule(when, time.UTC); err == nil && zoned {
		when = at.Format(isoForm)
	}
	out.WriteString(" Switchover scheduled at: " + when + "\n")
	for _, end := range []struct{ word, name string }{{"from", f.Leader}, {"to", f.Candidate}} {
		if end.name != "" {
			fmt.Fprintf(&out, "%24s: %s\n", end.word, end.name)
		}
	}
	return out.String()
}

func (l listing) tsv(rows []row) string {
	columns := l.columns(rows)
	var b strings.Builder
	b.WriteString(strings.Join(columns, "\t") + "\n")
	for _, r := range rows {
		b.WriteString(strings.Join(l.cells(r, columns), "\t") + "\n")
	}
	return b.String()
}

// documents are the rows for programs; empty cells are left out.
func (l listing) documents(rows []row) [][]field {
	columns := l.columns(rows)
	var docs [][]field
	for _, r := range rows {
		var doc []field
		for _, name := range columns {
			switch {
			case r[name] == nil:
			case name == "Group":
				doc = append(doc, field{name, groupNumber(l.group)})
			default:
				doc = append(doc, field{name, plain(r[name])})
			}
		}
		docs = append(docs, doc)
	}
	return docs
}

func groupNumber(text string) any {
	n, err := strconv.Atoi(text)
	if err != nil {
		return text
	}
	return n
}
