package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func (t *tool) historyCommand() *cobra.Command {
	format, group := formatPretty, ""
	c := &cobra.Command{
		Use:               "history [CLUSTER_NAME]",
		Short:             "List the timelines that ended: when, where, and who led next",
		Example:           "  pgbaton history -f json",
		Args:              between(0, 1, ""),
		ValidArgsFunction: t.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.history(cmd.Context(), strings.Join(args, ""), group, format)
		},
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	groupFlag(c, &group)
	return c
}

func (t *tool) history(ctx context.Context, name, group, format string) error {
	s, c, err := t.load(ctx, name, group)
	if err != nil {
		return err
	}
	defer s.close()
	text, err := renderHistory(c.History, format)
	if err != nil {
		return err
	}
	t.printf("%s", text)
	return nil
}

func renderHistory(h cluster.History, format string) (string, error) {
	columns := []column{{"TL", true}, {"LSN", true}, {"Reason", false}, {"Timestamp", false}, {"New Leader", false}}
	var rows [][]any
	for _, l := range h.Lines {
		rows = append(rows, []any{int(l.Timeline), int(l.End), l.Reason, l.At, l.Leader})
	}
	return render(format, "\t", columns, rows)
}

// render renders values as a table without a title, or for programs, who get the empty ones as well.
func render(format, delimiter string, columns []column, rows [][]any) (string, error) {
	var cells [][]string
	var docs [][]field
	for _, row := range rows {
		var texts []string
		var doc []field
		for i, value := range row {
			texts = append(texts, fmt.Sprint(value))
			doc = append(doc, field{columns[i].title, value})
		}
		cells, docs = append(cells, texts), append(docs, doc)
	}
	switch format {
	case formatTSV:
		return delimited(columns, cells, delimiter), nil
	case formatJSON:
		return jsonText(docs)
	case formatYAML, formatYML:
		return yamlRows(docs)
	}
	return table("", columns, cells), nil
}

func delimited(columns []column, cells [][]string, delimiter string) string {
	var head []string
	for _, c := range columns {
		head = append(head, c.title)
	}
	var b strings.Builder
	b.WriteString(strings.Join(head, delimiter) + "\n")
	for _, line := range cells {
		b.WriteString(strings.Join(line, delimiter) + "\n")
	}
	return b.String()
}
